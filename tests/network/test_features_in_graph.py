"""Features and sound inside the graph are those of `tinyse.features`."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tinyse import features
from tinyse.network import features_in_graph as graph

SOUND = 0.1 * np.random.default_rng(2).standard_normal((2, 256 * 21)).astype(np.float32)


def test_spectrum_and_features_equal_the_numpy_definition():
    real, imaginary = (np.asarray(part) for part in graph.spectrum(SOUND))
    expected = np.stack([features.stft(row) for row in SOUND])[:, 1:21]
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=2e-5)
    statistics = features.Normalisation(np.full(128, -30, np.float32), np.full(128, 9, np.float32))
    frames = graph.feature_frames((real, imaginary), statistics.mean, statistics.std)
    np.testing.assert_allclose(frames, statistics.features(expected), atol=2e-5)


def test_an_all_ones_mask_returns_the_sound():
    spectrum = graph.spectrum(SOUND)
    back = graph.sound(graph.masked(spectrum, np.ones((2, 20, 128), np.float32)))
    np.testing.assert_allclose(back, SOUND[:, 256:-256], atol=1e-6)
