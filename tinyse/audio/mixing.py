"""Training mixtures drawn from a seed: every row is a function of (seed, step, row) alone.

The process that mixes only cuts, changes speed and adds noises.  What is one gain per frequency
(equalisers, SNR, level) travels as numbers and is applied on the spectra inside the training
graph, which is 14 times cheaper than filtering here.

    speech, noise   float32 [B, (frames + 1) * 256]
    equaliser       float32 [B, 2, 257], gain per bin of speech and of noise
    snr_db, level_dbfs   float32 [B]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import MissingExtra
from tinyse.features import BINS, HOP, RATE
from tinyse.recipe import Mixing

# A row's number must not run into the next step's.
_ROWS_PER_STEP = 100_000
_MIN_RMS = 1e-4  # of full scale: a quieter cut is drawn again
_ATTEMPTS = 20


@dataclass(frozen=True)
class Pool:
    """Decoded sound of one kind, ready to be drawn from.

    samples : int16 [n], all intervals back to back
    start, end : int64 [k], where interval k lies in `samples`
    group : int64 [k], number of the group (speaker or recording) of an interval
    """

    samples: NDArray[np.int16]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    group: NDArray[np.int64]

    def members(self) -> list[NDArray[np.int64]]:
        """Intervals of each group."""
        return [np.flatnonzero(self.group == g) for g in range(int(self.group.max()) + 1)]


class Mixer:
    """Draws batches; holds no state that a draw changes.

    A group is drawn by the square root of its minutes: by minutes alone two readers would be a
    fifth of all speech, by heads alone a five-second donor would be heard as often as an hour.
    """

    def __init__(self, speech: Pool, noise: Pool, mixing: Mixing, seed: int, frames: int) -> None:
        self._speech, self._noise = _Drawer(speech), _Drawer(noise)
        self._mixing, self._seed = mixing, seed
        self.samples = self.samples_of(frames)

    @staticmethod
    def samples_of(frames: int) -> int:
        """Samples that hold `frames` whole frames."""
        return (frames + 1) * HOP

    def batch(self, step: int, rows: int) -> dict[str, NDArray[np.float32]]:
        """The mixtures of a step (shapes in the module's docstring)."""
        drawn = [self._row(step, row) for row in range(rows)]
        return {key: np.stack([row[key] for row in drawn]) for key in drawn[0]}

    def _row(self, step: int, row: int) -> dict[str, NDArray[np.float32]]:
        key = [self._seed, step * _ROWS_PER_STEP + row]
        random = np.random.Generator(np.random.Philox(key=key))
        mixing = self._mixing
        speech = self._cut(self._speech, random, change_speed=True)
        noise = self._draw_noise(random)
        high = random.random() < mixing.high_snr_share
        snr = random.uniform(*(mixing.high_snr_db if high else mixing.snr_db))
        return {
            "speech": speech,
            "noise": noise,
            "equaliser": np.stack([self._equaliser(random), self._equaliser(random)]),
            "snr_db": np.float32(snr),
            "level_dbfs": np.float32(random.uniform(*mixing.level_dbfs)),
        }

    def _draw_noise(self, random: np.random.Generator) -> NDArray[np.float32]:
        mixing = self._mixing
        if random.random() < mixing.babble_share:
            voices = random.integers(mixing.babble_voices[0], mixing.babble_voices[1] + 1)
            return sum(_unit_rms(self._cut(self._speech, random, True)) for _ in range(voices))
        noise = self._cut(self._noise, random, change_speed=True)
        if random.random() < mixing.second_noise_share:
            second = _unit_rms(self._cut(self._noise, random, change_speed=True))
            noise = _unit_rms(noise) + np.float32(10 ** random.uniform(-0.5, 0.0)) * second
        return noise

    def _cut(self, drawer: _Drawer, random: np.random.Generator, change_speed: bool):
        speed = 1.0
        if change_speed and random.random() < self._mixing.speed_share:
            speed = random.uniform(*self._mixing.speed)
        needed = int(np.ceil(self.samples * speed)) + 64
        for _ in range(_ATTEMPTS):
            cut = drawer.draw(random, needed)
            if np.sqrt(np.mean(cut.astype(np.float32) ** 2)) > _MIN_RMS * 32768:
                break
        cut = cut.astype(np.float32) / 32768
        return (_resampled(cut, speed) if speed != 1.0 else cut)[: self.samples]

    def _equaliser(self, random: np.random.Generator) -> NDArray[np.float32]:
        """A smooth gain per bin: four cosines over the spectrum, finer ones weaker."""
        order = np.arange(1, 5)[:, None]
        bound = self._mixing.equaliser_db / order[:, 0]
        curves = np.cos(np.pi * order * np.arange(BINS) / (BINS - 1))
        return (10 ** (random.uniform(-bound, bound) @ curves / 20)).astype(np.float32)


class _Drawer:
    """Draws stretches of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._members = pool, pool.members()
        length = pool.end - pool.start
        weight = np.sqrt([length[m].sum() for m in self._members])
        self._by_group = np.cumsum(weight / weight.sum())
        self._by_length = [np.cumsum(length[m] / length[m].sum()) for m in self._members]

    def draw(self, random: np.random.Generator, samples: int) -> NDArray[np.int16]:
        """`samples` samples of one group; intervals that are too short are joined."""
        group = min(np.searchsorted(self._by_group, random.random()), len(self._members) - 1)
        members, shares = self._members[group], self._by_length[group]
        out = np.empty(samples, np.int16)
        filled = 0
        while filled < samples:
            index = members[min(np.searchsorted(shares, random.random()), len(members) - 1)]
            start, end = self._pool.start[index], self._pool.end[index]
            room = max(0, end - start - (samples - filled))
            start += random.integers(room + 1)
            piece = self._pool.samples[start : min(end, start + samples - filled)]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out


def _unit_rms(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    return sound / np.float32(max(np.sqrt(np.mean(sound**2)), _MIN_RMS))


def _resampled(sound: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """`sound` played `speed` times as fast."""
    try:
        import soxr
    except ModuleNotFoundError as error:
        raise MissingExtra("soxr", "train") from error
    # "QQ" is cubic interpolation: a hundredth of the cost of a clean resampler, and training does
    # not hear the difference.
    return soxr.resample(sound, RATE * speed, RATE, quality="QQ")
