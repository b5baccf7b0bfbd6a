"""A run becomes a published model: every file of `models/NAME`, every figure measured anew.

Of runs that differ in their seed alone the best by validation is published, and metrics.json has a
line of each.

recipe.toml log.jsonl run.json weights.npz     copied from the run
model.tflite manifest.json                     exported
golden.npz                                     50 frames of speech through the file
metrics.json                                   measured on the file, read once from the test lists:
                                               scores and peers of the first, its behaviour, and
                                               scores of the others
README.md                                      the card, made from the JSON files
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from tinyse import features
from tinyse.audio.lists import MixtureList, render
from tinyse.audit import inspect
from tinyse.behaviour import MINUTES, behaviour
from tinyse.bench import gated_figures
from tinyse.check import TOLERANCE, measured
from tinyse.enhance import read_normalisation
from tinyse.errors import InputError
from tinyse.evaluate import FLOAT, PEERS, TWIN, evaluate
from tinyse.export import MANIFEST, export_model, golden
from tinyse.files import packaged, read_bytes, read_json, sha256, write_bytes, write_json
from tinyse.pack.files import native_bytes
from tinyse.recipe import Network, Recipe, read_recipe
from tinyse.report.card import find_published, write_card
from tinyse.tflite.check import load

SCHEMA = 1
COPIED = ("recipe.toml", "run.json", "log.jsonl", "weights.npz")
METRICS = ("sdr", "si_sdr", "snr", "estoi")
SEED = ("sdr", "si_sdr")
_GOLDEN_FRAMES, _GOLDEN_FROM = 50, 40  # the first frames of a row are near silence


def publish(
    run: Path,
    folder: Path,
    mixtures: MixtureList,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    others: Sequence[MixtureList] = (),
    minutes: int = MINUTES,
    notice: Callable[[str], None] = lambda line: None,
    seeds: Sequence[Path] = (),
) -> dict[str, Any]:
    """Make `folder` from the finished `run`; returns metrics.json.

    Parameters
    ----------
    mixtures : the test list of the headline figures, read once, against the float network and the
        other peers that are installed; of a compressed run, against the published float network
        that it began with, whose peers are its own
    others : lists that are scored too, under `lists`
    minutes : of the run without a reset
    notice : is told what was left out for want of a tool
    seeds : finished runs of the same recipe with other seeds; the best of all by validation takes
        the place of `run`
    """
    runs = [run, *seeds]
    for each in runs:
        _refuse_unfinished(each)
    run, *seeds = _best_first(runs)
    if (folder / "metrics.json").exists() and not force:
        raise InputError("is published already", folder, "give --force to replace it")
    names = [listed.name for listed in (mixtures, *others)]
    if len(set(names)) < len(names):
        raise InputError("two lists of one name", ", ".join(names), "give each once")
    with _unfinished(folder) as place:
        for name in COPIED:
            write_bytes(place / name, read_bytes(run / name))
        file = export_model(place, place)
        reference = _reference(place)
        result = _scored(place, mixtures, reference, _peer_names(reference), progress)
        metrics = with_file_figures(_metrics(place, file, result, mixtures), file, notice)
        metrics["seeds"] += [_seed(each, mixtures, reference, progress) for each in seeds]
        if others:
            metrics["lists"] = {
                other.name: _of_list(_scored(place, other, reference, (), progress))
                for other in others
            }
        metrics["behaviour"] = behaviour(place, mixtures, minutes=minutes, progress=progress)
        write_golden(file, mixtures, place / "golden.npz")
        write_json(place / "metrics.json", metrics)
        write_card(place)
    return metrics


def _refuse_unfinished(run: Path) -> None:
    for name in COPIED:
        if not (run / name).is_file():
            raise InputError(f"has no {name}", run, "finish the run first")


def _best_first(runs: list[Path]) -> list[Path]:
    """By validation; InputError for runs that differ in more than their seed."""
    if len(runs) == 1:
        return runs
    recipes = [_asked(each) for each in runs]
    for each, recipe in zip(runs, recipes, strict=True):
        if recipe != recipes[0]:
            raise InputError(f"has another recipe than {runs[0]}", each, "publish it on its own")
    gains = {each: read_json(each / "run.json")["valid_si_sdr_gain"] for each in runs}
    return sorted(runs, key=lambda each: -gains[each])


def _asked(run: Path) -> Recipe:
    """Its recipe but for the seed and the shape that is left, which a seed may decide."""
    recipe = read_recipe(run / "recipe.toml", ("train.seed=0",))
    return recipe if recipe.compress is None else msgspec.structs.replace(recipe, network=Network())


def add_seed(
    run: Path,
    name: str | Path,
    mixtures: MixtureList,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score one more seed of a published model, which stays what it is; returns metrics.json.

    Adds a line to `seeds`, and makes the card again.  Raises InputError, and writes nothing, for a
    run of another recipe, a seed that has its line, a list that is not the headline one, and a run
    that is better by validation: that one is to be published.
    """
    folder = find_published(name)
    _refuse_unfinished(run)
    metrics, seed = read_json(folder / "metrics.json"), read_json(run / "run.json")["seed"]
    if any(line["seed"] == seed for line in metrics["seeds"]):
        raise InputError(f"has a line for seed {seed}", folder, "give a run with another seed")
    if mixtures.sha256 != metrics["list"]["sha256"]:
        what = f"is not {metrics['list']['name']} that the model was measured on"
        raise InputError(what, mixtures.name, "give that list")
    if _best_first([folder, run])[0] != folder:
        what = f"is better by validation than {folder.name}"
        raise InputError(what, run, "publish both runs anew, with --force")
    metrics["seeds"].append(_seed(run, mixtures, _reference(folder), progress))
    write_json(folder / "metrics.json", metrics)
    write_card(folder, force=True)
    return metrics


def _seed(
    run: Path,
    mixtures: MixtureList,
    reference: str,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """A line of `seeds`: what a run that is not published would have given."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in COPIED:
            write_bytes(place / name, read_bytes(run / name))
        file = export_model(place, place)
        result = evaluate(
            place, mixtures, "tflm", against=reference, metrics=SEED, peers=(), progress=progress
        )
        return _seed_line(read_json(run / "run.json"), result, file)


def _seed_line(run: dict[str, Any], result: dict[str, Any], file: Path) -> dict[str, Any]:
    return {
        "seed": run["seed"],
        "valid_si_sdr_gain": run["valid_si_sdr_gain"],
        "sdr_gain": result["quality"]["sdr_gain"],
        "sdr_loss": result["against"]["sdr_loss"],
        "bytes": file.stat().st_size,
    }


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A folder of the same name elsewhere, whose files go to `folder` when the body is done."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as place:
            inside = Path(place) / folder.name
            inside.mkdir()
            yield inside
            folder.mkdir(exist_ok=True)
            for path in sorted(inside.iterdir()):
                os.replace(path, folder / path.name)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise InputError(what, folder, "check the folder and the free space") from error


def _reference(folder: Path) -> str:
    """What losses are counted from: the float network that a compressed run began with, where that
    is published, else the run's own.

    One that began with a published sparse model goes back to the float network of that.
    """
    found = FLOAT
    while (settings := read_recipe(folder / "recipe.toml").compress) is not None:
        source = packaged("models", settings.source)
        weights, began = source / "weights.npz", read_json(folder / "run.json").get("source_sha256")
        if not weights.is_file() or sha256(weights) != began:
            break
        folder, found = source, f"{settings.source}:{FLOAT}"
    return found


def _scored(
    folder: Path,
    mixtures: MixtureList,
    reference: str,
    peers: tuple[str, ...],
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    return evaluate(
        folder,
        mixtures,
        "tflm",
        against=reference,
        metrics=_metric_names(),
        ceiling=True,
        peers=peers,
        progress=progress,
    )


def _of_list(result: dict[str, Any]) -> dict[str, Any]:
    """What metrics.json keeps of a list that is not the headline one."""
    return {key: result[key] for key in ("list", "quality", "against")}


def _peer_names(reference: str) -> tuple[str, ...]:
    """Every peer that is installed; RNNoise brings a decoder of films with it and may be absent.

    A model that began with a published one stands beside it, and so beside what that was compared
    with on the same rows: of its own it has the float network.
    """
    if reference != FLOAT:
        return (TWIN,)
    return tuple(name for name in PEERS if name != "rnnoise" or find_spec("pyrnnoise"))


def _metric_names() -> tuple[str, ...]:
    """Every metric that is installed; PESQ needs a compiler and may be absent."""
    return (*METRICS, "pesq") if find_spec("pesq") else METRICS


def _metrics(
    folder: Path, file: Path, result: dict[str, Any], mixtures: MixtureList
) -> dict[str, Any]:
    run = read_json(folder / "run.json")
    expected = measured(file, [mixtures])
    against = result["against"]
    return {
        "schema": SCHEMA,
        "model": folder.name,
        "profile": read_json(folder / MANIFEST)["profile"],
        "runtime": result["runtime"],
        "runtime_version": result["runtime_version"],
        "list": result["list"],
        "quality": result["quality"],
        "against": against,
        "peers": result["peers"],
        "memory": {"tflm_arena": expected["tflm_arena"]},
        "seeds": [_seed_line(run, result, file)],
        "training": run,
        "check": expected,
    }


def with_file_figures(
    metrics: dict[str, Any], file: Path, notice: Callable[[str], None]
) -> dict[str, Any]:
    """`metrics` with everything that is told from the exported file alone, no sound needed.

    Sparsity, bytes, multiply-accumulates; instructions per frame of the C runtime on emulated
    cores, and its flash, arena and stack on a Cortex-M4.
    """
    inspected, cores = inspect(file), gated_figures(file, notice)
    found = metrics | {
        "sparsity": inspected["sparsity"],
        "bytes": inspected["bytes"],
        "macs": inspected["macs"],
        "tolerance": TOLERANCE,
    }
    if cores:
        found["bytes"] = _before_bound(inspected["bytes"], native_bytes(load(file).network))
        found["memory"] = found["memory"] | {
            f"native_{part}": cores["cortex_m4"][f"{part}_bytes"]
            for part in ("flash", "arena", "stack")
        }
        found["instructions"] = {
            core: figures["instructions_per_frame"] for core, figures in cores.items()
        }
        found["check"] = found["check"] | {"firmware": cores}
    return found


def _before_bound(accounts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Accounts of bytes and `more` of them; the bound stands last."""
    rest = {name: count for name, count in accounts.items() if name != "bound"}
    return rest | more | {"bound": accounts["bound"]}


def refresh(name: str | Path, notice: Callable[[str], None]) -> dict[str, Any]:
    """Measure a published model's file again, but not its sound; returns metrics.json.

    Rewrites `with_file_figures` of metrics.json, and the card.  Quality is kept, so the file must
    be the one that was scored.
    """
    folder = find_published(name)
    metrics, file = read_json(folder / "metrics.json"), folder / "model.tflite"
    if sha256(file) != read_json(folder / MANIFEST)["files"]["model.tflite"]["sha256"]:
        raise InputError("is not the file that was measured", file, "publish the run again")
    metrics = with_file_figures(metrics, file, notice)
    write_json(folder / "metrics.json", metrics)
    write_card(folder, force=True)
    return metrics


def write_golden(file: Path, mixtures: MixtureList, path: Path) -> None:
    """Golden vectors of 50 frames inside the first noisy row of a list, else its first row."""
    noisy = (row for row in mixtures.rows if row.snr_db is not None)
    row = next(noisy, mixtures.rows[0])
    spectrum = features.stft(render(mixtures, row).mixture)
    frames = read_normalisation(file).features(spectrum)
    golden(file, frames[_GOLDEN_FROM : _GOLDEN_FROM + _GOLDEN_FRAMES], path)
