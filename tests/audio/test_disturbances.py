"""Made disturbances: level, spectrum, and that they are never twice the same."""

import numpy as np
import pytest

from tinyse.audio import disturbances

SAMPLES = 64_256


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", [disturbances.rumble, disturbances.tones, disturbances.transients])
def test_sounds_have_unit_level_and_differ(make):
    for seed in range(20):
        sound = make(random(seed), SAMPLES)
        assert sound.shape == (SAMPLES,) and sound.dtype == np.float32
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(1, abs=1e-3)
    assert not np.array_equal(make(random(1), SAMPLES), make(random(2), SAMPLES))


def test_rumble_is_low():
    for seed in range(10):
        power = np.abs(np.fft.rfft(disturbances.rumble(random(seed), SAMPLES))) ** 2
        low = int(500 * SAMPLES / 16000)
        assert power[:low].sum() > 0.95 * power.sum()


def test_level_curves_stay_within_their_bound():
    curve = 20 * np.log10(disturbances.level_curve(random(), SAMPLES, 6.0))
    assert np.abs(curve).max() <= 6.001 and np.ptp(curve) > 0.1


def test_a_pause_is_silent_inside_and_open_outside():
    gain = disturbances.pause(random(3), SAMPLES)
    assert gain.min() == 0 and gain.max() == 1
    assert np.mean(gain == 0) > 0.05
