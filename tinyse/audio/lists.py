"""Mixture lists: fixed rows that give the same samples everywhere.

A row names a stretch of speech, a noise recording and two gains.  In float64, cast to float32
at the end, with L = n_samples and i = 0 .. L-1:

    s[i] = speech_file[speech_start + i]
    z    = noise_file[noise_start : noise_end]
    n[i] = z[(noise_offset + i) mod len(z)]
    target  = gain_speech s
    mixture = gain_speech s + gain_noise n        # snr_db = "clean": mixture = target

A row with a `room` (the optional last column) stands in that simulated room (tinyse.audio.rooms):
s and n are what its microphone hears of them, cut to L samples, and the target is reverberant.

A list may instead hold ready pairs: columns `id, noisy, clean`, optionally `snr_db, group`.  A
folder with `noisy_testset_wav/` and `clean_testset_wav/` (VoiceBank-DEMAND), or `noisy/` and
`clean/`, with equal file names is such a list too.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.audio.decoded import decoded
from tinyse.audio.io import FORMATS, read_audio
from tinyse.audio.rooms import draw_room
from tinyse.audio.tables import Row, Table, read_table, to_csv
from tinyse.errors import InputError
from tinyse.files import packaged, sha256
from tinyse.recipe import Data

MIXTURE_COLUMNS = (
    "id", "snr_db", "level_dbfs", "n_samples",
    "speaker", "speech_path", "speech_start",
    "noise_class", "noise_group", "noise_path", "noise_start", "noise_end", "noise_offset",
    "gain_speech", "gain_noise",
)  # fmt: skip
ROOM = "room"
_REQUIRED = tuple(
    c for c in MIXTURE_COLUMNS if c not in ("level_dbfs", "noise_class", "noise_group")
)
PAIR_FOLDERS = (("noisy_testset_wav", "clean_testset_wav"), ("noisy", "clean"))
CLEAN = "clean"
HEADLINE_DB = (-5.0, 0.0, 5.0, 10.0)
RT60_S = (0.15, 0.7)  # of the rooms of lists
_LIST_ROOMS = 2  # stream of rooms that no training mixture uses
_REMEDY = "expected the columns of a mixture list or of ready pairs (id, noisy, clean)"


class MixtureRow(msgspec.Struct, frozen=True, kw_only=True):
    """Speech plus noise; `snr_db` is None for clean speech, which has no noise fields."""

    id: str
    snr_db: float | None
    n_samples: int
    speaker: str
    speech_path: str
    speech_start: int
    gain_speech: float
    level_dbfs: float | None = None
    noise_class: str = ""
    noise_group: str = ""
    noise_path: str = ""
    noise_start: int = 0
    noise_end: int = 0
    noise_offset: int = 0
    gain_noise: float = 0.0
    room: int | None = None

    @property
    def group(self) -> str:
        """What the bootstrap draws: the speaker."""
        return self.speaker

    @property
    def is_clean(self) -> bool:
        """Whether there is no noise in it."""
        return self.snr_db is None


class PairRow(msgspec.Struct, frozen=True, kw_only=True):
    """A ready pair of files; `snr_db` is None where it is clean or the list does not say it."""

    id: str
    noisy: str
    clean: str
    group: str
    snr_db: float | None = None
    is_clean: bool = False

    @property
    def speaker(self) -> str:
        return self.group


class MixtureList(msgspec.Struct, frozen=True):
    """A list that was read; paths in `rows` are relative to `root`."""

    name: str
    sha256: str
    root: Path
    rows: tuple[MixtureRow | PairRow, ...]

    @property
    def headline_db(self) -> tuple[float, ...] | None:
        """The SNRs that a mean is made of, None (all noisy rows) where the list lacks one."""
        there = {row.snr_db for row in self.rows}
        return HEADLINE_DB if there.issuperset(HEADLINE_DB) else None


class Mixture(msgspec.Struct, frozen=True):
    """The samples of a row: `mixture` and `target` are float32[n] at 16 kHz."""

    id: str
    mixture: NDArray[np.float32]
    target: NDArray[np.float32]
    speaker: str
    noise_class: str
    snr_db: float | None


def read_list(path: Path, root: Path | None = None) -> MixtureList:
    """The list in the CSV file or pairs folder `path`; its audio lies below `root` or beside it.

    Raises InputError that names the file, the row and what to do.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    table = read_table(path)
    root = path.parent if root is None else Path(root)
    if not table.rows:
        raise InputError("has no rows", path, _REMEDY)
    if {"noisy", "clean"} & set(table.columns):
        table.need(("id", "noisy", "clean"), _REMEDY)
        rows: tuple[MixtureRow | PairRow, ...] = tuple(_pair(row, root) for row in table.rows)
    else:
        table.need(_REQUIRED, _REMEDY)
        rows = tuple(_mixture(row, root) for row in table.rows)
    _refuse_doubles(table)
    return MixtureList(path.name, sha256(path), root, rows)


def find_list(name: str | Path, data: Path | None) -> MixtureList:
    """The list at the path `name`, or else `list_of_corpus`."""
    return read_list(Path(name)) if Path(name).exists() else list_of_corpus(name, data)


def list_of_corpus(name: str | Path, data: Path | None) -> MixtureList:
    """The list called `name` in the folder `data` or among the packaged ones.

    The audio of a packaged list lies below `data`.  A recipe's lists are these: the folder that a
    command is called in decides nothing.
    """
    own = packaged("lists", str(name))
    if data is None and own.is_file() and not Path(name).exists():
        what = "is a packaged list, without its audio"
        raise InputError(what, name, "name the audio's folder with --data")
    if data is not None and own.is_file() and not (data / name).exists():
        try:
            return read_list(own, data)
        except InputError as error:
            remedy = 'name a list of your own, or none: data.rooms_list=""'
            raise InputError(f"its audio is not whole in {data} ({error})", name, remedy) from error
    return read_list(Path(name) if data is None else data / name)


def lists_of_recipe(table: Data, data: Path) -> list[MixtureList]:
    """The lists that choices are made on; InputError for two of one name, which figures go by."""
    found = [list_of_corpus(name, data) for name in (table.valid_list, table.rooms_list) if name]
    names = [Path(mixtures.name).stem for mixtures in found]
    if len(set(names)) < len(names):
        what = f"is called {names[0]}, as data.rooms_list is, and figures go by that name"
        raise InputError(what, "data.valid_list", "rename one, or leave one out")
    return found


def list_csv(rows: list[MixtureRow]) -> str:
    """The CSV text of mixture rows, gains with full precision."""
    roomy = any(row.room is not None for row in rows)
    columns = (*MIXTURE_COLUMNS, ROOM) if roomy else MIXTURE_COLUMNS
    return to_csv(columns, ([_cell(row, column) for column in columns] for row in rows))


def render(mixtures: MixtureList, row: MixtureRow | PairRow) -> Mixture:
    """The samples of one row of `mixtures`."""
    if isinstance(row, PairRow):
        return _render_pair(mixtures, row)
    speech = _stretch(mixtures, row.id, row.speech_path, row.speech_start, row.n_samples)
    target = row.gain_speech * heard(row.room, 0, speech)
    mixture = target
    if row.snr_db is not None:
        length = row.noise_end - row.noise_start
        recording = _stretch(mixtures, row.id, row.noise_path, row.noise_start, length)
        noise = np.take(
            recording, np.arange(row.noise_offset, row.noise_offset + row.n_samples), mode="wrap"
        )
        mixture = target + row.gain_noise * heard(row.room, 1, noise)
    return Mixture(
        row.id, mixture.astype(np.float32), target.astype(np.float32),
        row.speaker, row.noise_class, row.snr_db,
    )  # fmt: skip


def heard(room: int | None, source: int, sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sound` from a source's place in a list's room; as it is where there is no room."""
    return sound if room is None else draw_room(_LIST_ROOMS, room, RT60_S).heard(sound, source)


def _stretch(
    mixtures: MixtureList, row: str, path: str, start: int, length: int
) -> NDArray[np.float64]:
    file = mixtures.root / path
    samples = decoded(file)
    if start + length > len(samples):
        raise InputError(
            f"row {row}: expected samples {start} to {start + length}, the file has {len(samples)}",
            file,
            "the audio is not the one this list was made for",
        )
    return samples[start : start + length].astype(np.float64)


def _render_pair(mixtures: MixtureList, row: PairRow) -> Mixture:
    noisy = read_audio(mixtures.root / row.noisy)
    clean = read_audio(mixtures.root / row.clean)
    if len(noisy) != len(clean):
        raise InputError(
            f"row {row.id}: noisy has {len(noisy)} samples, clean has {len(clean)}",
            mixtures.root / row.noisy,
            "a pair must be aligned and of one length",
        )
    return Mixture(row.id, noisy, clean, row.speaker, "", row.snr_db)


def _mixture(row: Row, root: Path) -> MixtureRow:
    clean = row.required("snr_db") == CLEAN
    fields: dict[str, Any] = {
        "id": row.required("id"),
        "snr_db": None if clean else row.number_in("snr_db"),
        "level_dbfs": row.number_in("level_dbfs") if row.text("level_dbfs") else None,
        "n_samples": row.integer("n_samples", 1),
        "speaker": row.required("speaker"),
        "speech_path": row.file("speech_path", root),
        "speech_start": row.integer("speech_start"),
        "gain_speech": row.number_in("gain_speech"),
        "room": row.integer(ROOM) if row.text(ROOM) else None,
    }
    return MixtureRow(**fields) if clean else MixtureRow(**fields, **_noise(row, root))


def _noise(row: Row, root: Path) -> dict[str, Any]:
    start, end = row.integer("noise_start"), row.integer("noise_end")
    if end <= start:
        row.refuse(f"noise_end: expected more than noise_start = {start}, got {end}", "correct it")
    return {
        "noise_class": row.text("noise_class"),
        "noise_group": row.text("noise_group"),
        "noise_path": row.file("noise_path", root),
        "noise_start": start,
        "noise_end": end,
        "noise_offset": row.integer("noise_offset"),
        "gain_noise": row.number_in("gain_noise"),
    }


def _pair(row: Row, root: Path) -> PairRow:
    name = row.required("id")
    snr = row.text("snr_db")
    return PairRow(
        id=name,
        noisy=row.file("noisy", root),
        clean=row.file("clean", root),
        group=row.text("group", _speaker(name)),
        snr_db=None if snr in ("", CLEAN) else row.number_in("snr_db"),
        is_clean=snr == CLEAN,
    )


def _speaker(name: str) -> str:
    """The speaker in a VoiceBank name (p232_001 -> p232); any other name is a group of its own."""
    found = re.match(r"(p\d{3})_", name)
    return found[1] if found else name


def _refuse_doubles(table: Table) -> None:
    first: dict[str, int] = {}
    for row in table.rows:
        earlier = first.setdefault(row.text("id"), row.number)
        if earlier != row.number:
            row.refuse(
                f"id {row.text('id')!r} is also in row {earlier}", "give each row its own id"
            )


def _folder(path: Path) -> MixtureList:
    for noisy, clean in PAIR_FOLDERS:
        if (path / noisy).is_dir() and (path / clean).is_dir():
            break
    else:
        expected = " or ".join(f"{noisy}/ and {clean}/" for noisy, clean in PAIR_FOLDERS)
        raise InputError("is a folder without ready pairs", path, f"expected {expected} in it")
    names = sorted(_audio_names(path / noisy))
    lonely = set(names) ^ _audio_names(path / clean)
    if lonely or not names:
        what = f"{min(lonely)} is only on one side" if lonely else "holds no audio"
        raise InputError(what, path, f"expected equal file names in {noisy}/ and {clean}/")
    rows = tuple(
        PairRow(id=stem, noisy=f"{noisy}/{name}", clean=f"{clean}/{name}", group=_speaker(stem))
        for stem, name in ((Path(name).stem, name) for name in names)
    )
    ids = [row.id for row in rows]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        what = f"two files called {twice[0]} but for their ending"
        raise InputError(what, path / noisy, "rename one")
    text = to_csv(("id", "noisy", "clean"), ((row.id, row.noisy, row.clean) for row in rows))
    return MixtureList(path.name, hashlib.sha256(text.encode()).hexdigest(), path, rows)


def _audio_names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.suffix.lower() in FORMATS}


def _cell(row: MixtureRow, column: str) -> object:
    if row.snr_db is None and column.startswith("noise_"):
        return ""
    value = getattr(row, column)
    if column == "snr_db":
        return CLEAN if value is None else f"{value:g}"
    return "" if value is None else value
