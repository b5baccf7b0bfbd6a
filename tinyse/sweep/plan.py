"""SWEEP.toml: what is run, over which keys, and how settings are chosen.

    schema = 1
    name = "blocks"
    command = "compress"            # or "train"
    source = "lstm_256"             # compress: a run or published model; train: a recipe
    strategy = "grid"               # every combination; "random" or "halving": `trials` of them
    evaluate = "mixtures_valid.csv" # optional: every file is scored on this list, by `runtime`,
    against = "lstm_256:float"      # and compared row by row with this

    [keys]
    "compress.structure" = ["weight", "block:4x4"]
    "compress.levels" = [[0.5], [0.75]]
    "compress.learning_rate" = { low = 1e-4, high = 1e-2, log = true }   # not in a grid

A key is one of the recipe's, as `--set` takes it.  In place of [keys], [cases] names whole sets of
them, one run each:

    [cases]
    "as it is" = {}
    "no rooms" = { "mixing.room_share" = 0.0 }
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tinyse.errors import InputError
from tinyse.files import packaged, read_toml
from tinyse.recipe import Count, Name, Recipe, Table, make_recipe, read_recipe

REMEDY = "see docs/sweep.md"
MOST = 10_000  # combinations of a grid
_METHOD = "compress.method"
CASE = "case"  # the key that cases are chosen by


class Span(Table, frozen=True):
    """Numbers from `low` to `high`, both included; whole ones where both are whole."""

    low: float | int
    high: float | int
    log: bool = False  # evenly by logarithm


class Halving(Table, frozen=True):
    """Optuna's SuccessiveHalvingPruner: at each rung, 1 run in `factor` goes on."""

    least_steps: Count = 1000  # the first rung
    factor: Annotated[int, msgspec.Meta(ge=2)] = 3


class Plan(Table, frozen=True):
    """A sweep, as its file says."""

    name: Name
    command: Literal["train", "compress"]
    source: str
    keys: dict[str, list[Any] | Span] = msgspec.field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    schema: Literal[1] = 1
    strategy: Literal["grid", "random", "halving"] = "grid"
    trials: Count | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    evaluate: str = ""  # a list, by path from SWEEP.toml's folder or --data; "" for none
    rows: Count | None = None  # of that list, spread evenly
    runtime: Literal["tflm", "native"] = "tflm"  # native gives the same integers sooner
    metrics: tuple[Literal["sdr", "si_sdr", "snr", "estoi", "pesq"], ...] = ("sdr", "si_sdr")
    against: str = ""  # what `tinyse evaluate --against` takes; "" for nothing
    set: dict[str, Any] = msgspec.field(default_factory=dict)  # keys that are the same in every run
    halving: Halving = Halving()

    @property
    def trains(self) -> bool:
        """Whether any run trains, and so needs the corpus."""
        if self.command == "train":
            return True
        tables = [self.set | case for case in self.cases.values()] or [self.set]
        methods = self.keys.get(_METHOD) or [table.get(_METHOD) for table in tables]
        return isinstance(methods, Span) or any(method != "offline" for method in methods)

    def choices(self) -> dict[str, list[str]]:
        """Key -> its values as TOML, of the keys that are lists."""
        return {
            key: [as_toml(value) for value in values]
            for key, values in self.keys.items()
            if not isinstance(values, Span)
        }

    def overrides(self, chosen: dict[str, Any]) -> tuple[str, ...]:
        """What `--set` would be given: the fixed keys, then the chosen ones, as TOML."""
        chosen = dict(chosen)
        case = self.cases[json.loads(chosen.pop(CASE))] if self.cases and CASE in chosen else {}
        fixed = {key: as_toml(value) for key, value in (self.set | case).items()}
        return tuple(f"{key}={value}" for key, value in (fixed | chosen).items())


def as_toml(value: Any) -> str:
    """A value as the right side of a TOML line: JSON is TOML for numbers, texts and lists."""
    if isinstance(value, dict):
        pairs = (f"{as_toml(key)} = {as_toml(each)}" for key, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(value, ensure_ascii=False)  # TOML has no pairs of surrogates


def read_plan(path: Path) -> Plan:
    """The plan in `path`; InputError where a key, a value or a recipe cannot be."""
    try:
        plan = msgspec.convert(read_toml(path, REMEDY), Plan)
    except msgspec.ValidationError as error:
        raise InputError(_explained(str(error)), path, REMEDY) from error
    _check_values(plan, path)
    if plan.cases:
        plan = _by_case(plan, path)
    _check_keys(plan, path)
    list(recipes(plan, path.parent))
    return plan


def recipes(plan: Plan, beside: Path) -> Iterator[Recipe]:
    """The recipe with every value of every key, one at a time.

    So a wrong value is refused before the first run, and by its name.
    """
    for key, values in plan.keys.items():
        ends = [values.low, values.high] if isinstance(values, Span) else values
        for value in ends:
            yield resolved(plan, beside, {key: as_toml(value)})


def _explained(message: str) -> str:
    """msgspec's message in the file's words, with the key that was perhaps meant."""
    text = message.replace(" - at `$.", " - at `").replace("Object contains ", "")
    unknown = re.match(r"unknown field `(.*?)`", text)
    known = [field for table in (Plan, Span, Halving) for field in table.__struct_fields__]
    near = difflib.get_close_matches(unknown[1], known, 1) if unknown else []
    return text + (f", did you mean {near[0]}?" if near else "")


def recipe_of(plan: Plan, beside: Path) -> Path:
    """The recipe that every run starts from."""
    if plan.command == "train":
        near = beside / plan.source
        return near if os.path.isfile(near) else _folder(plan, beside) / "recipe.toml"
    return _folder(plan, beside) / "recipe.toml"


def source_of(plan: Plan, beside: Path) -> str:
    """The run or model that is compressed: a path from SWEEP.toml, else a published name."""
    near = beside / plan.source
    return str(near) if os.path.isdir(near) else plan.source


def with_table(plan: Plan, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides as `compress` applies them: on a table of its own."""
    return ("compress={}", *overrides) if plan.command == "compress" else overrides


def resolved(plan: Plan, beside: Path, chosen: dict[str, Any]) -> Recipe:
    """The recipe of one run."""
    overrides = with_table(plan, plan.overrides(chosen))
    path = recipe_of(plan, beside)
    if not path.is_file():  # an imported network, which `compress` gives the default recipe
        folder = path.parent
        return make_recipe({"schema": 1, "name": folder.resolve().name}, folder, overrides)
    return read_recipe(path, overrides)


def _folder(plan: Plan, beside: Path) -> Path:
    near = beside / plan.source
    folder = near if os.path.isdir(near) else packaged("models", plan.source)
    needed = ("recipe.toml", "weights.npz") if plan.command == "compress" else ("recipe.toml",)
    if not any(os.path.isfile(folder / name) for name in needed):
        raise InputError("there is no such recipe, run or model", plan.source, REMEDY)
    return folder


def _check_values(plan: Plan, path: Path) -> None:
    """Of TOML's types a recipe has no dates and times, and `as_toml` has none either."""
    tables = {"set": plan.set, "keys": plan.keys}
    tables |= {f"cases.{name}": table for name, table in plan.cases.items()}
    for name, table in tables.items():
        for key, value in table.items():
            try:
                if not isinstance(value, Span):
                    as_toml(value)
            except TypeError as error:
                what = f"{name}.{key}: expected numbers, texts, truths or lists of them"
                raise InputError(what, path, "put a text into quotes") from error


def _by_case(plan: Plan, path: Path) -> Plan:
    """A plan of cases as a grid over their names."""
    if plan.keys or plan.strategy != "grid":
        raise InputError("cases: stand alone, without keys and strategy", path, REMEDY)
    return msgspec.structs.replace(plan, keys={CASE: list(plan.cases)})


def _check_keys(plan: Plan, path: Path) -> None:
    if not plan.keys:
        raise InputError("keys: expected one or more", path, REMEDY)
    if twice := sorted(set(plan.keys) & set(plan.set)):
        raise InputError(f"{twice[0]}: stands in [keys] and in [set]", path, "remove one")
    for key, values in plan.keys.items():
        if isinstance(values, Span):
            if plan.strategy == "grid":
                raise InputError(f"keys.{key}: a grid takes lists", path, "list the values")
            if not values.low < values.high or (values.log and values.low <= 0):
                raise InputError(f"keys.{key}: low and high make no range", path, REMEDY)
        elif not values or len({as_toml(value) for value in values}) < len(values):
            raise InputError(f"keys.{key}: expected different values", path, REMEDY)
    useless = [key for key in ("rows", "against") if getattr(plan, key)]
    if useless and not plan.evaluate:
        raise InputError(f"{useless[0]}: of a list, and `evaluate` names none", path, REMEDY)
    if plan.strategy == "grid" and plan.trials is not None:
        raise InputError("trials: a grid has its own number", path, "remove it")
    if plan.strategy != "grid" and plan.trials is None:
        raise InputError(f"trials: {plan.strategy} needs it", path, "for example trials = 20")
    size = 1
    for values in plan.choices().values():
        size *= len(values)
    if plan.strategy == "grid" and size > MOST:
        raise InputError(f"keys: {size:,} combinations", path, f"at most {MOST:,}")
