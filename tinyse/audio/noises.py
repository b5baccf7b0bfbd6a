"""Noise made of numbers: named classes, each a function (rng, n) -> float64[n] at 16 kHz.

Levels are arbitrary; `recording` brings them to a drawn one.  Each call draws its own parameters,
so two recordings of a class differ as two places do.  Babble needs voices and is made in
`tinyse.audio.synth`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

from tinyse.audio.io import RATE

Sound = NDArray[np.floating]
Maker = Callable[[np.random.Generator, int], Sound]


def recording(noise_class: str, rng: np.random.Generator, n: int) -> Sound:
    """`n` samples of a class of CLASSES, at an RMS of -36 to -22 dBFS, peak at most 0.9."""
    return levelled(CLASSES[noise_class](rng, n), rng.uniform(-36, -22))


def levelled(sound: Sound, level_dbfs: float) -> Sound:
    """`sound` at an RMS of `level_dbfs`, or less where its peak would pass 0.9."""
    gain = 10 ** (level_dbfs / 20) / np.sqrt(np.mean(sound**2))
    return sound * min(gain, 0.9 / np.abs(sound).max())


def coloured(rng: np.random.Generator, n: int) -> Sound:
    """Stationary noise whose power falls with 0 to 2 powers of the frequency (white to brown)."""
    slope = rng.uniform(0, 2)
    return _filtered(rng, n, lambda f: np.maximum(f, 30) ** (-slope / 2))


def hum(rng: np.random.Generator, n: int) -> Sound:
    """Mains hum: 50 or 60 Hz, 24 harmonics with drawn levels, a little hiss."""
    pitch = np.full(n, rng.choice((50.0, 60.0)))
    harmonics = rng.uniform(0.1, 1, 24) * np.arange(1, 25) ** -rng.uniform(0.3, 1.2)
    return _normal(_tones(rng, pitch, harmonics)) + 0.1 * coloured_to(rng, n, 0.5)


def engine(rng: np.random.Generator, n: int) -> Sound:
    """Harmonics of a wandering 25 to 90 Hz, roughness at the firing rate, exhaust noise."""
    pitch = rng.uniform(35, 70) * _wander(rng, n, 0.4, 0.75, 1.3)
    tones = _normal(_tones(rng, pitch, rng.uniform(0.2, 1, 40) / np.arange(1, 41) ** 0.8))
    rough = 1 + 0.5 * np.sin(2 * np.pi * np.cumsum(pitch / 2) / RATE)
    return (tones + 0.4 * coloured_to(rng, n, 1.4)) * rough


def traffic(rng: np.random.Generator, n: int) -> Sound:
    """Cars that pass: swells of road noise over an engine at a distance."""
    swell = 10 ** (_wander(rng, n, 0.5, -22, 0) / 20)
    return swell * coloured_to(rng, n, rng.uniform(0.8, 1.5)) + 0.25 * _normal(engine(rng, n))


def modulated(rng: np.random.Generator, n: int) -> Sound:
    """Noise with the long-term spectrum of speech, its envelope moving at 2 to 8 Hz."""
    noise = _filtered(rng, n, lambda f: (f / 150) / (1 + (f / 150) ** 2) * 1 / (1 + f / 1500))
    return noise * 10 ** (_wander(rng, n, rng.uniform(2, 8), -30, 0) / 20)


def fan(rng: np.random.Generator, n: int) -> Sound:
    """Air through a grille: a broad band, and the blades' tone with its harmonics."""
    centre, width = rng.uniform(200, 1200), rng.uniform(1.0, 2.0)
    air = _filtered(rng, n, lambda f: np.exp(-(np.log2(np.maximum(f, 1) / centre) ** 2) / width**2))
    blades = rng.uniform(80, 400) * _wander(rng, n, 0.3, 0.99, 1.01)
    return _normal(air) + rng.uniform(0.1, 0.6) * _normal(_tones(rng, blades, 0.5 ** np.arange(6)))


def band(rng: np.random.Generator, n: int) -> Sound:
    """Hisses and whistles: narrow noise whose centre wanders between 400 and 6000 Hz."""
    centre = 2 ** _wander(rng, n, 0.7, np.log2(400), np.log2(6000))
    carrier = np.exp(2j * np.pi * np.cumsum(centre) / RATE)
    width = rng.uniform(40, 300)
    real, imaginary = (_filtered(rng, n, lambda f: 1 / (1 + (f / width) ** 4)) for _ in range(2))
    return _normal(((real + 1j * imaginary) * carrier).real) + 0.05 * coloured_to(rng, n, 1)


def wind(rng: np.random.Generator, n: int) -> Sound:
    """Gusts on a microphone: most of it under 300 Hz, 30 dB up and down."""
    noise = _filtered(rng, n, lambda f: 1 / (1 + (f / rng.uniform(80, 300)) ** 2))
    return noise * 10 ** (_wander(rng, n, 1.2, -30, 0) / 20)


def knocks(rng: np.random.Generator, n: int) -> Sound:
    """Doors, tools, steps: resonances of 80 to 2500 Hz struck about twice a second."""
    return _struck(rng, n, rng.uniform(1, 3), (80, 2500), (0.02, 0.15)) + 1e-3 * coloured_to(
        rng, n, 1
    )


def keyboard(rng: np.random.Generator, n: int) -> Sound:
    """Typing: clicks of 1.5 to 6 kHz, about eight a second, with rests."""
    clicks = _struck(rng, n, rng.uniform(6, 12), (1500, 6000), (0.002, 0.012))
    typing = _wander(rng, n, 0.8, 0, 1) > 0.35
    return clicks * np.convolve(typing, np.full(160, 1 / 160), "same") + 1e-3 * coloured_to(
        rng, n, 1
    )


def melody(rng: np.random.Generator, n: int) -> Sound:
    """An instrument that plays notes of a pentatonic scale, one or two at a time."""
    root, beat = rng.uniform(110, 330), int(RATE * rng.uniform(0.18, 0.5))
    timbre = rng.uniform(0.1, 1, 8) * rng.uniform(0.4, 0.8) ** np.arange(8)
    sound = np.zeros(n + 4 * beat)
    for start in range(0, n, beat):
        for _ in range(rng.integers(1, 3)):
            pitch = root * 2 ** (rng.choice((0, 2, 4, 7, 9, 12, 14, 16)) / 12)
            note = _tones(rng, np.full(4 * beat, pitch), timbre)
            sound[start : start + 4 * beat] += note * np.exp(-np.arange(4 * beat) / beat)
    return sound[:n] + 1e-3 * coloured_to(rng, n, 1)


def rain(rng: np.random.Generator, n: int) -> Sound:
    """Drops: hundreds of short clicks a second over a soft hiss."""
    drops = _struck(rng, n, rng.uniform(150, 600), (800, 7000), (0.0005, 0.004))
    return _normal(drops) + rng.uniform(0.3, 0.8) * coloured_to(rng, n, rng.uniform(0, 0.6))


def siren(rng: np.random.Generator, n: int) -> Sound:
    """A tone with harmonics that sweeps up and down between about 500 and 1500 Hz."""
    time = np.arange(n) / RATE
    sweep = np.sin(2 * np.pi * rng.uniform(0.2, 3) * time + rng.uniform(0, 6))
    tone = _tones(rng, rng.uniform(700, 1100) * 1.4**sweep, rng.uniform(0.3, 0.7) ** np.arange(5))
    return _normal(tone) + 0.05 * coloured_to(rng, n, 1)


CLASSES: dict[str, Maker] = {
    "traffic": traffic, "modulated": modulated, "keyboard": keyboard, "coloured": coloured,
    "engine": engine, "melody": melody, "fan": fan, "knocks": knocks, "wind": wind,
    "band": band, "hum": hum, "rain": rain, "siren": siren,
}  # fmt: skip
TEST_ONLY = ("rain", "siren")  # what a network meets that was never in its training
BABBLE = "babble"


def coloured_to(rng: np.random.Generator, n: int, slope: float) -> Sound:
    """Noise of power f^-slope and RMS 1."""
    return _normal(_filtered(rng, n, lambda f: np.maximum(f, 30) ** (-slope / 2)))


def _normal(sound: Sound) -> Sound:
    return sound / np.sqrt(np.mean(sound**2))


def _filtered(rng: np.random.Generator, n: int, gain: Callable[[Sound], Sound]) -> Sound:
    """White noise through `gain`(frequency in Hz), made and filtered in the spectrum."""
    length = next_fast_len(n, real=True)
    spectrum = rfft(rng.standard_normal(length))
    return irfft(spectrum * gain(np.fft.rfftfreq(length, 1 / RATE)), length)[:n]


def _wander(rng: np.random.Generator, n: int, hertz: float, low: float, high: float) -> Sound:
    """A curve through uniform draws from low..high, `hertz` of them a second."""
    step = RATE / hertz
    knots = rng.uniform(low, high, int(n / step) + 3)
    return np.interp(np.arange(n) / step + rng.uniform(0, 1), np.arange(len(knots)), knots)


def _tones(rng: np.random.Generator, pitch: Sound, harmonics: Sound) -> Sound:
    """A harmonic tone of instantaneous `pitch` in Hz; what would pass 7.8 kHz is left out."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(len(pitch))
    for number, level in enumerate(harmonics, 1):
        if number * pitch.max() < 7800:
            sound += level * np.sin(number * phase + rng.uniform(0, 2 * np.pi))
    return sound


def _struck(
    rng: np.random.Generator,
    n: int,
    rate: float,
    hertz: tuple[float, float],
    decay: tuple[float, float],
) -> Sound:
    """Twelve decaying resonances (`decay` in seconds), struck `rate` times a second in all."""
    sound = np.zeros(n)
    for _ in range(12):
        strokes = np.zeros(n)
        at = rng.integers(0, n, max(1, rng.poisson(rate * n / RATE / 12)))
        strokes[at] = 10 ** (rng.uniform(-20, 0, len(at)) / 20)
        seconds = rng.uniform(*decay)
        time = np.arange(int(8 * seconds * RATE) + 1) / RATE
        pitch = np.exp(rng.uniform(np.log(hertz[0]), np.log(hertz[1])))
        ring = np.sin(2 * np.pi * pitch * time) * np.exp(-time / seconds)
        sound += fftconvolve(strokes, ring)[:n]
    return sound
