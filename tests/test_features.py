"""The bank, the transform and their streaming twin."""

from __future__ import annotations

import numpy as np
import pytest

from tinyse import features
from tinyse.features import BANDS, BINS, HOP, Normalisation, Stream

RAGGED = [1, 255, 256, 257, 512, 16_001]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, samples)


def test_squared_windows_of_neighbours_add_to_one() -> None:
    squared = features.window() ** 2
    np.testing.assert_allclose(squared[:HOP] + squared[HOP:], 1, atol=1e-15)


@pytest.mark.parametrize("samples", RAGGED)
def test_reconstruction_is_perfect_at_every_length(samples) -> None:
    sound = noise(samples)
    spectrum = features.stft(sound)
    assert spectrum.shape == (features.frame_count(samples), BINS)
    np.testing.assert_allclose(features.istft(spectrum, samples), sound, atol=1e-14)


def test_the_bank_loses_nothing() -> None:
    bank = features.warp_bank()
    assert bank.shape == (BANDS, BINS)
    np.testing.assert_allclose(bank.sum(axis=0), 1, atol=1e-12)
    assert (bank >= 0).all() and ((bank > 0).sum(axis=0) <= 2).all()
    assert np.linalg.matrix_rank(bank) == BANDS
    assert np.linalg.cond(bank) < 10
    np.testing.assert_allclose(features.averaging_bank().sum(axis=1), 1, atol=1e-12)


def test_an_all_ones_mask_returns_the_input() -> None:
    sound = noise(5_003)
    spectrum = features.stft(sound)
    gains = features.bin_gains(np.ones((len(spectrum), BANDS)))
    np.testing.assert_allclose(features.istft(gains * spectrum, len(sound)), sound, atol=1e-12)


def test_gains_stay_within_the_masks_bounds() -> None:
    mask = np.random.default_rng(1).uniform(0, 1, (50, BANDS))
    gains = features.bin_gains(mask)
    assert gains.min() >= 0 and gains.max() <= 1 + 1e-12


def test_a_full_scale_sine_on_a_bin_has_the_level_that_theory_says() -> None:
    sine = np.sin(2 * np.pi * 32 * np.arange(16_000) / 512)
    power = np.abs(features.stft(sine)[10, 32]) ** 2
    # (sum of the window / 2)^2 for a full-scale sine.
    assert 10 * np.log10(power) == pytest.approx(44.2, abs=0.1)


def test_silence_sits_on_the_floor() -> None:
    levels = features.band_levels(features.stft(np.zeros(1_000)))
    np.testing.assert_allclose(levels, -70, atol=1e-9)


def test_white_noise_is_flat_over_the_bands() -> None:
    levels = features.band_levels(features.stft(noise(160_000)))[2:-2]
    # Mean power, not mean of dB; band 0 and 127 are the real-valued bins.
    power = 10 * np.log10((10 ** (levels / 10)).mean(axis=0))
    assert np.ptp(power[1:-1]) < 2.0


def test_features_are_float32_and_clipped() -> None:
    statistics = Normalisation(np.zeros(BANDS, np.float32), np.full(BANDS, 3, np.float32))
    frames = statistics.features(features.stft(noise(4_000)))
    assert frames.dtype == np.float32
    assert np.abs(frames).max() <= features.FEATURE_CLIP


def test_statistics_have_a_smallest_spread() -> None:
    levels = np.random.default_rng(2).normal(-40, 10, (300, BANDS))
    levels[:, 0] = -70
    statistics = Normalisation.of_levels(levels)
    assert statistics.std[0] == features.MIN_STD_DB
    assert statistics.mean[5] == pytest.approx(-40, abs=3)


@pytest.mark.parametrize("samples", RAGGED)
def test_the_stream_equals_the_whole_file(samples) -> None:
    sound = noise(samples, seed=3)
    statistics = Normalisation(np.full(BANDS, -30, np.float32), np.full(BANDS, 9, np.float32))
    whole = features.stft(sound)
    stream = Stream()
    padded = np.concatenate([sound, np.zeros(-samples % HOP + HOP)]).reshape(-1, HOP)
    spectra = np.array([stream.analyse(block) for block in padded])
    np.testing.assert_allclose(spectra, whole, atol=1e-12)
    np.testing.assert_allclose(statistics.features(spectra), statistics.features(whole), atol=1e-6)
    stream = Stream()
    out = np.concatenate([stream.synthesise(stream.analyse(block)) for block in padded])
    np.testing.assert_allclose(out[HOP : HOP + samples], sound, atol=1e-13)
