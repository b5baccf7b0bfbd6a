"""Fixed lists drawn from a corpus: the same rows for the same manifest and seed.

Headline rows at -5, 0, 5 and 10 dB, a few at -10, 15 and 20 dB and clean.  Speakers and noise
classes take turns, so each has as many rows as the others; a row is 4 to 6 s of one interval (all
of it when it is shorter).  Levels are plain energy over the segment, no active-speech weighting:

    g           = sqrt(mean(s^2) / (mean(n^2) 10^(snr_db / 10)))
    gain_speech = 10^(level_dbfs / 20) / sqrt(mean((s + g n)^2))
    gain_noise  = gain_speech g

with level_dbfs drawn from -36..-18 and lowered by whole dB until the peak is at most 0.99.

A list of rooms has a room of its own in every row, and s and n above are what its microphone
hears.  Every third of its rows at 5 dB and above has another talker of the split for a noise;
below that nothing would say which of two voices is wanted.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.audio.corpora import RATE, Corpus, Interval, Kind, Split
from tinyse.audio.decoded import decoded
from tinyse.audio.lists import HEADLINE_DB, MixtureRow, heard, list_csv
from tinyse.errors import InputError
from tinyse.files import write_text

EXTRA_DB = (-10.0, 15.0, 20.0, None)  # None: clean
PEAK = 0.99
_SHORTEST, _LONGEST = 4 * RATE, 6 * RATE
_LEAST = RATE  # an interval under a second is no row
_SILENT = 1e-10  # mean square under which nothing can be scaled to an SNR
_TRIES = 50
TALKER = "talker"  # noise class of a row whose noise is another talker
_TALKER_FROM_DB = 5.0
_TALKER_EVERY = 3
_FIRST_ROOM = {"train": 0, "valid": 10_000, "test": 20_000}  # no room is in two splits

_Key = tuple[str, int, str, int]  # speech file and start, noise file and start


def write_list(
    corpus: Corpus, split: Split, path: Path, rows_per_snr: int, seed: int, rooms: bool = False
) -> None:
    """Draw a list from `split` and write it to `path`."""
    write_text(path, list_csv(draw_list(corpus, split, rows_per_snr, seed, rooms)))


def draw_list(
    corpus: Corpus, split: Split, rows_per_snr: int, seed: int, rooms: bool = False
) -> list[MixtureRow]:
    """`rows_per_snr` rows for each headline SNR, an eighth (rooms: a third) for each other one.

    rooms : put every row into a simulated room, and other talkers among the noises
    """
    rng = np.random.default_rng([seed, len(split), ord(split[0])])
    voices, noises = (_turns(rng, corpus, split, kind) for kind in ("speech", "noise"))
    talkers = _turns(rng, corpus, split, "speech") if rooms else None
    if talkers and talkers.many < 2:
        what = f"has one speaker in split {split}, and a list of rooms needs two"
        raise InputError(what, corpus.root / corpus.name, "add one or draw without --rooms")
    ratios: list[float | None] = [snr for snr in HEADLINE_DB for _ in range(rows_per_snr)]
    extra = max(1, rows_per_snr // (3 if rooms else 8))
    ratios += [snr for snr in EXTRA_DB for _ in range(extra)]
    used: set[_Key] = set()
    found = []
    for number, snr in enumerate(ratios):
        loud = snr is not None and snr >= _TALKER_FROM_DB
        other = talkers if talkers and loud and number % _TALKER_EVERY == 0 else noises
        room = _FIRST_ROOM[split] + number if rooms else None
        name = f"{'rooms-' if rooms else ''}{split}-{number + 1:04d}"
        found.append(_row(rng, corpus, name, snr, (voices, other), used, room))
    return found


def gains(
    speech: NDArray[np.floating], noise: NDArray[np.floating], snr_db: float, level_dbfs: float
) -> tuple[float, float, float]:
    """(gain_speech, gain_noise, level_dbfs) of the formula above, the level as it was lowered."""
    ratio = np.sqrt(np.mean(speech**2) / (np.mean(noise**2) * 10 ** (snr_db / 10)))
    gain, level_dbfs = _to_level(speech + ratio * noise, level_dbfs)
    return gain, float(gain * ratio), level_dbfs


def _to_level(mixture: NDArray[np.float64], level_dbfs: float) -> tuple[float, float]:
    over_db = level_dbfs + 20 * np.log10(
        np.abs(mixture).max() / np.sqrt(np.mean(mixture**2)) / PEAK
    )
    level_dbfs -= max(0.0, float(np.ceil(over_db)))
    return float(10 ** (level_dbfs / 20) / np.sqrt(np.mean(mixture**2))), round(level_dbfs, 1)


def can_draw(corpus: Corpus, split: Split) -> bool:
    """Whether a split has noise, and speech that is long enough for a row."""
    speech = corpus.select(kind="speech", split=split)
    noise = corpus.select(kind="noise", split=split)
    return bool(noise) and any(each.samples >= _LEAST for each in speech)


class _Turns:
    """Intervals without end: the speakers (noise classes) in turn, each a random one of its own.

    many : speakers or noise classes
    """

    def __init__(self, rng: np.random.Generator, by_name: dict[str, list[Interval]]) -> None:
        self._rng, self._by_name, self.many = rng, by_name, len(by_name)
        self._names = itertools.cycle(rng.permutation(sorted(by_name)))

    def next(self) -> Interval:
        intervals = self._by_name[next(self._names)]
        return intervals[int(self._rng.integers(len(intervals)))]

    def pass_over(self) -> None:
        """The next one's turn is over."""
        next(self._names)


def _turns(rng: np.random.Generator, corpus: Corpus, split: Split, kind: Kind) -> _Turns:
    by_name: dict[str, list[Interval]] = defaultdict(list)
    for interval in corpus.select(kind=kind, split=split):
        if interval.samples >= _LEAST or kind == "noise":
            by_name[interval.speaker if kind == "speech" else interval.noise_class].append(interval)
    if not by_name:
        raise InputError(
            f"has no {kind} in split {split} to draw a list from",
            corpus.root / corpus.name,
            "add some",
        )
    return _Turns(rng, by_name)


class _Draw(msgspec.Struct, frozen=True):
    """A segment of speech and a stretch of noise of the same length."""

    voice: Interval
    start: int
    recording: Interval
    offset: int
    s: NDArray[np.float64]
    n: NDArray[np.float64]

    @property
    def key(self) -> _Key:
        return self.voice.path, self.voice.start, self.recording.path, self.recording.start

    @property
    def is_one_voice(self) -> bool:
        """Whether somebody would talk over himself."""
        return self.voice.speaker == self.recording.speaker

    @property
    def fits(self) -> bool:
        """Both can be heard, and nobody talks over himself."""
        heard_both = min(np.mean(self.s**2), np.mean(self.n**2)) > _SILENT
        return not self.is_one_voice and bool(heard_both)

    @property
    def fault(self) -> tuple[str, str]:
        """Why it does not fit, and in which file."""
        if self.is_one_voice:
            return "only a single voice was drawn", self.voice.path
        mute = self.recording if np.mean(self.s**2) > _SILENT else self.voice
        return "only silence was drawn", mute.path


def _draw(
    rng: np.random.Generator,
    corpus: Corpus,
    voice: Interval,
    recording: Interval,
    room: int | None,
) -> _Draw:
    start, length = _segment(rng, voice)
    s = _samples(corpus, voice.path, start, start + length)
    z = _samples(corpus, recording.path, recording.start, recording.end)
    offset = int(rng.integers(len(z) - length if len(z) > length else len(z)))
    n = np.take(z, np.arange(offset, offset + length), mode="wrap")
    return _Draw(voice, start, recording, offset, heard(room, 0, s), heard(room, 1, n))


def _row(
    rng: np.random.Generator,
    corpus: Corpus,
    name: str,
    snr_db: float | None,
    turns: tuple[_Turns, _Turns],
    used: set[_Key],
    room: int | None,
) -> MixtureRow:
    draw = None
    voices, noises = turns
    alike = 0
    for _ in range(_TRIES):
        drawn = _draw(rng, corpus, voices.next(), noises.next(), room)
        # After a whole round of one voice the turns are in step, and would be so for ever.  Sooner
        # would change the lists that were drawn before this was seen to.
        alike = alike + 1 if drawn.is_one_voice else 0
        if alike == noises.many:
            noises.pass_over()
        if drawn.fits:
            # A small corpus runs out of new pairs: the last that fits is taken, although it was
            # before; two rows of one pair still differ in their stretches.
            draw = drawn
            if draw.key not in used:
                break
    if draw is None:
        what, path = drawn.fault
        raise InputError(what, corpus.root / path, "check the files")
    used.add(draw.key)
    level = round(float(rng.uniform(-36, -18)), 1)
    voice: dict[str, Any] = {
        "id": name, "snr_db": snr_db, "n_samples": len(draw.s), "speaker": draw.voice.speaker,
        "speech_path": draw.voice.path, "speech_start": draw.start, "room": room,
    }  # fmt: skip
    if snr_db is None:
        gain, level = _to_level(draw.s, level)
        return MixtureRow(**voice, gain_speech=gain, level_dbfs=level)
    gain_speech, gain_noise, level = gains(draw.s, draw.n, snr_db, level)
    noise = draw.recording
    noise_class = TALKER if noise.kind == "speech" else noise.noise_class
    return MixtureRow(
        **voice, gain_speech=gain_speech, gain_noise=gain_noise, level_dbfs=level,
        noise_class=noise_class, noise_group=noise.group, noise_path=noise.path,
        noise_start=noise.start, noise_end=noise.end, noise_offset=draw.offset,
    )  # fmt: skip


def _segment(rng: np.random.Generator, voice: Interval) -> tuple[int, int]:
    """(start, samples) of 4 to 6 s inside the interval, all of it when it is shorter than 4 s."""
    if voice.samples <= _SHORTEST:
        return voice.start, voice.samples
    n = int(rng.integers(_SHORTEST, min(_LONGEST, voice.samples) + 1))
    return voice.start + int(rng.integers(voice.samples - n + 1)), n


def _samples(corpus: Corpus, path: str, start: int, end: int) -> NDArray[np.float64]:
    samples = decoded(corpus.root / path)
    if end > len(samples):
        raise InputError(
            f"interval to sample {end}, the file has {len(samples)}",
            corpus.root / path,
            "run: tinyse data check",
        )
    return samples[start:end].astype(np.float64)
