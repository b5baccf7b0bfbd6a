"""A run becomes a published model: every file of `models/NAME`, every figure measured anew.

Of runs that differ in their seed alone the best by validation is published, and metrics.json has a
line of each; a seed that is measured later does not replace a model that others were made from.

recipe.toml log.jsonl run.json weights.npz     copied from the run
model.tflite manifest.json                     exported
golden.npz                                     50 frames of speech through the file
metrics.json                                   measured on the file, read once from the test lists:
                                               scores and peers of the first, its behaviour, and
                                               scores of the others
README.md                                      the card, made from the JSON files
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from tinyse import features
from tinyse.audio.lists import MixtureList, render
from tinyse.audit import inspect
from tinyse.behaviour import MINUTES, behaviour
from tinyse.bench import gated_figures
from tinyse.check import TOLERANCE, figures_of, measured
from tinyse.enhance import open_enhancer, read_normalisation
from tinyse.errors import InputError
from tinyse.evaluate import FLOAT, PEERS, TWIN, evaluate
from tinyse.export import MANIFEST, MODEL, export_model, golden
from tinyse.files import (
    clear,
    find_published,
    packaged,
    read_bytes,
    read_json,
    sha256,
    write_bytes,
    write_json,
    write_together,
)
from tinyse.pack.files import native_bytes
from tinyse.quant.weights import made_of_weights
from tinyse.recipe import Network, Recipe, read_recipe
from tinyse.report.card import CARD, against_what, write_card
from tinyse.tflite.check import load

SCHEMA = 1
COPIED = ("recipe.toml", "run.json", "log.jsonl", "weights.npz")
WRITTEN = (*COPIED, MODEL, MANIFEST, "golden.npz", "metrics.json", CARD)
NEEDED = ("seed", "valid_si_sdr_gain")  # of run.json
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
    against: str | None = None,
) -> dict[str, Any]:
    """Make `folder` from the finished `run`; returns metrics.json.

    Parameters
    ----------
    mixtures : the test list of the headline figures, read once, against the float network and the
        other peers that are installed; of a compressed run, against the published float network
        that it began with, whose peers are its own
    against : the published model whose float network losses are counted from instead; "float" is
        the run's own, with its peers
    others : lists that are scored too, under `lists`
    minutes : of the run without a reset
    notice : is told what was left out for want of a tool
    seeds : finished runs of the same recipe with other seeds; the best of all by validation takes
        the place of `run`

    Raises InputError, and writes nothing, for what is no finished run of training, a folder that
    cannot be written and, without `force`, one that holds a file of those above.
    """
    runs = [run, *seeds]
    for each in runs:
        _refuse_unfinished(each)
    run, *seeds = _best_first(runs)
    _refuse_place(folder, force)
    names = [listed.name for listed in (mixtures, *others)]
    if len(set(names)) < len(names):
        raise InputError("two lists of one name", ", ".join(names), "give each once")
    with tempfile.TemporaryDirectory() as elsewhere:
        place = Path(elsewhere) / folder.resolve().name  # which the model is called after
        place.mkdir(exist_ok=True)
        for name in COPIED:
            write_bytes(place / name, read_bytes(run / name))
        file = export_model(place, place)
        reference = _reference(place) if against is None else _float_of(against)
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
        write_together({folder / name: read_bytes(place / name) for name in WRITTEN})
    # What was made of the weights that lay there before would pass for these weights'.
    clear(folder, *(name for name in made_of_weights(folder) if name not in WRITTEN))
    return metrics


def _refuse_place(folder: Path, force: bool) -> None:
    """InputError for a folder that cannot be written, or has in it what would be: said early."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "no permission" if there.is_dir() else "is no folder"
        raise InputError(f"cannot be written ({why})", there, "give another folder")
    for name in WRITTEN:
        if (folder / name).exists() and not force:
            raise InputError("already exists", folder / name, "give --force to replace it")


def _refuse_unfinished(run: Path) -> None:
    """InputError for a folder that is no finished run of training, or of what publish exports."""
    record = read_json(run / "run.json") if (run / "run.json").is_file() else {}
    if not isinstance(record, dict):
        raise InputError("is not the record of a run", run / "run.json", "give a finished run")
    if record.get("method") == "offline":
        what = "was pruned offline, and no validation says how good it is"
        raise InputError(what, run, "publish a run of training, or of another --method")
    for name in COPIED:
        if not (run / name).is_file():
            raise InputError(f"has no {name}", run, "give the folder of a finished run")
    missing = [key for key in NEEDED if not isinstance(record.get(key), int | float)]
    if missing:
        what = f"has no {' and no '.join(missing)}"
        raise InputError(what, run / "run.json", "give the folder of a finished run")
    if read_recipe(run / "recipe.toml").network.gru:
        what = "has GRU layers, and what is published is a fused file, which has no operator for it"
        raise InputError(what, run, "export it with --profile step16x8")


def _best_first(runs: list[Path]) -> list[Path]:
    """By validation; InputError for runs that differ in more than their seed."""
    if len(runs) == 1:
        return runs
    recipes = [_asked(each) for each in runs]
    for each, recipe in zip(runs, recipes, strict=True):
        if recipe != recipes[0]:
            raise InputError(f"has another recipe than {runs[0]}", each, "publish it on its own")
    records = [read_json(each / "run.json") for each in runs]
    for each, record in zip(runs, records, strict=True):
        for key, value in _made_from(record).items():
            if value != _made_from(records[0])[key]:
                raise InputError(f"has another {key} than {runs[0]}", each, "publish it on its own")
    seeds = [record["seed"] for record in records]
    for each, seed in zip(runs, seeds, strict=True):
        if seeds.count(seed) > 1:
            raise InputError(f"seed {seed} is there twice", each, "give each seed once")
    gains = [record["valid_si_sdr_gain"] for record in records]
    return [runs[index] for index in sorted(range(len(runs)), key=lambda index: -gains[index])]


def _made_from(record: dict[str, Any]) -> dict[str, Any]:
    """What runs that differ in their seed alone have in common, beside their recipe."""
    keys = ("manifest_sha256", "valid_list_sha256", "source_sha256", "teacher_sha256")
    made_from = {key: record.get(key) for key in keys}
    # Runs from before teachers were written down followed what they began with.
    return made_from | {"teacher_sha256": made_from["teacher_sha256"] or made_from["source_sha256"]}


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
    that is better by validation: that one is to be published, unless models beside this one began
    with its weights or were taught by it, which would then be counted against nothing.
    """
    folder = find_published(name)
    _refuse_unfinished(run)
    metrics, seed = read_json(folder / "metrics.json"), read_json(run / "run.json")["seed"]
    with figures_of(folder / "metrics.json"):
        seeds = [line["seed"] for line in metrics["seeds"]]
        listed, digest = metrics["list"]["name"], metrics["list"]["sha256"]
        reference = against_what(metrics)
    if seed in seeds:
        raise InputError(f"has a line for seed {seed}", folder, "give a run with another seed")
    if mixtures.sha256 != digest:
        what = f"is not {listed} that the model was measured on"
        raise InputError(what, mixtures.name, "give that list")
    if _best_first([folder, run])[0] != folder and not _has_followers(folder):
        what = f"is better by validation than {folder.name}"
        raise InputError(what, run, "publish both runs anew, with --force")
    metrics["seeds"].append(_seed(run, mixtures, reference, progress))
    write_json(folder / "metrics.json", metrics)
    write_card(folder, force=True)
    return metrics


def _has_followers(folder: Path) -> bool:
    """Whether published models beside `folder` began with its weights or were taught by it."""
    weights = sha256(folder / "weights.npz")
    for metrics in folder.resolve().parent.glob("*/metrics.json"):
        record = read_json(metrics.parent / "run.json")
        with figures_of(metrics.parent / "run.json"):
            taught = record.get("teacher_sha256") or ""  # one sha256, or a list of them
            if weights == record.get("source_sha256") or weights in taught:
                return True
    return False


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
        folder, found = source, _float_of(settings.source)
    return found


def _float_of(model: str) -> str:
    """What `evaluate` is told to compare with a model's float network; FLOAT is the run's own."""
    return model if model == FLOAT else f"{model}:{FLOAT}"


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
    inspected, cores = inspect(file), _cores(file, notice)
    found = metrics | {
        "sparsity": inspected["sparsity"],
        "bytes": _before_bound(inspected["bytes"], _native(file)),
        "macs": inspected["macs"],
        "tolerance": TOLERANCE,
    }
    if cores:
        found["memory"] = found["memory"] | {
            f"native_{part}": cores["cortex_m4"][f"{part}_bytes"]
            for part in ("flash", "arena", "stack")
        }
        found["instructions"] = {
            core: figures["instructions_per_frame"] for core, figures in cores.items()
        }
        found["check"] = found["check"] | {"firmware": cores}
    return found


def _cores(file: Path, notice: Callable[[str], None]) -> dict[str, dict[str, int]]:
    try:
        return gated_figures(file, notice)
    except InputError as error:
        notice(f"C runtime on Cortex-M: left out: {error}")
        return {}


def _native(file: Path) -> dict[str, int]:
    """The accounts of the C runtime, which need no board; none where no kernel takes the file."""
    try:
        return native_bytes(load(file).network)
    except InputError:
        return {}


def _before_bound(accounts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Accounts of bytes and `more` of them; the bound stands last."""
    rest = {name: count for name, count in accounts.items() if name != "bound"}
    return rest | more | {"bound": accounts["bound"]}


def refresh(name: str | Path, notice: Callable[[str], None]) -> dict[str, Any]:
    """Measure a published model's file again, but not its sound; returns metrics.json.

    Rewrites `with_file_figures` of metrics.json, its arena on TFLM, and the card.  Quality is kept,
    so the file must be the one that was scored; figures of emulated cores are not, so their tools
    must be here.
    """
    folder = find_published(name)
    metrics, file = read_json(folder / "metrics.json"), folder / MODEL
    with figures_of(folder / "metrics.json"):  # said before anything is measured
        metrics |= {part: metrics[part] | {} for part in ("memory", "check")}
    _refuse_another_file(folder)
    left_out: list[str] = []
    metrics = with_file_figures(metrics, file, left_out.append)
    if left_out and "instructions" in metrics:
        what = f"has figures that cannot be taken here ({left_out[0]})"
        raise InputError(what, folder / "metrics.json", "refresh it where they can")
    for line in left_out:
        notice(line)
    arena = {"tflm_arena": open_enhancer(file, "tflm").runtime.info.arena_bytes}
    metrics["memory"] |= arena
    metrics["check"] |= arena | {"tflite": file.stat().st_size}
    write_json(folder / "metrics.json", metrics)
    write_card(folder, force=True)
    return metrics


def recount(
    name: str | Path,
    against: str,
    lists: Sequence[MixtureList],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Count a published model's losses from the float network of `against`; returns metrics.json.

    The lists that it was measured on are scored again for that, and `against` of each written
    anew.  What another seed loses in the mean is the gain of `against` less the seed's own, so it
    moves as the model's does.  All else stays, so the file must be the one that was scored.
    """
    folder = find_published(name)
    metrics, listed = read_json(folder / "metrics.json"), {each.name: each for each in lists}
    with figures_of(folder / "metrics.json"):
        tables = [metrics, *metrics.get("lists", {}).values()]
        wanted = {table["list"]["name"]: table["list"]["sha256"] for table in tables}
        before = metrics["against"]["sdr_loss"]
    if {each.name: each.sha256 for each in lists} != wanted:
        what = f"was measured on {' and '.join(wanted)}"
        raise InputError(what, folder, "give --list for each of these, and no other")
    _refuse_another_file(folder)
    for table in tables:
        mixtures = listed[table["list"]["name"]]
        table["against"] = _scored(folder, mixtures, _float_of(against), (), progress)["against"]
    for line in metrics["seeds"]:
        line["sdr_loss"] = round(line["sdr_loss"] + metrics["against"]["sdr_loss"] - before, 4)
    write_json(folder / "metrics.json", metrics)
    write_card(folder, force=True)
    return metrics


def _refuse_another_file(folder: Path) -> None:
    """InputError where a published file is not the one that its figures were measured on."""
    manifest = read_json(folder / MANIFEST)
    with figures_of(folder / MANIFEST):
        exported = manifest["files"][MODEL]["sha256"]
    if sha256(folder / MODEL) != exported:
        what = "is not the file that was measured"
        raise InputError(what, folder / MODEL, "publish the run again")


def write_golden(file: Path, mixtures: MixtureList, path: Path) -> None:
    """Golden vectors of 50 frames inside the first noisy row of a list, else its first row."""
    noisy = (row for row in mixtures.rows if not row.is_clean)
    row = next(noisy, mixtures.rows[0])
    spectrum = features.stft(render(mixtures, row).mixture)
    frames = read_normalisation(file).features(spectrum)
    golden(file, frames[_GOLDEN_FROM : _GOLDEN_FROM + _GOLDEN_FRAMES], path)
