"""A trained network made sparse: what is asked becomes a recipe, and one of the methods does it.

    run or published model --> sparse int8 run        learned, magnitude (training.compress)
                           --> pruned run             offline, no training and no Keras

A byte budget is turned into a sparsity first: that at which the network, pruned by magnitude and
exported, has so many bytes by the account that was named.

offline    levels and budgets from one float network
mixtures   what the survivors of offline pruning are solved for
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tinyse.audio.corpora import corpus_of_recipe
from tinyse.audio.lists import lists_of_recipe
from tinyse.compress.mixtures import calibration
from tinyse.compress.offline import Arrays, Pruning, bytes_of, prune_levels, prune_to_bytes
from tinyse.errors import InputError, TinySEError
from tinyse.features import BANDS, Normalisation
from tinyse.files import atomic_file, packaged, read_json, sha256, write_json, write_text
from tinyse.quant import FloatNetwork, read_weights
from tinyse.recipe import (
    SEEDS,
    Compress,
    Recipe,
    level_name,
    make_recipe,
    read_recipe,
    settings_of,
    to_toml,
)
from tinyse.run_folder import (
    LEVELS,
    clear_run,
    level_folder,
    recipe_sha256,
    refuse_taken,
    same_run,
)

CONTROL = "control"  # the folder of the control's run, in the run
# A method that trains ends at other bytes than pruning by magnitude says it will.
_AIM = 0.98


@dataclass(frozen=True)
class Budget:
    """Bytes that the exported file may have, and by which account."""

    limit: int
    account: str


def compress(
    source: Path | str,
    overrides: tuple[str, ...],
    data: Path | None,
    run: Path | None = None,
    budget: Budget | None = None,
    resume: bool = False,
    force: bool = False,
    control: bool = False,
    tell: Callable[[Any], None] = lambda told: None,
) -> tuple[Path, dict]:
    """Compress `source`, a run's folder or a published model's name, into the folder `run`.

    overrides : keys of the [compress] table, and of others ("compress.levels=[0.75]")
    data : folder of the corpus; `offline` re-solves what survives only where it is given
    budget : in place of the level
    resume : go on from the last checkpoint; of an offline run, from that of its control
    control : also train the shape that units have left from scratch, into `run`/control, for as
        many steps as the source and the compression took

    Returns the run's folder (`runs/NAME` unless given) and the contents of its run.json.
    Raises InputError for what cannot be had, and has written nothing then; TinySEError for a run
    that ends short of its sparsity or above its budget.
    """
    folder = _folder(source)
    weights = folder / "weights.npz"
    recipe = _recipe(folder, overrides)
    network = read_weights(weights)  # says what is wrong with the file
    recipe = _shared_out(recipe)
    settings = settings_of(recipe)
    pruning = Pruning(_arrays(weights), settings)
    offline = settings.method == "offline"
    if offline and resume and not control:
        raise InputError("offline trains nothing to go on with", "--resume", "leave it out")
    if budget is not None:
        if settings.budgets:
            what = "shares by hand leave nothing that a budget of bytes could decide"
            raise InputError(what, "compress.budgets", "leave one of them out")
        aimed = budget.limit if offline else int(_AIM * budget.limit)
        recipe = _with(recipe, levels=(pruning.sparsity_for(aimed, budget.account),))
    _refuse_sharing(settings, data)
    if settings.weight_bits < 8 and not settings.int8:
        what = f"{settings.weight_bits} bits are learned together with int8"
        raise InputError(what, "compress.weight_bits", "leave compress.int8 as it is, or use 8")
    for level in settings_of(recipe).levels:
        shares = pruning.shares(level)  # refused before anything is read or written
        _refuse_short(level, *pruning.comes_to(shares))
    recipe = _named(recipe, folder, network, budget)
    if control:
        _refuse_control(recipe, data)
    run = run or Path("runs") / recipe.name
    teachers = () if offline else settings.teachers
    for read in (folder, *map(_folder, teachers)):
        _refuse_in_place(read, run)
    if offline:
        record = _offline(recipe, weights, network, data, run, budget, resume, force)
    else:
        record = _trained(recipe, weights, data, run, budget, resume, force, tell)
    if control:
        assert data is not None  # `_refuse_control` has seen to it
        record = _with_control(recipe, data, run, record, resume, force, tell)
    return run, record


def _folder(source: Path | str) -> Path:
    path = Path(source)
    folder = path if path.is_dir() else packaged("models", str(source))
    if not folder.is_dir():
        raise InputError("there is no such run or model", str(source), "give a run or a model")
    if not (folder / "weights.npz").is_file():
        raise InputError("holds no weights.npz", folder, "give a finished run")
    return folder


def _refuse_in_place(source: Path, run: Path) -> None:
    """A run that took the place of what it is made from could not be begun again."""
    source, run = source.resolve(), run.resolve()
    if source == run or {run / LEVELS, run / CONTROL} & {source, *source.parents}:
        what = "holds the network that it is made from"
        raise InputError(what, run, "give another folder with -o")


def _recipe(folder: Path, overrides: tuple[str, ...]) -> Recipe:
    """That of the source; an imported network has none, and gets the default one."""
    for override in overrides:
        key = override.partition("=")[0]
        if key.partition(".")[0] == "network":
            what = "the network is that of the run or model that is compressed"
            raise InputError(what, key, "leave it out, or compress another one")
    # The source's own [compress] table, where it has one, is its history and not a default, and
    # what its products were computed in was a matter of its machine.
    overrides = ("compress={}", "train.precision=float32", *overrides)
    if not (folder / "recipe.toml").exists():
        return make_recipe({"schema": 1, "name": folder.resolve().name}, folder, overrides)
    # Batches are a function of (seed, step): by its own seed it has heard them all before.
    another = (read_recipe(folder / "recipe.toml").train.seed + 1) % SEEDS
    return read_recipe(folder / "recipe.toml", (f"train.seed={another}", *overrides))


def _arrays(path: Path) -> Arrays:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _with(recipe: Recipe, **changes: Any) -> Recipe:
    table = msgspec.structs.replace(settings_of(recipe), **changes)
    return msgspec.structs.replace(recipe, compress=table)


def _shared_out(recipe: Recipe) -> Recipe:
    """The recipe with a way of sharing out in place of "auto"."""
    settings = settings_of(recipe)
    if settings.share_by != "auto":
        return recipe
    by_table = settings.structure == "unit" or settings.method == "offline"
    return _with(recipe, share_by="table" if by_table else "scan")


def _named(recipe: Recipe, folder: Path, network: FloatNetwork, budget: Budget | None) -> Recipe:
    """The recipe with its source, its network's shape and a name that folders are sorted by.

    `lstm_256-block4x4-0.75-magnitude`, or in place of the level `200000-zip`
    """
    settings = settings_of(recipe)
    asked = level_name(settings.levels[-1])
    if budget is not None:
        asked = f"{budget.limit}-{budget.account}"
    name = f"{recipe.name}-{settings.structure.replace(':', '')}-{asked}-{settings.method}"
    if settings.levels == (0.0,) and settings.method != "offline":
        name = f"{recipe.name}-{'int8' if settings.int8 else 'float'}"
    shape = recipe.network.resized({layer.name: layer.units for layer in network.layers})
    recipe = msgspec.structs.replace(recipe, name=name, network=shape)
    return _with(recipe, source=folder.resolve().name)


def _offline(
    recipe: Recipe,
    weights: Path,
    network: FloatNetwork,
    data: Path | None,
    run: Path,
    budget: Budget | None,
    resume: bool,
    force: bool,
) -> dict:
    """A run folder without training: every level pruned from the same float weights.

    With `resume`, what was pruned stays: it is the control that goes on.
    """
    frames, heard = None, {}
    if data is not None and settings_of(recipe).hears:
        _refuse_other_features(network, weights)
        heard = {"manifest_sha256": corpus_of_recipe(recipe.data, data).sha256}
    record = {
        "schema": 1,
        "recipe": recipe.name,
        "recipe_sha256": recipe_sha256(recipe),
        **heard,
        "source_sha256": sha256(weights),
        "method": "offline",
    }
    killed = False
    if resume and (run / "run.json").exists():
        same_run(run / "run.json", record, force)
        found = read_json(run / "run.json")
        if "solved_again" in found:
            return found
        killed = "levels" not in found
    # Of a run without a control nothing goes on.
    going_on = "--control --resume, " if (run / CONTROL).exists() else ""
    refuse_taken(run, force or killed, f"use {going_on}--force or another folder")
    if heard:
        assert data is not None
        frames = calibration(recipe, data, Normalisation(network.mean, network.std))
    pruning = Pruning(_arrays(weights), settings_of(recipe), frames)
    if budget is None:
        levels = settings_of(recipe).levels
        found = prune_levels(pruning, levels)
    else:
        level, arrays = prune_to_bytes(pruning, budget.limit, budget.account)
        levels, found = (level,), [arrays]
        recipe = _with(recipe, levels=levels)
    begun = dict(record)
    record |= {
        "structure": str(pruning.structure),
        "padded": pruning.padded,
        "solved_again": pruning.solves,
        "levels": [
            {"sparsity_asked": level, "sparsity": pruning.sparsity(arrays)}
            for level, arrays in zip(levels, found, strict=True)
        ],
    }
    if budget is not None:
        record["budget"] = _spent(budget, found[-1])
    clear_run(run)
    write_json(run / "run.json", begun)  # a killed one is known by it
    for level, arrays in zip(levels, found, strict=True):
        _write(level_folder(run, level), recipe, arrays)
    _write(run, recipe, found[-1])
    write_json(run / "run.json", record)
    return record


def _refuse_sharing(settings: Compress, data: Path | None) -> None:
    """Not every way of sharing sparsity out is there for every structure and method."""
    if settings.method == "learned" and settings.budgets:
        what = "learned thresholds find every share themselves"
        raise InputError(what, "compress.budgets", "leave it out, or use --method magnitude")
    by, where = settings.share_by, "compress.share_by"
    if by == "table":
        return
    if settings.structure == "unit":
        raise InputError(f"{by} does not serve units", where, "use table, or compress.budgets")
    if settings.method == "offline" and by == "scan":
        raise InputError("a scan is made by training methods", where, "use table or energy")
    if settings.method == "offline" and data is None:
        raise InputError("energy is that of mixtures", where, "give --data, or use table")


def _refuse_short(asked: float, found: float, groups: int) -> None:
    """Shares by hand of every half are what they are; training would end short of the level."""
    if (asked - found) * groups > 0.5:
        what = f"come to a sparsity of {found:.4f}, asked is {asked:g}"
        raise InputError(what, "compress.budgets", "ask for less, or take more by hand")


def _refuse_other_features(network: FloatNetwork, weights: Path) -> None:
    """Mixtures are heard through the features of this package, not through a user's own."""
    if len(network.mean) != BANDS:
        what = f"was trained on {len(network.mean)} features a frame, not {BANDS}"
        raise InputError(what, weights, "leave --data out, or use --no-resolve")


def _trained(
    recipe: Recipe,
    weights: Path,
    data: Path | None,
    run: Path,
    budget: Budget | None,
    resume: bool,
    force: bool,
    tell: Callable[[Any], None],
) -> dict:
    """A run of `training.compress`; above its budget it fails once all is written."""
    if data is None:
        remedy = "name the folder of the corpus, or use --method offline"
        raise InputError("is needed by this method", "--data", remedy)
    from tinyse.training.compress import train_compressed

    teachers = [_folder(named) / "weights.npz" for named in settings_of(recipe).teachers]
    record = train_compressed(recipe, weights, data, run, resume, force, tell, teachers)
    record |= {"padded": Pruning(_arrays(weights), settings_of(recipe)).padded}
    if budget is not None:
        record["budget"] = _spent(budget, _arrays(run / "weights.npz"))
    write_json(run / "run.json", record)
    if budget is not None and record["budget"]["bytes"] > budget.limit:
        over = record["budget"]["bytes"] - budget.limit
        what = f"ended {over:,} bytes above {budget.limit:,} ({budget.account})"
        raise TinySEError(
            what, run, f"ask for a sparsity above {settings_of(recipe).levels[-1]:.4f}"
        )
    return record


def _spent(budget: Budget, arrays: Arrays) -> dict:
    found = bytes_of(arrays, budget.account)
    return {"account": budget.account, "limit_bytes": budget.limit, "bytes": found}


def _write(folder: Path, recipe: Recipe, arrays: Arrays) -> None:
    with atomic_file(folder / "weights.npz") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # no key is called allow_pickle
    units = {layer.name: layer.units for layer in read_weights(folder / "weights.npz").layers}
    shape = recipe.network.resized(units)
    write_text(folder / "recipe.toml", to_toml(msgspec.structs.replace(recipe, network=shape)))


def _refuse_control(recipe: Recipe, data: Path | None) -> None:
    structure = settings_of(recipe).structure
    if structure != "unit":
        what = f"a {structure} structure leaves the shape as it was"
        raise InputError(what, "--control", "use --structure unit")
    if data is None:
        raise InputError("is needed by --control", "--data", "name the folder of the corpus")
    corpus_of_recipe(recipe.data, data)
    lists_of_recipe(recipe.data, data)


def _with_control(
    recipe: Recipe,
    data: Path,
    run: Path,
    record: dict,
    resume: bool,
    force: bool,
    tell: Callable[[Any], None],
) -> dict:
    """The record with what the shape that was left learns from scratch, in float.

    It takes the source's recipe for the steps that the source's network took and those of the
    compression: whether pruning found weights or only a shape (Liu et al., ICLR 2019).
    """
    from tinyse.training.loop import train

    units = {layer.name: layer.units for layer in read_weights(run / "weights.npz").layers}
    steps = recipe.train.steps_per_epoch
    more = -(-record.get("steps", 0) // steps)
    scratch = msgspec.structs.replace(
        recipe,
        name=f"{recipe.name}-control",
        network=recipe.network.resized(units),
        train=msgspec.structs.replace(recipe.train, epochs=recipe.train.epochs + more),
        compress=None,
    )
    folder = run / CONTROL
    resume = resume and (folder / "run.json").exists()
    result = train(scratch, data, folder, resume=resume, force=force, tell=tell)
    keep = ("steps", "valid_si_sdr_gain")
    record = read_json(run / "run.json") | {CONTROL: {key: result[key] for key in keep}}
    write_json(run / "run.json", record)
    return record
