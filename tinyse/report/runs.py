"""Run folders as plain facts: every number with how it was measured, nothing measured here.

A folder may hold, besides what `train` and `compress` wrote, documents of other commands:

    metrics.json | evaluate.json   quality and loss          inspect.json   bytes, MACs, layers
    bench.json                     time and instructions     profile*.json  cycles of a microNPU
    manifest.json                  bytes, hashes             weights.npz    the matrices

Each level of a compressed run is an entry of its own; a folder of runs stands for its runs.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyse.errors import InputError
from tinyse.files import packaged, read_bytes, read_json, read_toml
from tinyse.recipe import level_name
from tinyse.run_folder import LEVELS

RECIPE, WEIGHTS, LOG = "recipe.toml", "weights.npz", "log.jsonl"
SINGLE = ("metrics.json", "evaluate.json", "inspect.json", "bench.json", "manifest.json",
          "run.json")  # fmt: skip
# Path of keys -> what readers go into there; what is not named here they ask for its kind.
IN_DOCUMENTS: dict[str, type] = {
    "against": dict, "instructions": dict, "layers": list, "list": dict, "machine": dict,
    "models": list, "models.firmware": list, "models.runtimes": list, "quality.bootstrap": dict,
}  # fmt: skip
IN_RECIPES: dict[str, type] = {
    "compress": dict, "compress.levels": list, "network": dict, "network.dense": list,
    "network.lstm": list, "train": dict,
}  # fmt: skip
KINDS: dict[type, str] = {dict: "table", list: "list"}
SIGNS = (RECIPE, WEIGHTS, *SINGLE)  # of a folder that is an entry


@dataclass(frozen=True)
class Measure:
    """A number, its unit, and a sentence on how it was measured.

    interval : the 95 % interval, where one was measured
    """

    value: float
    unit: str
    how: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Entry:
    """One point of a report: a run, a level of one, or a published model.

    recipe : its tables, defaults written out; documents : file name -> JSON object
    log : lines of log.jsonl, those of its own level only
    """

    name: str
    folder: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    log: tuple[dict[str, Any], ...] = ()

    @property
    def kind(self) -> str:
        """How it was made sparse: what points are coloured by."""
        settings = self.recipe.get("compress") or {}
        if not settings:
            return "not compressed"
        return f"{settings.get('structure', '?')} {settings.get('method', '?')}"

    @property
    def weights(self) -> Path | None:
        """Its weights.npz, where there is one."""
        path = self.folder / WEIGHTS
        return path if path.is_file() else None

    def profiles(self) -> list[tuple[str, dict[str, Any]]]:
        """The documents of `tinyse profile --json`, by file name."""
        return [(n, d) for n, d in self.documents.items() if n.startswith("profile")]


def read_entries(folders: Iterable[Path]) -> list[Entry]:
    """The entries of `folders`, in order; runs of one name also bear that of the folder above.

    The name of a published model stands for its folder where there is no folder of that name.

    Raises InputError for a folder that holds no run and for a file that is not what it should be.
    """
    places: list[Path] = []
    for folder in map(_place, folders):
        if not folder.is_dir():
            raise InputError("is no folder", folder, "give a run, a model or a folder of runs")
        runs = [folder] if _is_run(folder) else sorted(p for p in folder.iterdir() if _is_run(p))
        if not runs:
            raise InputError("holds no run", folder, "give a run, a model or a folder of runs")
        places += runs
    alike = Counter(place.resolve().name for place in places)
    found = [entry for place in places for entry in _entries(place, _run_name(place, alike))]
    names = [entry.name for entry in found]
    if len(set(names)) < len(names):
        raise InputError(f"two runs are named {_twice(names)}", "RUN", "rename a folder")
    return found


def _place(folder: Path) -> Path:
    published = packaged("models", folder.name)
    named = folder == Path(folder.name) and not folder.exists()
    return published if named and _is_run(published) else folder


def _run_name(place: Path, alike: Counter[str]) -> str:
    place = place.resolve()
    return f"{place.parent.name}/{place.name}" if alike[place.name] > 1 else place.name


def _twice(names: list[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in SIGNS)


def _entries(folder: Path, name: str) -> list[Entry]:
    """A run as one entry, or one for each of its levels; the last level is the run's own file."""
    own = _entry(folder, name)
    parent = folder / LEVELS
    levels = [path for path in parent.iterdir() if _is_run(path)] if parent.is_dir() else []
    if not levels:
        return [own]
    asked = (own.recipe.get("compress") or {}).get("levels") or []
    last = _name_of(asked[-1]) if asked else None
    found = []
    for level in sorted(levels, key=_by_number):
        entry = _entry(level, f"{own.name} / {level.name}")
        documents = {**own.documents, **entry.documents} if level.name == last else entry.documents
        log = tuple(line for line in own.log if _name_of(line.get("level")) == level.name)
        found.append(Entry(entry.name, level, entry.recipe or own.recipe, documents, log))
    return found


def _name_of(level: Any) -> str | None:
    """Of a level's sparsity as a log or a recipe has it; None of anything else."""
    return level_name(level) if isinstance(level, int | float) and 0 <= level <= 1 else None


def _by_number(path: Path) -> tuple[float, str]:
    number = re.fullmatch(r"[0-9.]+", path.name) and path.name.count(".") < 2
    return (float(path.name) if number and path.name != "." else 2.0, path.name)


def _entry(folder: Path, name: str) -> Entry:
    names = [name for name in SINGLE if (folder / name).is_file()]
    names += sorted(path.name for path in folder.glob("profile*.json"))
    documents = {name: _object(folder / name) for name in names}
    return Entry(name, folder, _recipe(folder / RECIPE), documents, _log(folder / LOG))


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    remedy = "write it again with the command that made it"
    if not isinstance(value, dict):
        raise InputError("is no JSON object", path, remedy)
    _check_kinds(value, IN_DOCUMENTS, path, remedy)
    return value


def _recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    recipe = read_toml(path)
    _check_kinds(recipe, IN_RECIPES, path, "see docs/formats.md")
    return recipe


def _check_kinds(document: Any, kinds: dict[str, type], path: Path, remedy: str) -> None:
    """InputError where a table or list that a reader goes into is something else."""
    for way, kind in kinds.items():
        for value in _at(document, way.split(".")):
            if value and not isinstance(value, kind):
                what = f"{way}: expected a {KINDS[kind]}, got {type(value).__name__}"
                raise InputError(what, path, remedy)


def _at(value: Any, keys: list[str]) -> Iterator[Any]:
    """What stands at a path of keys, of each entry where a list lies on the way."""
    if not keys:
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _at(each, keys)
    elif isinstance(value, dict) and keys[0] in value:
        yield from _at(value[keys[0]], keys[1:])


def _log(path: Path) -> tuple[dict[str, Any], ...]:
    if not path.is_file():
        return ()
    lines = []
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = f"{path}, line {number}"
            raise InputError("is not JSON", where, "resume the run or remove the line") from error
        if isinstance(value, dict):
            lines.append(value)
    return tuple(lines)
