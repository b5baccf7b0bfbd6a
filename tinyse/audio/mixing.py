"""Training mixtures drawn from a seed: every row is a function of (seed, step, row) alone.

The process that mixes only cuts, changes speed and adds noises.  What is one gain per frequency
(equalisers, SNR, level) travels as numbers and is applied on the spectra inside the training
graph, which is 14 times cheaper than filtering here.

    speech, noise   float32 [B, (frames + 1) * 256]; speech is all zero in rows of noise alone
    equaliser       float32 [B, 2, 257], gain per bin of speech and of noise
    snr_db, level_dbfs   float32 [B]

A row is drawn in this order: a stretch of speech, noises (recordings, babble, one or two other
talkers, made tones and knocks), the room they are in, rumble, wandering levels, equalisers.  The
reference is the speech as the microphone hears it, with its room, early and late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.audio import disturbances
from tinyse.audio.rooms import SOURCES, Room, draw_room
from tinyse.errors import MissingExtra
from tinyse.features import BINS, HOP, RATE
from tinyse.recipe import Mixing, Range

# A row's number must not run into the next step's.
_ROWS_PER_STEP = 100_000
_MIN_RMS = 1e-4  # of full scale: a quieter cut is drawn again
_ATTEMPTS = 20
_TRAIN_ROOMS = 1  # stream of rooms that no list uses


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
        self._rooms: dict[int, Room] = {}

    @staticmethod
    def samples_of(frames: int) -> int:
        """Samples that hold `frames` whole frames."""
        return (frames + 1) * HOP

    def batch(self, step: int, rows: int) -> dict[str, NDArray[np.float32]]:
        """The mixtures of a step (shapes in the module's docstring)."""
        drawn = [self._row(step, row) for row in range(rows)]
        return {key: np.stack([row[key] for row in drawn]) for key in drawn[0]}

    def _row(self, step: int, row: int) -> dict[str, NDArray[np.float32] | np.float32]:
        key = [self._seed, step * _ROWS_PER_STEP + row]
        random = np.random.Generator(np.random.Philox(key=key))
        mixing = self._mixing
        room = self._room(random) if random.random() < mixing.room_share else None
        voice, wanted = self._cut(self._speech, random, mixing.speed)
        speech = _heard(voice, room, 0)
        snr = self._snr(random)
        if random.random() < mixing.talker_share and self._speech.groups > 1:
            noise, snr = self._talkers(random, room, wanted), random.uniform(*mixing.talker_snr_db)
        else:
            noise = self._noises(random, room, wanted)
        if random.random() < mixing.rumble_share:
            rumble = disturbances.rumble(random, self.samples)
            noise = _unit_rms(noise) + _decibels(random.uniform(*mixing.rumble_db)) * rumble
        speech = self._wandering(random, speech)
        noise = self._wandering(random, noise)
        if random.random() < mixing.pause_share:
            speech = speech * disturbances.pause(random, self.samples)
        if random.random() < mixing.noise_only_share:
            speech = np.zeros_like(speech)
        microphone = self._equaliser(random, mixing.microphone_db)
        colours = [self._equaliser(random, mixing.equaliser_db) for _ in range(2)]
        return {
            "speech": speech,
            "noise": noise,
            "equaliser": np.stack(colours) * microphone,
            "snr_db": np.float32(snr),
            "level_dbfs": np.float32(random.uniform(*mixing.level_dbfs)),
        }

    def _room(self, random: np.random.Generator) -> Room:
        """One of the training rooms, drawn when it is first entered: 400 take ten seconds."""
        index = int(random.integers(self._mixing.rooms))
        if index not in self._rooms:
            # The same rooms for every seed of a run, so that seeds differ in nothing but chance.
            self._rooms[index] = draw_room(_TRAIN_ROOMS, index, self._mixing.room_rt60_s)
        return self._rooms[index]

    def _snr(self, random: np.random.Generator) -> float:
        mixing = self._mixing
        high = random.random() < mixing.high_snr_share
        return random.uniform(*(mixing.high_snr_db if high else mixing.snr_db))

    def _noises(
        self, random: np.random.Generator, room: Room | None, wanted: int
    ) -> NDArray[np.float32]:
        """Recordings or babble, and now and then something made, each from its own place."""
        mixing = self._mixing
        if random.random() < mixing.babble_share and self._speech.groups > 1:
            voices = int(random.integers(mixing.babble_voices[0], mixing.babble_voices[1] + 1))
            noise = _heard(self._voices(random, voices, wanted), room, 1)
        else:
            noise = _heard(self._noise_cut(random), room, 1)
        if random.random() < mixing.second_noise_share:
            noise = _with(random, noise, self._noise_cut(random), room)
        for share, made in (
            (mixing.tone_share, disturbances.tones),
            (mixing.transient_share, disturbances.transients),
        ):
            if random.random() < share:
                noise = _with(random, noise, made(random, self.samples), room)
        return noise

    def _talkers(
        self, random: np.random.Generator, room: Room | None, wanted: int
    ) -> NDArray[np.float32]:
        """One or two other talkers, and in half of the rows a weaker noise behind them."""
        noise = _heard(self._voices(random, int(random.integers(1, 3)), wanted), room, 1)
        if random.random() < 0.5:
            noise = _with(random, noise, self._noise_cut(random), room)
        return noise

    def _voices(self, random: np.random.Generator, count: int, wanted: int) -> NDArray[np.float32]:
        """Of others than the group `wanted`: nothing tells a voice from itself."""
        speed = self._mixing.speed
        cuts = [self._cut(self._speech, random, speed, besides=wanted)[0] for _ in range(count)]
        return np.sum([_unit_rms(cut) for cut in cuts], axis=0)

    def _wandering(self, random: np.random.Generator, sound: NDArray) -> NDArray[np.float32]:
        if random.random() >= self._mixing.wandering_share:
            return sound
        bound = self._mixing.wandering_db
        return sound * disturbances.level_curve(random, self.samples, bound)

    def _noise_cut(self, random: np.random.Generator) -> NDArray[np.float32]:
        return self._cut(self._noise, random, self._mixing.noise_speed)[0]

    def _cut(
        self,
        drawer: _Drawer,
        random: np.random.Generator,
        speeds: Range,
        besides: int | None = None,
    ) -> tuple[NDArray[np.float32], int]:
        """A stretch and the group that it is of, which is not `besides`."""
        speed = 1.0
        if random.random() < self._mixing.speed_share:
            speed = np.exp(random.uniform(*np.log(speeds)))
        needed = int(np.ceil(self.samples * speed)) + 64
        for _ in range(_ATTEMPTS):
            cut, group = drawer.draw(random, needed, besides)
            if np.sqrt(np.mean(cut.astype(np.float32) ** 2)) > _MIN_RMS * 32768:
                break
        sound = cut.astype(np.float32) / np.float32(32768)
        return (_resampled(sound, speed) if speed != 1.0 else sound)[: self.samples], group

    @staticmethod
    def _equaliser(random: np.random.Generator, bound_db: float) -> NDArray[np.float32]:
        """A smooth gain per bin: four cosines over the spectrum, finer ones weaker."""
        order = np.arange(1, 5)[:, None]
        bound = bound_db / order[:, 0]
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
        self.groups = sum(len(members) > 0 for members in self._members)

    def draw(
        self, random: np.random.Generator, samples: int, besides: int | None = None
    ) -> tuple[NDArray[np.int16], int]:
        """`samples` samples of one group, and which; intervals that are too short are joined.

        besides : a group that is not drawn, where there are others
        """
        group = self._group(random)
        while group == besides:
            group = self._group(random)
        members, shares = self._members[group], self._by_length[group]
        out = np.empty(samples, np.int16)
        filled = 0
        while filled < samples:
            index = members[min(int(np.searchsorted(shares, random.random())), len(members) - 1)]
            start, end = self._pool.start[index], self._pool.end[index]
            room = max(0, end - start - (samples - filled))
            start += random.integers(room + 1)
            piece = self._pool.samples[start : min(end, start + samples - filled)]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out, group

    def _group(self, random: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._by_group, random.random())), len(self._members) - 1)


def _heard(sound: NDArray[np.float32], room: Room | None, source: int) -> NDArray[np.float32]:
    return sound if room is None else room.heard(sound, source)


def _with(
    random: np.random.Generator, noise: NDArray, second: NDArray, room: Room | None
) -> NDArray[np.float32]:
    """`noise` and up to 10 dB below it a `second` one, from the room's last place."""
    second = _unit_rms(_heard(second, room, SOURCES - 1))
    return _unit_rms(noise) + _decibels(random.uniform(-10, 0)) * second


def _decibels(value: float) -> np.float32:
    return np.float32(10 ** (value / 20))


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
