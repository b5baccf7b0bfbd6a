"""A trained network made sparse: what is asked becomes a recipe, and one of the methods does it.

    run or published model --> sparse int8 run        learned, magnitude (training.compress)
                           --> pruned run             offline, no training and no Keras

A byte budget is turned into a sparsity first: that at which the network, pruned by magnitude and
exported, has so many bytes by the account that was named.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.features import WINDOW, Normalisation, stft
from tinyse.files import atomic_file, packaged, sha256, write_json, write_text
from tinyse.quant import quantise_network, read_weights
from tinyse.quant.weights import find_weights
from tinyse.recipe import Recipe, read_recipe, to_toml
from tinyse.sparsity.budget import budgets, largest_sparsity, sparsity_for_bytes
from tinyse.sparsity.groups import (
    Structure,
    Weights,
    halves,
    parse_structure,
    total_sparsity,
)
from tinyse.sparsity.offline import prune_offline
from tinyse.sparsity.shrink import shrink, units_to_keep

_CALIBRATION_STEP = 10**9  # a batch that no training reaches
_CALIBRATION_ROWS = 16
_TINY = 1e-10


def compress(
    source: Path | str,
    overrides: tuple[str, ...],
    data: Path | None,
    run: Path | None = None,
    budget: tuple[int, str] | None = None,
    resume: bool = False,
    force: bool = False,
    tell: Callable[[Any], None] = lambda told: None,
) -> tuple[Path, dict]:
    """Compress `source`, a run's folder or a published model's name, into the folder `run`.

    overrides : keys of the [compress] table, and of others ("compress.levels=[0.75]")
    data : folder of the corpus; `offline` re-solves what survives only where it is given
    budget : bytes and the account they are counted by, in place of the level

    Returns the run's folder (`runs/NAME` unless given) and the contents of its run.json.
    Raises InputError for what cannot be had, and has written nothing then.
    """
    folder = _folder(source)
    weights = find_weights(folder)
    # The source's own [compress] table, where it has one, is its history and not a default.
    recipe = read_recipe(folder / "recipe.toml", ("compress={}", *overrides))
    structure = parse_structure(recipe.compress.structure)
    network = read_weights(weights)  # says what is wrong with the file
    arrays = _arrays(weights)
    if budget is not None:
        levels = (_sparsity_for(arrays, structure, recipe, *budget),)
        recipe = _with(recipe, levels=levels)
    recipe = _with(recipe, source=folder.resolve().name)
    recipe = msgspec.structs.replace(recipe, name=_name(recipe, structure))
    run = run or Path("runs") / recipe.name
    for level in recipe.compress.levels:
        _shares(arrays, structure, recipe, level)  # refused before anything is read or written
    if recipe.compress.method == "offline":
        statistics = Normalisation(network.mean, network.std)
        return run, _offline(recipe, weights, data, statistics, run, force)
    if data is None:
        raise InputError("is needed by this method", "--data", "name the folder of the corpus")
    from tinyse.training.compress import train_compressed

    return run, train_compressed(recipe, weights, data, run, resume, force, tell)


def _folder(source: Path | str) -> Path:
    path = Path(source)
    folder = path if path.is_dir() else packaged("models", str(source))
    if not folder.is_dir():
        raise InputError("there is no such run or model", str(source), "give a run or a model")
    for name in ("weights.npz", "recipe.toml"):
        if not (folder / name).is_file():
            raise InputError(f"holds no {name}", folder, "give a finished run")
    return folder


def _arrays(path: Path) -> dict[str, NDArray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _with(recipe: Recipe, **changes: Any) -> Recipe:
    table = msgspec.structs.replace(recipe.compress, **changes)
    return msgspec.structs.replace(recipe, compress=table)


def _name(recipe: Recipe, structure: Structure) -> str:
    """`lstm_256-block4x4-0.75-magnitude`: what a folder of runs is sorted by."""
    settings = recipe.compress
    if settings.levels == (0.0,):
        return f"{recipe.name}-int8"
    asked = f"{settings.levels[-1]:.4f}".rstrip("0")
    return f"{recipe.name}-{str(structure).replace(':', '')}-{asked}-{settings.method}"


def _shares(
    arrays: Weights, structure: Structure, recipe: Recipe, sparsity: float
) -> dict[str, float]:
    if not sparsity:
        return {}
    by_hand, floor = recipe.compress.budgets, recipe.compress.floor
    return budgets(arrays, structure, sparsity, by_hand=by_hand, floor=floor)


def _pruned(
    arrays: Weights,
    structure: Structure,
    recipe: Recipe,
    sparsity: float,
    frames: NDArray[np.float32] | None = None,
) -> dict[str, NDArray]:
    """The arrays of a weights.npz without what goes; units are taken out, not only set to zero."""
    shares = _shares(arrays, structure, recipe, sparsity)
    pruned = prune_offline(arrays, structure, shares, frames)
    if structure.kind == "unit" and shares:
        pruned, _ = shrink(pruned, units_to_keep(arrays, shares))
    return pruned


def _sparsity_for(
    arrays: Weights, structure: Structure, recipe: Recipe, limit: int, account: str
) -> float:
    from tinyse.audit import all_accounts
    from tinyse.tflite.check import check_bytes
    from tinyse.tflite.write import serialise

    def bytes_at(sparsity: float) -> int:
        pruned = _pruned(arrays, structure, recipe, sparsity)
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "weights.npz", **pruned)
            network = quantise_network(read_weights(Path(folder) / "weights.npz"), recipe.name)
        accounts = all_accounts(check_bytes(serialise(network)))
        if account not in accounts:
            what, remedy = f"unknown account {account!r}", f"use {', '.join(accounts)}"
            raise InputError(what, "--account", remedy)
        return accounts[account]

    largest = largest_sparsity(arrays, structure)
    return sparsity_for_bytes(limit, bytes_at, account, largest)


def _offline(
    recipe: Recipe,
    weights: Path,
    data: Path | None,
    statistics: Normalisation,
    run: Path,
    force: bool,
) -> dict:
    """A run folder without training: every level pruned from the same float weights."""
    if (run / "run.json").exists() and not force:
        raise InputError("holds a run already", run, "use --force or another folder")
    structure, arrays = parse_structure(recipe.compress.structure), _arrays(weights)
    frames = None if data is None else _calibration(recipe, data, statistics)
    found = []
    for level in recipe.compress.levels:
        pruned = _pruned(arrays, structure, recipe, level, frames)
        found.append((level, pruned, _sparsity(structure, arrays, pruned)))
    record = {
        "schema": 1,
        "recipe": recipe.name,
        "source_sha256": sha256(weights),
        "method": "offline",
        "structure": str(structure),
        "solved_again": frames is not None,
        "levels": [{"sparsity_asked": level, "sparsity": sparsity} for level, _, sparsity in found],
    }
    for level, pruned, _ in found:
        _write(run / "levels" / f"{level:g}", recipe, pruned)
    _write(run, recipe, found[-1][1])
    write_json(run / "run.json", record)
    return record


def _sparsity(structure: Structure, before: Weights, after: Weights) -> float:
    if structure.kind != "unit":
        return total_sparsity(structure, after)
    left, all_weights = (
        sum(matrix.size for matrix in halves(arrays).values()) for arrays in (after, before)
    )
    return 1 - left / all_weights


def _write(folder: Path, recipe: Recipe, arrays: Weights) -> None:
    with atomic_file(folder / "weights.npz") as file:
        np.savez(file, **arrays)
    write_text(folder / "recipe.toml", to_toml(recipe))


def _calibration(recipe: Recipe, data: Path, statistics: Normalisation) -> NDArray[np.float32]:
    """Features [S, T, n] of training mixtures, which `training.losses.mixed` makes in the graph."""
    from tinyse.audio import pools
    from tinyse.audio.corpora import read_manifest
    from tinyse.audio.mixing import Mixer

    decoded = pools.decode(read_manifest(data / recipe.data.manifest))
    train = recipe.train
    mixer = Mixer(*decoded.load(), recipe.mixing, train.seed, train.frames)
    batch = mixer.batch(_CALIBRATION_STEP, _CALIBRATION_ROWS)
    return features_of(statistics, batch)


def features_of(
    statistics: Normalisation, batch: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Features [S, T, n] of a batch of `audio.mixing.Mixer`."""
    drawn = (batch[key] for key in ("speech", "noise", "equaliser", "snr_db", "level_dbfs"))
    return np.stack([_features(statistics, *row) for row in zip(*drawn, strict=True)])


def _features(
    statistics: Normalisation,
    speech: NDArray,
    noise: NDArray,
    equaliser: NDArray,
    snr_db: float,
    level_dbfs: float,
) -> NDArray[np.float32]:
    pair = zip((speech, noise), equaliser, strict=True)
    clean, noisy = (stft(sound) * gains for sound, gains in pair)
    gain = np.sqrt(_level(clean) / (_level(noisy) * 10 ** (snr_db / 10) + _TINY))
    mixture = clean + gain * noisy
    loud = 10 ** (level_dbfs / 20) / np.sqrt(_level(mixture) + _TINY)
    return statistics.features(mixture * loud)


def _level(spectrum: NDArray) -> float:
    """Mean square of the sound behind a one-sided spectrum [T, 257]."""
    return 4 * float(np.mean(np.sum(np.abs(spectrum) ** 2, axis=1))) / WINDOW**2
