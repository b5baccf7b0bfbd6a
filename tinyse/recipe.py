"""What a run is made from: a strict recipe in TOML, defaults resolved, unknown keys refused.

    schema = 1
    name = "lstm_256"
    inherits = "lstm_256"      # optional: start from a published model's recipe, or a file

    [network] [data] [mixing] [train] [loss] [export]

Every structure below is one table of the file; a field's comment is its documentation.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tinyse.errors import InputError
from tinyse.files import packaged, read_toml

SCHEMA = 1
SEEDS = 2**63  # they are counted from 0
# Cells are int16 with a scale of a power of two from 2^-18 to 1.
LEAST_CLIP, MOST_CLIP = 0.125, 32768.0

Units = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Bits = Annotated[int, msgspec.Meta(ge=2, le=8)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Part = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]  # a share that is not nothing
Sparsity = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e6)]
Dbfs = Annotated[float, msgspec.Meta(ge=-120.0, le=0.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
Range = tuple[float, float]  # low, high
Text = Annotated[str, msgspec.Meta(min_length=1)]
Teachers = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the recipe."""


class Network(Table, frozen=True):
    lstm: tuple[Units, ...] = (256, 256)  # units, in order
    gru: tuple[Units, ...] = ()  # behind the LSTMs; such a network is exported as step16x8
    dense: tuple[Units, ...] = (128,)  # ReLU layers between the last of these and the mask
    # Bound of every cell state, 0 for none.  Without one, cells count up for as long as the sound
    # lasts: 250 after four seconds, and the int16 state of the exported file is spent on them.
    cell_clip: NotNegative = 8.0

    def resized(self, units: Mapping[str, int]) -> Network:
        """The same with the layers and widths of `units`: lstm_0, gru_0, dense_0 .. -> units."""
        sizes = {
            kind: tuple(n for name, n in units.items() if name.rpartition("_")[0] == kind)
            for kind in ("lstm", "gru", "dense")
        }
        return msgspec.structs.replace(self, **sizes)


class Data(Table, frozen=True):
    manifest: str = "manifest.csv"  # relative to --data
    share: Part = 1.0  # of the train split's sound, in whole speakers and recordings
    valid_list: str = "mixtures_valid.csv"  # relative to --data; choices are made on it
    # A second list that choices are made on together with the first, "" for none.
    rooms_list: str = ""


class Mixing(Table, frozen=True):
    """How a training mixture is drawn; every draw is a function of (seed, step, row) alone."""

    snr_db: Range = (-7.0, 12.0)
    high_snr_share: Share = 0.12  # rows from high_snr_db: speech must not be harmed
    high_snr_db: Range = (12.0, 45.0)
    level_dbfs: Range = (-66.0, -12.0)  # RMS of the mixture; peaks at -36 are an RMS down to -61
    equaliser_db: NotNegative = 6.0  # bound of each of four cosines over the spectrum
    speed_share: Share = 0.6
    speed: Range = (0.85, 1.18)
    noise_speed: Range = (0.85, 1.18)  # wider makes other machines, birds and rooms of recordings
    second_noise_share: Share = 0.35
    babble_share: Share = 0.10
    babble_voices: tuple[Count, Count] = (3, 7)
    talker_share: Share = 0.06  # rows in which one or two other talkers are the noise
    talker_snr_db: Range = (2.0, 15.0)  # above zero: nothing else says which one is wanted
    room_share: Share = 0.3  # rows in which all sources stand in one simulated room
    rooms: Count = 400
    room_rt60_s: Range = (0.12, 0.8)
    tone_share: Share = 0.04  # made hums, whistles and chords
    transient_share: Share = 0.08  # made knocks and clicks
    rumble_share: Share = 0.12
    rumble_db: Range = (-10.0, 12.0)  # against the rest of the noise
    wandering_share: Share = 0.1  # of speech and of noise, each: its level wanders
    wandering_db: NotNegative = 8.0
    pause_share: Share = 0.1  # rows with a stretch without speech
    noise_only_share: Share = 0.02
    microphone_db: NotNegative = 3.0  # as equaliser_db, one for speech and noise together


class Train(Table, frozen=True):
    seed: Annotated[int, msgspec.Meta(ge=0, le=SEEDS - 1)] = 1
    batch: Count = 16  # sequences a step
    frames: Annotated[int, msgspec.Meta(ge=8)] = 250  # frames a sequence
    steps_per_epoch: Count = 1000
    epochs: Count = 12
    learning_rate: Positive = 1.5e-3
    warmup_steps: Annotated[int, msgspec.Meta(ge=0)] = 100
    flat_share: Share = 0.4  # of all steps at the full rate, then a cosine
    final_share: Share = 0.02  # of the rate, reached at the last step
    optimiser: Literal["adam", "muon"] = "adam"
    clip_norm: Positive = 5.0
    # Of products in training: bfloat16 runs on x86 processors with AVX2, on the JAX backend.
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: Count = 1000  # epochs without a better validation figure before stopping
    save_every: Count = 200  # steps between checkpoints within an epoch


class Loss(Table, frozen=True):
    """Weights of the terms; a term of weight zero is not computed."""

    snr: NotNegative = 1.0  # time-domain negative SNR, dB, bounded at snr_cap_db
    snr_cap_db: Positive = 30.0
    si_sdr: NotNegative = 0.0  # negative SI-SDR, dB
    spectral: NotNegative = 0.0  # compressed spectral distance


class Export(Table, frozen=True):
    profile: Literal["fused"] = "fused"


class Compress(Table, frozen=True):
    """How a trained network is made sparse and int8; shares are of the steps of one level."""

    source: str = ""  # the run or published model whose weights it starts from
    structure: str = "block:4x4"  # weight, block:ROWSxCOLUMNS or unit
    # Who chooses: auto is magnitude for units, learned for what is smaller, as these lose least
    # along the curves of docs/results.md.
    method: Literal["auto", "learned", "magnitude", "offline"] = "auto"
    # Sparsities to walk through in one run; every level is recovered from, written and left.
    levels: Annotated[tuple[Sparsity, ...], msgspec.Meta(min_length=1)] = (0.75,)
    budgets: dict[str, Share] = {}  # half or pattern -> sparsity; the rest is shared out
    # How sparsity is shared out over the halves: by factors of their kind, by the energy that
    # reaches them too, or by what a scan says that each of them costs alone; auto is the scan
    # where a method trains, and the table for units and offline.
    share_by: Literal["auto", "table", "energy", "scan"] = "auto"
    floor: Share = 0.25  # least density of a half, as a share of the mean density
    permute: bool = True  # hidden units into an order in which important weights share blocks
    resolve: bool = True  # offline, with data: what stays is solved for again
    int8: bool = True  # False: masks are trained in float, for comparison; int8 comes at export
    # Weights of fewer bits take one of 2^bits - 1 int8 values: what stays is coded in less, which
    # buys a microNPU's stream or a zip more weights than it costs.
    weight_bits: Bits = 8
    steps: Count = 4000  # of every level
    learning_rate: Positive = 1e-3
    warmup_share: Share = 0.02  # the rate rises to its full height
    final_share: Share = 0.02  # of the rate, reached at a level's last step
    ramp_share: Share = 0.5  # sparsity grows, the rate is flat
    settle_share: Share = 0.1  # sparsity is reached, groups may still change places; then frozen
    schedule: Literal["PolynomialDecay", "ConstantSparsity"] = "PolynomialDecay"  # of TF-MOT
    power: Positive = 3.0  # of PolynomialDecay; learned follows the same path
    update_every: Count = 20  # steps between choices of groups
    distil: NotNegative = 100.0  # weight of the distance to the teacher's mask
    # A run or a model whose mask is followed, or several, by the mean of their masks; the source,
    # where none is named.
    teacher: str | Teachers = ""
    # Of the mixture, as mixing.level_dbfs: rows below it a teacher hears louder by what is missing.
    # A network that was trained on louder ones alone is a poor teacher for them.
    teacher_dbfs: Dbfs = -50.0
    distil_share: Share = 1.0  # of the steps; what is left of them follows the loss alone
    validate_every: Count = 500  # steps
    # Learned thresholds: how many e-foldings they can move in a ramp, width of the sigmoid at both
    # ends of the ramp, and the controller of the penalty, per point of sparsity and update.
    threshold_pace: Positive = 20.0
    slope: tuple[Positive, Positive] = (0.3, 0.1)
    integral: NotNegative = 0.02
    proportional: NotNegative = 0.3

    def __post_init__(self) -> None:
        # Decided here and not by who asks, so a run's recipe tells what it was.
        if self.method == "auto":
            chosen = "magnitude" if self.structure == "unit" else "learned"
            msgspec.structs.force_setattr(self, "method", chosen)

    @property
    def teachers(self) -> tuple[str, ...]:
        """The names in `teacher`, none where the source teaches."""
        if isinstance(self.teacher, tuple):
            return self.teacher
        return (self.teacher,) if self.teacher else ()

    @property
    def hears(self) -> bool:
        """Whether `offline` asks mixtures for something, where it is given data."""
        return self.resolve or self.share_by == "energy"


class Recipe(Table, frozen=True):
    name: Name  # of the run's folder and of the model
    schema: Literal[1] = 1
    network: Network = Network()
    data: Data = Data()
    mixing: Mixing = Mixing()
    train: Train = Train()
    loss: Loss = Loss()
    export: Export = Export()
    compress: Compress | None = None  # of a compressed run


def settings_of(recipe: Recipe) -> Compress:
    """[compress] of a compressed run's recipe."""
    assert recipe.compress is not None
    return recipe.compress


def level_name(sparsity: float) -> str:
    """Name of a level, which its folder, its run and the log's readers have in common."""
    return f"{sparsity:g}"


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in `path` with its ancestors and `overrides` ("train.seed=2") applied.

    Raises InputError that names the key's path for an unknown key, a wrong type or an
    impossible value.
    """
    return make_recipe(_with_ancestors(path, seen=()), path, overrides)


def make_recipe(values: dict[str, Any], where: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe of these values, which came from `where`, with `overrides` applied."""
    for override in overrides:
        _apply(values, override)
    return _convert(values, where)


def to_toml(recipe: Recipe) -> str:
    """The recipe in full, every default written out."""
    import tomli_w

    tables = msgspec.to_builtins(recipe)
    return tomli_w.dumps({key: table for key, table in tables.items() if table is not None})


def _with_ancestors(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    values = read_toml(path)
    here = path.resolve()  # after reading: names that no file can have are refused there
    if here in seen:
        raise InputError("inherits: the recipes inherit from each other", path, "break the circle")
    parent = values.pop("inherits", None)
    if parent is None:
        return values
    if not isinstance(parent, str) or not parent:
        raise InputError(f"inherits: expected a name or path, got {parent!r}", path, "name a model")
    published = packaged("models", parent, "recipe.toml")
    ancestor = published if os.path.exists(published) else path.parent / parent
    inherited = _with_ancestors(ancestor, (*seen, here))
    # What a parent's products were computed in is a matter of the machine that it was trained on.
    if isinstance(trained := inherited.get("train"), dict):
        trained.pop("precision", None)
    return _merged(inherited, values)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    nested = {
        key: _merged(base[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **over, **nested}


def _apply(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise InputError(
            f"expected KEY=VALUE, got {override!r}", "--set", "for example train.seed=2"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # as in `read_toml`
        value = text
    if key == "inherits":
        what = "stands in a recipe's file, where it is read first"
        raise InputError(what, "--set inherits", "name that recipe in its place")
    *tables, name = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise InputError(f"{table} is not a table", key, "see docs/formats.md")
    values[name] = value


def _convert(values: dict[str, Any], path: Path) -> Recipe:
    try:
        recipe = msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        raise InputError(_explain(str(error)), path, "see docs/formats.md for the keys") from error
    for key in recipe.mixing.__struct_fields__:
        value = getattr(recipe.mixing, key)
        if isinstance(value, tuple) and not -math.inf < value[0] <= value[1] < math.inf:
            raise InputError(f"mixing.{key}: {value[0]} > {value[1]}", path, "write low, high")
    if not recipe.network.lstm + recipe.network.gru:
        what = "network.lstm: Expected `array` of length >= 1, or one in network.gru"
        raise InputError(what, path, "give it a layer")
    if not (recipe.loss.snr or recipe.loss.si_sdr or recipe.loss.spectral):
        raise InputError("loss: every weight is zero", path, "give one term a weight")
    if not (recipe.data.valid_list or recipe.data.rooms_list):
        what = "data.valid_list: empty, and so is data.rooms_list"
        raise InputError(what, path, "name a list that choices are made on")
    names = [level_name(level) for level in recipe.compress.levels] if recipe.compress else []
    for name in names:
        if names.count(name) > 1 or float(name) == 1:
            what = f"compress.levels: {names.count(name)} of them are level {name}"
            raise InputError(what, path, "give each once, to six digits, below 1")
    clip = recipe.network.cell_clip
    if clip and not LEAST_CLIP <= clip <= MOST_CLIP:
        what = f"network.cell_clip: {clip:g} fits no scale of int16"
        raise InputError(what, path, f"use {LEAST_CLIP:g} to {MOST_CLIP:g}, or 0 for none")
    for key in ("speed", "noise_speed", "room_rt60_s"):
        if getattr(recipe.mixing, key)[0] <= 0:
            raise InputError(f"mixing.{key}: must be above zero", path, "raise its low end")
    return recipe


def _explain(message: str) -> str:
    """msgspec's "Expected `float`, got `str` - at `$.train.seed`" with the key's path in front."""
    text, _, where = message.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", text)
    if unknown is None:
        return f"{where}: {text}" if where else text
    key = unknown[1]
    example = Recipe(name="", compress=Compress())
    table = getattr(example, where) if where else example
    near = difflib.get_close_matches(key, table.__struct_fields__, 1)
    return (
        f"{where}.{key}".lstrip(".")
        + ": unknown key"
        + (f", did you mean {near[0]}?" if near else "")
    )
