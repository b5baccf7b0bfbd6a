"""Losses with known answers, and mixtures at the SNR and level that was drawn."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network.gradients import batch
from tinyse.network import features_in_graph as graph
from tinyse.training.losses import (
    compressed_spectral,
    mask_distance,
    mixed,
    negative_si_sdr,
    negative_snr,
)

RANDOM = np.random.default_rng(4)
REFERENCE = RANDOM.standard_normal((3, 4000)).astype(np.float32)


def test_snr_of_half_the_amplitude_is_six_decibels_and_perfection_is_capped():
    assert float(negative_snr(0.5 * REFERENCE, REFERENCE, 60.0)) == pytest.approx(-6.02, abs=0.01)
    assert float(negative_snr(REFERENCE, REFERENCE, 30.0)) == pytest.approx(-30.0, abs=1e-3)


def test_masks_are_compared_by_their_roots():
    gains, teacher = (np.full((2, 3, 4), root**2 - 2.0**-8, np.float32) for root in (0.5, 0.3))
    assert float(mask_distance(gains, teacher)) == pytest.approx(0.04, rel=1e-5)
    assert float(mask_distance(teacher, teacher)) == 0


def test_spectra_are_compared_by_compressed_magnitude_and_phase_at_one_level():
    target = tuple(RANDOM.standard_normal((2, 3, 20, 257)).astype(np.float32))
    turned, louder = tuple(-part for part in target), tuple(3 * part for part in target)
    assert float(compressed_spectral(target, target)) == 0
    # Opposite phases: no difference of magnitudes, twice the magnitude in the complex part.
    level = 2 * np.square(target).sum((0, 3)).mean(1) / (512 * 256)
    power = (target[0] ** 2 + target[1] ** 2) / level[:, None, None]
    expected = 0.3 * 4 * np.mean((power + 1e-6) ** 0.3 * power / (power + 1e-6))
    assert float(compressed_spectral(turned, target)) == pytest.approx(expected, rel=1e-4)
    both = tuple(-part for part in louder), louder
    assert float(compressed_spectral(*both)) == pytest.approx(expected, rel=1e-4)


def test_si_sdr_ignores_scale():
    noise = RANDOM.standard_normal(REFERENCE.shape).astype(np.float32)
    for row, (s, n) in enumerate(zip(REFERENCE, noise, strict=True)):
        noise[row] = n - s * np.dot(n, s) / np.dot(s, s)  # orthogonal, so the answer is exact
        noise[row] *= 0.1 * np.linalg.norm(s) / np.linalg.norm(noise[row])
    for scale in (1.0, 0.3):
        value = float(negative_si_sdr(scale * (REFERENCE + noise), REFERENCE))
        assert value == pytest.approx(-20, abs=1e-3)


def test_mixtures_have_the_snr_and_the_level_that_was_drawn():
    drawn = batch()
    mixture, target = mixed(drawn)
    noise = tuple(m - s for m, s in zip(mixture, target, strict=True))
    energy = [np.asarray(graph.power(part)).sum((1, 2)) for part in (target, noise)]
    np.testing.assert_allclose(10 * np.log10(energy[0] / energy[1]), drawn["snr_db"], atol=0.01)
    # The end blocks lie in one window instead of two, hence the tolerance.
    rms = np.sqrt(np.mean(np.asarray(graph.sound(mixture)) ** 2, axis=1))
    np.testing.assert_allclose(20 * np.log10(rms), drawn["level_dbfs"], atol=0.5)


def test_noise_alone_is_judged_by_what_is_left_of_it():
    silence, left = np.zeros_like(REFERENCE), 0.1 * REFERENCE
    least = 0.01 * np.mean(REFERENCE**2, axis=1)
    assert float(negative_snr(left, silence, 30.0, least)) == pytest.approx(0.0, abs=0.01)
    assert float(negative_snr(silence, silence, 30.0, least)) == pytest.approx(-30, abs=0.01)
    assert float(negative_si_sdr(left, silence)) == 0


def test_a_row_of_noise_alone_has_the_level_that_was_drawn():
    drawn = batch()
    drawn["speech"] = np.zeros_like(drawn["speech"])
    mixture, target = mixed(drawn)
    assert not np.asarray(target[0]).any()
    rms = np.sqrt(np.mean(np.asarray(graph.sound(mixture)) ** 2, axis=1))
    np.testing.assert_allclose(20 * np.log10(rms), drawn["level_dbfs"], atol=0.5)
