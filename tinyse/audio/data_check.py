"""Read every file of a manifest once and say what is wrong with it.

| fault       | means                                                                       |
|-------------|-----------------------------------------------------------------------------|
| unreadable  | missing, empty, or not audio                                                |
| truncated   | the container promises more than is there                                   |
| not_finite  | NaN or infinite samples                                                     |
| rate        | another rate than the manifest's file_rate (16 kHz where it names none)     |
| channels    | other than file_channels (1)                                                |
| outside     | the interval ends after the file                                            |
| clipping    | runs of four samples or more at full scale, in all over 0.1 % of it         |
| silence     | RMS of the interval under -70 dBFS                                          |
| duplicate   | the same samples as another interval                                        |
| crossing    | the group or speaker is in another split too                                |
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.audio.corpora import RATE, Interval, crossing_groups, read_rows
from tinyse.audio.io import BadAudio, read_frames, resample

FULL_SCALE = 0.999
CLIPPED_RUN = 4  # samples; a sine at full scale touches it for two or three
CLIPPED_SHARE = 1e-3  # of an interval; lossy decoding lifts single peaks beyond full scale
SILENCE_DBFS = -70.0


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong; `row` counts as in the manifest, its header being row 1."""

    kind: str
    row: int
    path: str
    text: str


class Checked(msgspec.Struct, frozen=True):
    """What was read, and the faults in the order of their rows."""

    manifest: str
    files: int
    intervals: int
    minutes: float
    faults: tuple[Fault, ...]

    def counts(self) -> dict[str, int]:
        """Faults by kind."""
        return dict(Counter(fault.kind for fault in self.faults))


class _File(msgspec.Struct, frozen=True):
    """One file's work: its intervals with their rows."""

    root: Path
    rows: tuple[tuple[int, Interval], ...]


class _Facts(msgspec.Struct, frozen=True):
    faults: list[Fault]
    hashes: list[tuple[int, str]]  # row and hash of the interval's samples


def check(
    manifest: Path,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    where: str = "local",
) -> Checked:
    """Check `manifest`, its files in parallel; InputError only when the manifest cannot be read.

    `where` is this machine or a Ray cluster that sees the same folders, as in `tasks.map_tasks`.
    """
    from tinyse.tasks import map_tasks

    corpus, numbers = read_rows(Path(manifest))
    by_path: dict[str, list[tuple[int, Interval]]] = defaultdict(list)
    for row, interval in zip(numbers, corpus.intervals, strict=True):
        by_path[interval.path].append((row, interval))
    work = [_File(corpus.root, tuple(rows)) for rows in by_path.values()]
    facts = map_tasks(_check_file, work, where, workers, progress)
    faults = [fault for fact in facts for fault in fact.faults]
    faults += _duplicates(dict(zip(numbers, corpus.intervals, strict=True)), facts)
    for place, text in crossing_groups(corpus.intervals):
        faults.append(Fault("crossing", numbers[place], corpus.intervals[place].path, text))
    return Checked(
        str(manifest), len(work), len(corpus.intervals),
        round(sum(interval.samples for interval in corpus.intervals) / RATE / 60, 2),
        tuple(sorted(faults, key=lambda fault: (fault.row, fault.kind))),
    )  # fmt: skip


def _check_file(file: _File) -> _Facts:
    first, interval = file.rows[0]
    try:
        frames, header = read_frames(file.root / interval.path)
    except BadAudio as error:
        return _Facts([Fault(error.fault, first, interval.path, error.what)], [])
    faults = [
        Fault(kind, first, interval.path, f"expected {expected}, got {got}")
        for kind, expected, got in (
            ("rate", interval.file_rate, header.rate),
            ("channels", interval.file_channels, header.channels),
        )
        if expected != got
    ]
    samples = frames.mean(axis=1)
    if header.rate != RATE:
        samples = resample(samples, header.rate, RATE)
    hashes = []
    for row, part in file.rows:
        if part.end > len(samples):
            text = f"the interval ends at {part.end}, the file has {len(samples)} samples"
            faults.append(Fault("outside", row, part.path, text))
            continue
        piece = samples[part.start : part.end]
        faults += (Fault(kind, row, part.path, text) for kind, text in _heard(piece))
        hashes.append((row, _hash(piece)))
    return _Facts(faults, hashes)


def _heard(piece: NDArray[np.floating]) -> Iterator[tuple[str, str]]:
    clipped = clipped_samples(piece)
    if clipped > CLIPPED_SHARE * len(piece):
        yield "clipping", f"{clipped} of {len(piece)} samples at full scale"
    level = 10 * np.log10(np.mean(piece.astype(np.float64) ** 2) + 1e-20)
    if level < SILENCE_DBFS:
        yield "silence", f"RMS {level:.0f} dBFS"


def clipped_samples(piece: NDArray[np.floating]) -> int:
    """Samples in runs of CLIPPED_RUN or more at full scale."""
    flat = np.concatenate(([False], np.abs(piece) >= FULL_SCALE, [False]))
    edges = np.flatnonzero(np.diff(flat.astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= CLIPPED_RUN].sum())


def _hash(piece: NDArray[np.floating]) -> str:
    # 16 bits: the same sound as FLAC and as a WAV of floats is a duplicate too.
    pcm = np.rint(np.clip(piece, -1, 1) * 32767).astype("<i2")
    return hashlib.blake2b(pcm.tobytes(), digest_size=16).hexdigest()


def _duplicates(intervals: dict[int, Interval], facts: list[_Facts]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for row, digest in sorted(pair for fact in facts for pair in fact.hashes):
        earlier = first.setdefault(digest, row)
        if earlier != row:
            text = f"the same samples as row {earlier}"
            yield Fault("duplicate", row, intervals[row].path, text)
