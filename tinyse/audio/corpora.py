"""Corpus manifests: which interval of which file is speech or noise, and in which split.

A manifest is a CSV file; its paths are relative to its own folder.  Required columns:

    path          audio file
    kind          speech | noise
    split         train | valid | test
    group         speaker or recording; never in two splits
    start, end    samples at 16 kHz of the file as `tinyse.audio.io.read_audio` gives it,
                  end exclusive
    sample_rate   16000 (the rate that `start` and `end` count in)

Optional: speaker (default: the group), noise_class, language, source, licence, and file_rate and
file_channels (what the file itself holds, where that is not 16 kHz mono).  Other columns are
ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, cast

import msgspec

from tinyse.audio.tables import Row, Table, read_table, to_csv
from tinyse.errors import InputError
from tinyse.features import RATE
from tinyse.files import read_bytes, write_bytes
from tinyse.recipe import Data

Kind = Literal["speech", "noise"]
Split = Literal["train", "valid", "test"]
KINDS: tuple[Kind, ...] = ("speech", "noise")
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
REQUIRED = ("path", "kind", "split", "group", "start", "end", "sample_rate")
_REMEDY = "make the manifest with: tinyse data prepare"


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Samples `start` .. `end` (exclusive) of one file."""

    path: str
    kind: Kind
    split: Split
    group: str
    start: int
    end: int
    speaker: str = ""
    noise_class: str = ""
    language: str = ""
    source: str = ""
    licence: str = ""
    sample_rate: int = RATE
    file_rate: int = RATE
    file_channels: int = 1

    @property
    def samples(self) -> int:
        return self.end - self.start


class Corpus(msgspec.Struct, frozen=True):
    """A manifest that was read; `root` is the folder its paths are relative to."""

    root: Path
    name: str
    sha256: str
    intervals: tuple[Interval, ...]

    def select(self, kind: Kind | None = None, split: Split | None = None) -> tuple[Interval, ...]:
        """The intervals of one kind and one split (None: of all)."""
        return tuple(
            interval
            for interval in self.intervals
            if kind in (None, interval.kind) and split in (None, interval.split)
        )

    def file(self, interval: Interval) -> Path:
        return self.root / interval.path

    def part(self, share: float) -> Corpus:
        """The same with at least `share` of the train split, of speech and of noise alike.

        Groups are kept whole, in an order that their names alone decide: less is part of more.
        """
        if share == 1.0:
            return self
        kept = {(kind, name) for kind in KINDS for name in self._first_groups(kind, share)}
        return msgspec.structs.replace(
            self,
            sha256=hashlib.sha256(f"{self.sha256} {share}".encode()).hexdigest(),
            intervals=tuple(
                each
                for each in self.intervals
                if each.split != "train" or (each.kind, each.group) in kept
            ),
        )

    def _first_groups(self, kind: Kind, share: float) -> Iterator[str]:
        samples: dict[str, int] = {}
        for each in self.select(kind, "train"):
            samples[each.group] = samples.get(each.group, 0) + each.samples
        wanted, have = share * sum(samples.values()), 0
        for name in sorted(samples, key=lambda name: hashlib.sha256(name.encode()).digest()):
            if have >= wanted:
                return
            have += samples[name]
            yield name


def corpus_of_recipe(table: Data, data: Path) -> Corpus:
    """What a recipe trains on, of the corpus in folder `data`."""
    return read_manifest(data / table.manifest).part(table.share)


def read_manifest(path: Path, data: bytes | None = None) -> Corpus:
    """The corpus in the manifest `path`; every file is there and no group is in two splits.

    data : the manifest's bytes, where they are not written yet

    Raises InputError that names the file, the row and what to do.
    """
    table, corpus = _read(Path(path), data)
    for place, what in crossing_groups(corpus.intervals):
        table.rows[place].refuse(what, "keep each group in one split")
    found: set[str] = set()
    for row, interval in zip(table.rows, corpus.intervals, strict=True):
        if interval.path not in found:
            found.add(row.file("path", corpus.root))
    return corpus


def read_rows(path: Path) -> tuple[Corpus, tuple[int, ...]]:
    """Like `read_manifest`, but files may be missing and groups may cross; with the row numbers."""
    table, corpus = _read(Path(path))
    return corpus, tuple(row.number for row in table.rows)


def write_manifest(path: Path, intervals: Iterable[Interval]) -> None:
    """Write `intervals` as a manifest, whole or not at all."""
    write_bytes(path, manifest_bytes(intervals))


def manifest_bytes(intervals: Iterable[Interval]) -> bytes:
    """The bytes that `write_manifest` writes."""
    columns = Interval.__struct_fields__
    rows = ([getattr(interval, column) for column in columns] for interval in intervals)
    return to_csv(columns, rows).encode()


def crossing_groups(intervals: Iterable[Interval]) -> Iterator[tuple[int, str]]:
    """(place, what) of each interval whose group or speaker is in another split too."""
    first: dict[tuple[str, str], Interval] = {}
    for place, interval in enumerate(intervals):
        keys = [(f"{interval.kind} group", interval.group)]
        if interval.kind == "speech" and interval.speaker:
            keys.append(("speaker", interval.speaker))
        for key in keys:
            other = first.setdefault(key, interval)
            if other.split != interval.split:
                yield place, f"{key[0]} {key[1]!r} is in {other.split} and in {interval.split}"
                break


def _read(path: Path, data: bytes | None = None) -> tuple[Table, Corpus]:
    data = read_bytes(path) if data is None else data
    table = read_table(path, data)
    table.need(REQUIRED, _REMEDY)
    if not table.rows:
        raise InputError("has no rows", path, _REMEDY)
    intervals = tuple(_interval(row) for row in table.rows)
    return table, Corpus(path.parent, path.name, hashlib.sha256(data).hexdigest(), intervals)


def _interval(row: Row) -> Interval:
    start = row.integer("start")
    end = row.integer("end")
    if end <= start:
        row.refuse(f"end: expected more than start = {start}, got {end}", "correct the interval")
    if row.integer("sample_rate") != RATE:
        row.refuse(f"sample_rate: expected {RATE}, got {row.text('sample_rate')}", _REMEDY)
    kind = cast(Kind, row.choice("kind", KINDS))
    group = row.required("group")
    return Interval(
        path=row.required("path"),
        kind=kind,
        split=cast(Split, row.choice("split", SPLITS)),
        group=group,
        start=start,
        end=end,
        speaker=row.text("speaker", group if kind == "speech" else ""),
        noise_class=row.text("noise_class", group if kind == "noise" else ""),
        language=row.text("language"),
        source=row.text("source"),
        licence=row.text("licence"),
        file_rate=row.integer("file_rate", 1) if row.text("file_rate") else RATE,
        file_channels=row.integer("file_channels", 1) if row.text("file_channels") else 1,
    )
