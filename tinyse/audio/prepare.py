"""Index folders of speech and noise: a manifest, and the fixed lists drawn from it.

A folder of a known shape (`tinyse.audio.shapes`) brings its speakers and its own splits.  Any other
is named as speech or as noise: a group is then the speaker in the file's name, else the sub-folder,
else the file itself.  Where a corpus has no split of its own, its groups are put in the order of
their hashes and the first ones go to valid and test, so the same files give the same splits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from tinyse.audio import shapes
from tinyse.audio.corpora import (
    SPLITS,
    Corpus,
    Interval,
    Kind,
    Split,
    manifest_bytes,
    read_manifest,
)
from tinyse.audio.draw_lists import can_draw, draw_list
from tinyse.audio.io import BadAudio, Notices, audio_below, read_format, resampled_length
from tinyse.audio.lists import list_csv
from tinyse.audio.tables import refuse_no_csv
from tinyse.errors import InputError
from tinyse.files import write_together

Progress = Callable[[int, int], None]
LISTED: tuple[Split, ...] = ("valid", "test")  # splits that get a list


class _Found(msgspec.Struct, frozen=True):
    """A file, before its split is known."""

    file: Path
    kind: Kind
    group: str
    label: str  # speaker or noise class
    source: str
    split: Split | None


def prepare(
    folders: Sequence[Path],
    out: Path,
    *,
    speech: Sequence[Path] = (),
    noise: Sequence[Path] = (),
    valid: float = 0.1,
    test: float = 0.1,
    rows: int = 40,
    seed: int = 1,
    force: bool = False,
    notices: Notices | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Index corpora of known shapes, and plain `speech` and `noise` folders, into `out`.

    `valid` and `test` are shares of the groups without a split of their own.  Beside the manifest
    go mixtures_valid.csv and mixtures_test.csv, `rows` for each headline SNR, where the split has
    noise, and speech that is long enough for a row.  Files that cannot be read or named are left
    out with a notice.
    """
    out, say = Path(out), notices or (lambda _: None)
    _refuse(out, force, valid, test)
    found = [file for folder in folders for file in _known(Path(folder))]
    found += [file for folder in speech for file in _plain(Path(folder), "speech")]
    found += [file for folder in noise for file in _plain(Path(folder), "noise")]
    _refuse_twice(found)
    if not found:
        raise InputError("no folder was named", "data prepare", "name one, or --speech and --noise")
    found = list(_in_utf8(found, out.parent, say))
    intervals = list(_intervals(found, _splits(found, valid, test), out.parent, say, progress))
    if not intervals:
        raise InputError("no file could be read", out, "check the folders")
    manifest = manifest_bytes(intervals)
    with _folder(out.parent):  # it may still refuse: nothing is written before
        corpus = read_manifest(out, manifest)
        lists = _lists(corpus, out, rows, seed)
        write_together({out: manifest, **lists})
    for split in LISTED:
        if (path := _list_path(out, split)) not in lists:
            path.unlink(missing_ok=True)  # of an earlier manifest: its speakers may train now
    _say_what_lacks(corpus, say)
    return corpus


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """`path`, through which a manifest's paths go; what is new of it goes again upon failure."""
    with ExitStack() as undo:
        for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
            undo.callback(_remove_empty, folder)
        path.mkdir(parents=True, exist_ok=True)
        yield
        undo.pop_all()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not made yet, or another program's file is in it by now
        folder.rmdir()


def _refuse_twice(found: Sequence[_Found]) -> None:
    seen: set[Path] = set()
    for item in found:
        file = item.file.parent.resolve() / item.file.name
        if file in seen:
            raise InputError("is named twice", item.file, "name each folder once")
        seen.add(file)


def _lists(corpus: Corpus, out: Path, rows: int, seed: int) -> dict[Path, bytes]:
    """Path -> bytes of the list of each split that has noise, and speech of a second or more."""
    lists = {}
    try:
        for split in LISTED:
            if can_draw(corpus, split):
                drawn = draw_list(corpus, split, rows, seed)
                lists[_list_path(out, split)] = list_csv(drawn).encode()
    except BadAudio as error:  # headers alone were read so far
        raise InputError(error.what, error.where, "remove it and prepare again") from error
    return lists


def _refuse(out: Path, force: bool, valid: float, test: float) -> None:
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        what = f"expected shares whose sum is under 1, got valid {valid:g} and test {test:g}"
        raise InputError(what, "data prepare", "correct --valid or --test")
    refuse_no_csv(out, "manifest", "manifest.csv" if out.suffix else out / "manifest.csv")
    lists = [_list_path(out, split) for split in LISTED]
    if out in lists:
        raise InputError("is the name of a list", out, "name the manifest otherwise")
    for path in (out, *lists):
        if path.exists() and not force:
            # The lists have fixed names: another manifest beside them would not help.
            remedy = "name a manifest in another folder or give --force"
            raise InputError("exists already", path, remedy)


def _list_path(out: Path, split: Split) -> Path:
    return out.with_name(f"mixtures_{split}.csv")


def _known(folder: Path) -> Iterator[_Found]:
    files = _audio_files(folder)
    parents = {parent for file in files for parent in file.relative_to(folder).parents}
    shape = shapes.find_shape(sorted(parent.as_posix() for parent in parents))
    if shape is None:
        raise InputError(
            f"has none of the known shapes ({', '.join(shape.name for shape in shapes.SHAPES)})",
            folder,
            "name its parts with --speech and --noise",
        )
    matches = [
        (file, shapes.find_rule(shape, file.relative_to(folder).as_posix())) for file in files
    ]
    if not any(matched for _, matched in matches):
        what = f"looks like {shape.name}, and holds none of its files"
        raise InputError(what, folder, "name its parts with --speech and --noise")
    for file, matched in matches:
        if matched:
            rule, label = matched
            yield _found(file, folder, rule.kind, label, shape.name, rule.split)


def _plain(folder: Path, kind: Kind) -> Iterator[_Found]:
    for file in _audio_files(folder):
        inside = file.relative_to(folder).parts[:-1]
        label = shapes.speaker_of(file.stem) if kind == "speech" else ""
        yield _found(file, folder, kind, label or "/".join(inside), folder.resolve().name, None)


def _found(
    file: Path, folder: Path, kind: Kind, label: str, source: str, split: Split | None
) -> _Found:
    """The group is the speaker, or the recording: clips of one are never in two splits."""
    inside = file.relative_to(folder).parent.as_posix()
    if kind == "speech":
        label = label or shapes.speaker_of(file.stem)
        group = f"{source}-{label}" if label else f"{source}-{inside}/{file.stem}"
        return _Found(file, kind, group, group, source, split)
    recording = f"{source}-{inside}/{shapes.recording_of(file.stem)}"
    return _Found(
        file, kind, recording, (label or shapes.class_of(file.stem)).lower(), source, split
    )


def _audio_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError("is not a folder", folder, "check the path")
    files = audio_below(folder)
    if not files:
        raise InputError("holds no audio", folder, "check the path")
    return files


def _in_utf8(found: Sequence[_Found], root: Path, say: Notices) -> Iterator[_Found]:
    """What a manifest can name: it is UTF-8, file names are any bytes."""
    for item in found:
        try:
            f"{os.path.relpath(item.file, root)} {item.group}".encode()
        except UnicodeEncodeError:
            say(f"left out: {InputError('has a name that is not UTF-8', item.file, 'rename it')}")
            continue
        yield item


def _splits(found: Sequence[_Found], valid: float, test: float) -> dict[tuple[Kind, str], Split]:
    """The split of each group: its own, else by the order of the hashes within source and kind.

    A corpus with a test split and no valid one gives `valid` of its training groups.
    """
    splits: dict[tuple[Kind, str], Split] = {}
    for kind, source in sorted({(file.kind, file.source) for file in found}):
        mine = [file for file in found if (file.kind, file.source) == (kind, source)]
        given = {file.group: file.split for file in mine if file.split}
        splits |= {(kind, group): split for group, split in given.items()}
        open_groups = {file.group for file in mine} - given.keys()
        if given and "valid" not in given.values():
            open_groups |= {group for group, split in given.items() if split == "train"}
        shares = (valid, 0.0) if given else (valid, test)
        splits |= {(kind, group): split for group, split in _by_hash(open_groups, *shares)}
    return splits


def _by_hash(groups: set[str], valid: float, test: float) -> Iterator[tuple[str, Split]]:
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
    # At least one group in a split that was asked for, as long as training keeps one.
    many = len(ordered)
    tests = min(max(1, round(test * many)), many - 1) if test and many > 1 else 0
    valids = min(max(1, round(valid * many)), many - 1 - tests) if valid and many > 1 else 0
    for place, group in enumerate(ordered):
        yield group, "test" if place < tests else "valid" if place < tests + valids else "train"


def _intervals(
    found: Sequence[_Found],
    splits: dict[tuple[Kind, str], Split],
    root: Path,
    say: Notices,
    progress: Progress | None,
) -> Iterator[Interval]:
    for number, item in enumerate(found, 1):
        try:
            header = read_format(item.file)
        except InputError as error:
            say(f"left out: {error}")
            continue
        yield Interval(
            path=Path(os.path.relpath(item.file, root)).as_posix(), kind=item.kind,
            split=splits[item.kind, item.group], group=item.group, start=0,
            end=resampled_length(header.frames, header.rate), source=item.source,
            speaker=item.label if item.kind == "speech" else "",
            noise_class=item.label if item.kind == "noise" else "",
            file_rate=header.rate, file_channels=header.channels,
        )  # fmt: skip
        if progress:
            progress(number, len(found))


def _say_what_lacks(corpus: Corpus, say: Notices) -> None:
    for split in SPLITS:
        for kind in ("speech", "noise"):
            if not corpus.select(kind, split):
                say(f"there is no {kind} in split {split}")
