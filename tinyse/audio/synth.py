"""The embedded corpus: synthetic speech and noise, in the folder shape of a real one.

    OUT/{train,valid,test}/speech/<speaker>.flac     utterances of 4 to 8 s, back to back
    OUT/{train,valid,test}/noise/<class>.flac        recordings of 4 to 14 s, back to back
    OUT/manifest.csv  OUT/mixtures_valid.csv  OUT/mixtures_test.csv

16 kHz mono FLAC.  Everything is a function of (minutes, seed): each file is drawn from a generator
seeded by the seed and the file's own name, so neither order nor workers change a sample.  It shows
that the chain works and what it costs; what a network learns on it says little of real speech.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from tinyse.audio import noises
from tinyse.audio.corpora import (
    RATE,
    SPLITS,
    Corpus,
    Interval,
    Kind,
    Split,
    read_manifest,
    write_manifest,
)
from tinyse.audio.draw_lists import gains, write_list
from tinyse.audio.io import write_audio
from tinyse.audio.lists import Mixture
from tinyse.audio.noises import Sound
from tinyse.audio.sentences import sentence
from tinyse.audio.voices import Speaker, Voice, speakers
from tinyse.errors import InputError
from tinyse.tasks import map_tasks

Progress = Callable[[int, int], None]

SHARES: dict[Split, float] = {"train": 0.7, "valid": 0.15, "test": 0.15}
NOISE_SHARE = 1 / 3  # of the minutes
LONGEST_MINUTES = 60 * 100
_SECONDS_A_SPEAKER = 8  # a short corpus has fewer speakers, each with an utterance at least
_SHORTEST = 4.0  # seconds of an interval: the shortest segment of a list
_UTTERANCE = (5.0, 8.0)  # seconds: the longest segment of a list is 6 s
_RECORDING = (6.0, 14.0)  # seconds
_FADE = 80  # samples, 5 ms
_SOURCE = {"speech": "espeak-ng", "noise": "numpy"}


class Job(msgspec.Struct, frozen=True):
    """One file to make below `root`: a speaker's (`speaker`) or a noise class's."""

    root: Path
    split: Split
    name: str
    seconds: float
    seed: int
    speaker: Speaker | None = None

    @property
    def path(self) -> str:
        return f"{self.split}/{'speech' if self.speaker else 'noise'}/{self.name}.flac"

    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(self.path.encode())])


def make_corpus(
    out: Path,
    minutes: float,
    seed: int = 1,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    """Make `minutes` of speech and noise together (never under one) in the new folder `out`.

    The folder appears when it is complete.  Raises InputError when `out` exists (with `force`: when
    it exists and is no corpus), MissingExtra without the synthesiser.
    """
    out = Path(out).resolve()
    if not 1 <= minutes <= LONGEST_MINUTES or seed < 0:
        what = (
            f"expected 1 to {LONGEST_MINUTES} minutes and a seed from 0, got {minutes:g} and {seed}"
        )
        raise InputError(what, "data synth", "correct --minutes or --seed")
    _refuse_existing(out, force)
    with _workplace(out) as place:
        root = Path(place) / "corpus"
        jobs = plan(root, minutes, seed)
        done = map_tasks(make, jobs, workers=workers, progress=progress)
        intervals = [interval for made in done for interval in made]
        write_manifest(root / "manifest.csv", intervals)
        corpus = read_manifest(root / "manifest.csv")
        for split in ("valid", "test"):
            seconds = 60 * minutes * SHARES[split]
            rows = int(np.clip(seconds / 6, 4, 60))
            write_list(corpus, split, root / f"mixtures_{split}.csv", rows, seed)
        _put(root, out)
    return read_manifest(out / "manifest.csv")


def plan(root: Path, minutes: float, seed: int) -> list[Job]:
    """The files of a corpus; the seed picks the speakers when there is no room for all."""
    jobs = []
    for split in SPLITS:
        seconds = 60 * minutes * SHARES[split]
        jobs += _speech_jobs(root, split, seconds * (1 - NOISE_SHARE), seed)
        jobs += _noise_jobs(root, split, seconds * NOISE_SHARE, seed)
    return jobs


def make(job: Job) -> list[Interval]:
    """Write one file; its intervals."""
    sounds = _utterances(job) if job.speaker else _recordings(job)
    write_audio(job.root / job.path, np.concatenate(sounds))
    ends = np.cumsum([len(sound) for sound in sounds])
    return [
        _interval(job, number, int(end) - len(sound), int(end))
        for number, (end, sound) in enumerate(zip(ends, sounds, strict=True))
    ]


def demo_mixture(seed: int = 1) -> Mixture:
    """About 9 s of a voice of the test split in passing traffic, at 2 dB."""
    rng = np.random.default_rng([seed, zlib.crc32(b"demo")])
    speaker = next(speaker for speaker in speakers("test") if speaker.language == "en")
    with Voice(speaker) as voice:
        speech = _utterance(rng, voice, speaker.language, 8.5)
    noise = noises.traffic(rng, len(speech))
    gain_speech, gain_noise, _ = gains(speech, noise, 2.0, -24.0)
    target = gain_speech * speech
    mixture = target + gain_noise * noise
    return Mixture(
        f"demo-{seed}", mixture.astype(np.float32), target.astype(np.float32),
        speaker.name, "traffic", 2.0,
    )  # fmt: skip


def _speech_jobs(root: Path, split: Split, seconds: float, seed: int) -> list[Job]:
    everyone = speakers(split)
    count = int(np.clip(seconds / _SECONDS_A_SPEAKER, 2, len(everyone)))
    picked = np.random.default_rng([seed, len(split)]).permutation(len(everyone))[:count]
    share = seconds / count
    return [
        Job(root, split, everyone[n].name, share, seed, everyone[n])
        for n in sorted(picked.tolist())
    ]


def _noise_jobs(root: Path, split: Split, seconds: float, seed: int) -> list[Job]:
    names = [n for n in noises.CLASSES if split == "test" or n not in noises.TEST_ONLY]
    names.insert(1, noises.BABBLE)
    if split == "test":
        names = [*noises.TEST_ONLY, *(n for n in names if n not in noises.TEST_ONLY)]
    count = int(np.clip(seconds / _RECORDING[0], 3, len(names)))
    return [Job(root, split, name, seconds / count, seed) for name in names[:count]]


def _interval(job: Job, number: int, start: int, end: int) -> Interval:
    kind: Kind = "speech" if job.speaker else "noise"
    group = job.name if job.speaker else f"{job.split}-{job.name}-{number}"
    return Interval(
        path=job.path, kind=kind, split=job.split, group=group, start=start, end=end,
        speaker=job.name if job.speaker else "", noise_class="" if job.speaker else job.name,
        language=job.speaker.language if job.speaker else "", source=_SOURCE[kind],
    )  # fmt: skip


def _utterances(job: Job) -> list[Sound]:
    rng, made = job.rng(), []
    assert job.speaker is not None
    level = rng.uniform(-30, -20)
    with Voice(job.speaker) as voice:
        for seconds in _lengths(rng, job.seconds, _UTTERANCE):
            utterance = _utterance(rng, voice, job.speaker.language, seconds)
            made.append(_faded(noises.levelled(utterance, level + rng.uniform(-3, 3))))
    return made


def _lengths(rng: np.random.Generator, seconds: float, within: tuple[float, float]) -> list[float]:
    """Lengths drawn from `within` that make up `seconds`; none under 4 s, and one at least."""
    lengths: list[float] = []
    while not lengths or seconds > _SHORTEST:
        lengths.append(max(_SHORTEST, min(seconds, rng.uniform(*within))))
        seconds -= lengths[-1]
    return lengths


def _utterance(rng: np.random.Generator, voice: Voice, language: str, seconds: float) -> Sound:
    """Sentences with pauses of 0.15 to 0.5 s, cut to `seconds`."""
    pieces, length = [], 0
    while length < seconds * RATE:
        text = sentence(rng, language)
        said = _trimmed(voice.say(text, int(rng.integers(-5, 6)), int(rng.integers(-12, 13))))
        pause = np.zeros(int(RATE * rng.uniform(0.15, 0.5)))
        pieces += [said, pause]
        length += len(said) + len(pause)
    return np.concatenate(pieces)[: int(seconds * RATE)]


def _trimmed(sound: Sound) -> Sound:
    """Without the silence that the synthesiser puts before and after a sentence."""
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1]


def _recordings(job: Job) -> list[Sound]:
    rng, made = job.rng(), []
    voices = functools.cache(_babble_voices) if job.name == noises.BABBLE else None
    for seconds in _lengths(rng, job.seconds, _RECORDING):
        n = int(RATE * seconds)
        if voices:
            sound = noises.levelled(_babble(rng, voices(job), n), rng.uniform(-36, -22))
        else:
            sound = noises.recording(job.name, rng, n)
        made.append(_faded(sound))
    return made


def _babble_voices(job: Job) -> list[Sound]:
    """Six of the split's speakers, each saying 16 s that are nowhere else in the corpus."""
    rng = job.rng()
    everyone = speakers(job.split)
    made = []
    for n in rng.permutation(len(everyone))[:6]:
        with Voice(everyone[n]) as voice:
            made.append(_utterance(rng, voice, everyone[n].language, 16.0))
    return made


def _babble(rng: np.random.Generator, voices: Sequence[Sound], n: int) -> Sound:
    """Four to eight of the voices, some twice, each from a place of its own."""
    sound = np.zeros(n)
    for _ in range(rng.integers(4, 9)):
        voice = voices[int(rng.integers(len(voices)))]
        start = rng.integers(len(voice))
        said = np.take(voice, np.arange(start, start + n), mode="wrap")
        sound += said / np.sqrt(np.mean(said**2)) * 10 ** (rng.uniform(-8, 0) / 20)
    return sound


def _faded(sound: Sound) -> Sound:
    """With 5 ms of fade at both ends, so that intervals join without a click."""
    ramp = np.arange(1, _FADE + 1) / (_FADE + 1)
    sound[:_FADE] *= ramp
    sound[-_FADE:] *= ramp[::-1]
    return sound


def _refuse_existing(out: Path, force: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not force:
        raise InputError("exists already", out, "name a new folder or give --force")
    if not (out / "manifest.csv").is_file():
        raise InputError("is not a corpus that could be replaced", out, "name a new folder")


def _workplace(out: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder beside `out`, so that the finished corpus can be renamed into place."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", out, "check the folder") from error


def _put(root: Path, out: Path) -> None:
    if out.exists():
        shutil.move(out, root.with_name("replaced"))  # goes with the workplace
    root.rename(out)
