"""A corpus decoded once: int16 samples in a memory-mapped file, named by a hash.

It is that of the manifest and of the files' times and sizes: other sound may bear an old name.
Decoding five hours of Opus takes a minute; every later run maps the file in no time, and a
mixing process shares it with the others through the page cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.corpora import KINDS, Corpus, Interval, Kind, Split
from tinyse.audio.decoded import decoded, file_key
from tinyse.audio.mixing import Pool
from tinyse.errors import InputError
from tinyse.files import atomic_file, cache_folder


@dataclass(frozen=True)
class PoolFiles:
    """Where the decoded train split of a corpus lies; travels to the mixing process."""

    speech: Path
    noise: Path

    def load(self) -> tuple[Pool, Pool]:
        """Speech and noise, memory-mapped."""
        return _load(self.speech), _load(self.noise)


def decode(
    corpus: Corpus,
    split: Split = "train",
    tell: Callable[[int, int], None] = lambda done, parts: None,
) -> PoolFiles:
    """Decode both kinds of a split into the cache, unless they are there.

    tell : called with intervals decoded and all of them, kind by kind
    """
    folder = cache_folder() / _digest(corpus, split)[:16]
    for kind in KINDS:
        if not (folder / f"{split}-{kind}.npy").exists():
            _decode(corpus, kind, split, folder / f"{split}-{kind}", tell)
    return PoolFiles(folder / f"{split}-speech", folder / f"{split}-noise")


def _digest(corpus: Corpus, split: Split) -> str:
    digest = hashlib.sha256(corpus.sha256.encode())
    for path in sorted({interval.path for interval in corpus.select(split=split)}):
        _, *facts = file_key(corpus.root / path)  # wherever the corpus lies
        digest.update(f"{path}\0{facts}\0".encode())
    return digest.hexdigest()


def _decode(
    corpus: Corpus, kind: Kind, split: Split, stem: Path, tell: Callable[[int, int], None]
) -> None:
    intervals = sorted(corpus.select(kind=kind, split=split), key=lambda i: (i.path, i.start))
    if not intervals:
        raise InputError(f"has no {kind} in split {split}", corpus.name, "add some, or use another")
    groups = {name: n for n, name in enumerate(sorted({i.group for i in intervals}))}
    pieces, table, at = [], [], 0
    for interval in intervals:
        piece = _samples(corpus, interval)
        pieces.append(piece)
        table.append((at, at + len(piece), groups[interval.group]))
        at += len(piece)
        tell(len(pieces), len(intervals))
    # The table first: the samples' presence says that both are there.
    with atomic_file(stem.with_suffix(".table.npy")) as file:
        np.save(file, np.array(table, np.int64))
    with atomic_file(stem.with_suffix(".npy")) as file:
        np.save(file, np.concatenate(pieces))


def _samples(corpus: Corpus, interval: Interval) -> NDArray[np.int16]:
    file = corpus.file(interval)
    sound = decoded(file)
    if interval.end > len(sound):
        raise InputError(
            f"expected samples up to {interval.end}, the file has {len(sound)}",
            file,
            "run tinyse data check on the manifest",
        )
    scaled = np.rint(sound[interval.start : interval.end] * np.float32(32768))
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def _load(stem: Path) -> Pool:
    table = np.load(stem.with_suffix(".table.npy"))
    return Pool(np.load(stem.with_suffix(".npy"), mmap_mode="r"), *table.T)
