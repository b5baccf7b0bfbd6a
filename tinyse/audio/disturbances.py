"""Disturbances that recordings of noise hold too little of, made from a random generator.

Each function returns float32 [n] of about unit RMS over its active part.  None of them imitates
one source: they are cheap to draw and different every time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyse.features import RATE

_RUMBLE_HZ = (40.0, 220.0)  # where the spectrum of a rumble has fallen by half
_KNOCK_HZ = (60.0, 3000.0)


def rumble(random: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """Low-frequency noise (traffic, wind, ventilation): falls off above 40 to 220 Hz."""
    from scipy.fft import irfft, next_fast_len

    n = next_fast_len(samples, real=True)
    corner = np.exp(random.uniform(*np.log(_RUMBLE_HZ))) * n / RATE
    bins = min(int(12 * corner), n // 2)
    spectrum = random.standard_normal((2, bins)).astype(np.float32)
    spectrum = (spectrum[0] + 1j * spectrum[1]) / (1 + (np.arange(bins) / corner) ** 2)
    spectrum[0] = 0
    return _unit(irfft(spectrum.astype(np.complex64), n)[:samples])


def tones(random: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """Hums, whistles and chords: one to three notes of a few partials, each with its own swell."""
    time = np.arange(samples, dtype=np.float32) / np.float32(RATE)
    sound = np.zeros(samples, np.float32)
    for _ in range(random.integers(1, 4)):
        pitch = np.exp(random.uniform(np.log(50), np.log(1500)))
        wobble = random.uniform(0, 0.01) * pitch / (2 * np.pi * 5)
        bend = wobble * np.sin(2 * np.pi * 5 * time)
        swell = 1 + random.uniform(0, 1) * np.sin(2 * np.pi * random.uniform(0.2, 8) * time)
        for partial in range(1, random.integers(2, 6)):
            if partial * pitch > 0.45 * RATE:
                break
            phase = np.float32(2 * np.pi * partial) * (np.float32(pitch) * time + bend)
            phase += np.float32(random.uniform(0, 2 * np.pi))
            sound += np.float32(random.uniform(0.1, 1) / partial) * np.sin(phase) * swell
    return _unit(sound)


def transients(random: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """Knocks, clicks and clatter: bursts of noise or of one resonance, gone in 5 to 150 ms."""
    sound = np.zeros(samples, np.float32)
    for _ in range(random.integers(1, 9)):
        decay = np.exp(random.uniform(np.log(0.005), np.log(0.15))) * RATE
        burst = _struck(random, int(5 * decay))
        burst *= np.exp(-np.arange(len(burst)) / decay).astype(np.float32)
        at = int(random.integers(samples))
        piece = burst[: samples - at]
        sound[at : at + len(piece)] += np.float32(random.uniform(0.2, 1)) * piece
    return _unit(sound)


def _struck(random: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """What a knock sounds like before it dies away: coloured noise, or in half of them a tone."""
    if random.random() < 0.5:
        radians = 2 * np.pi * np.exp(random.uniform(*np.log(_KNOCK_HZ))) / RATE
        return np.sin(np.arange(samples, dtype=np.float32) * np.float32(radians))
    noise = random.standard_normal(samples).astype(np.float32)
    # Sum or difference of neighbours: a dull or a bright knock.
    noise[1:] += np.float32(random.uniform(-0.95, 0.95)) * noise[:-1]
    return noise


def level_curve(random: np.random.Generator, samples: int, bound_db: float) -> NDArray[np.float32]:
    """A gain [n] that wanders within +-`bound_db`: someone turns away, a door opens."""
    knots = random.integers(2, 7)
    decibels = np.interp(
        np.arange(samples),
        np.sort(random.uniform(0, samples, knots)),
        random.uniform(-bound_db, bound_db, knots),
    )
    return (10 ** (decibels / 20)).astype(np.float32)


def pause(random: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """A gain [n] of one that is zero for a stretch of 0.5 to 2 s, with fades of 10 ms."""
    fade = RATE // 100
    length = int(random.uniform(0.5, 2.0) * RATE)
    start = int(random.integers(-length // 2, max(samples - length // 2, 1)))
    inside = np.minimum(np.arange(samples) - start, start + length - np.arange(samples))
    return np.clip(1 - inside / fade, 0, 1).astype(np.float32)


def _unit(sound: NDArray) -> NDArray[np.float32]:
    return (sound / np.sqrt(np.mean(np.square(sound)) + 1e-12)).astype(np.float32)
