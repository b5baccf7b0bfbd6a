"""The card of a published model: its README.md, from the JSON files beside it.

    metrics.json  quality, loss, memory, training      manifest.json  bytes, sha256
    recipe.toml   the network's shape

No figure is written by hand: the same files give the same text, and `tinyse card --check` compares.
Of metrics.json these keys are optional: `lists` (scores on more lists), `behaviour`, `training`
(facts of the run), `limits` (more sentences for the limits), `licence` (the line on licence and
data), and in `quality` the breakdown by noise class and language.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec

from tinyse.errors import CheckFailed, InputError
from tinyse.files import packaged, read_bytes, read_json, write_text
from tinyse.metrics.bootstrap import FEWEST_GROUPS
from tinyse.recipe import Compress, Recipe, Train, read_recipe
from tinyse.report.content import COLUMNS, MINUS, RUNTIMES, number, reference_name, signed
from tinyse.report.page import environment

CARD = "README.md"
LICENCE = (
    "Code and weights: Apache-2.0. Trained and tested on public recordings; their authors and"
    " licences stand in THIRD_PARTY.md."
)
ACCOUNTS = {
    "fp32": "4 bytes a parameter",
    "tflite": "the file",
    "dense": "int8 weights and int32 biases",
    "zip": "deflate, level 9, of the file",
    "decode": "the file in TensorFlow Lite Micro's DECODE form",
    "native": "the blob of the C runtime",
    "native_coded": "the entropy-coded blob",
    "npu_weights": "an Ethos-U55's weight streams over all layers, without bias and scale records",
    "npu_flash": "all that Vela places in flash",
    "bound": "entropy of mask and values of the weights",
}
TRAINING = {
    "seed": "seed",
    "steps": "steps",
    "frames": "frames seen",
    "best_epoch": "best epoch",
    "valid_si_sdr_gain": "SI-SDR gain on the validation list, dB",
    "seconds": "seconds of training",
    "frames_per_s": "frames a second",
    "backend": "backend",
    "cores": "cores",
    "recipe_sha256": "sha256 of the recipe",
    "manifest_sha256": "sha256 of the corpus' manifest",
    "commit": "commit",
}


def write_card(folder: Path, force: bool = False) -> Path:
    """Writes the card of the published model in `folder` and returns its path."""
    if not force:
        refuse_other(folder)
    path = folder / CARD
    write_text(path, card_text(folder))
    return path


def refuse_other(folder: Path) -> None:
    """InputError where the card is there and says something else."""
    path, text = folder / CARD, card_text(folder)
    if path.exists() and read_bytes(path) != text.encode():
        raise InputError("already exists and says something else", path, "give --force")


def check_card(folder: Path) -> None:
    """CheckFailed where the card is missing or not what its JSON files say."""
    path, text = folder / CARD, card_text(folder)
    if not path.exists() or read_bytes(path) != text.encode():
        raise CheckFailed(
            "does not say what metrics.json says", path, f"run tinyse card --force {folder.name}"
        )


def card_text(folder: Path) -> str:
    """The card's text, Markdown; InputError where a file lacks a figure."""
    metrics, manifest = (read_json(folder / name) for name in ("metrics.json", "manifest.json"))
    recipe = read_recipe(folder / "recipe.toml")
    try:
        values = _values(metrics, manifest, recipe) | {"folder": folder.resolve().name}
    except (KeyError, TypeError, AttributeError) as error:
        where = folder / "metrics.json, manifest.json"
        raise InputError(f"lacks a figure ({error})", where, "publish the model again") from error
    return _rendered(values, folder / "metrics.json").rstrip() + "\n"


def _values(metrics: dict[str, Any], manifest: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """What the template reads."""
    quality, against = metrics["quality"], metrics.get("against") or {}
    lost = against.get("by_snr", {})
    return {
        "metrics": metrics,
        "quality": quality,
        "against": against,
        "reference": reference_name(metrics) if against else "",
        "against_what": against_what(metrics),
        "columns": _columns(quality),
        "conditions": _conditions(quality),
        "breakdown": _breakdown(quality),
        "lists": [
            (name, listed, _columns(listed["quality"]), _conditions(listed["quality"]))
            for name, listed in metrics.get("lists", {}).items()
        ],
        "verdicts": metrics.get("behaviour", {}).get("verdicts", []),
        "heard": metrics.get("behaviour", {}),
        "losses": [(_condition(name), scores) for name, scores in lost.items()],
        "bytes": manifest["bytes"] | metrics.get("bytes", {}),
        "runtime": RUNTIMES.get(metrics["runtime"], metrics["runtime"]),
        "accounts": ACCOUNTS,
        "memory": metrics.get("memory", {}),
        "sparsity": metrics.get("sparsity", {}),
        "macs": metrics.get("macs", {}),
        "training": _training(metrics.get("training", {})),
        "description": _description(recipe, metrics),
        "command": _command(recipe),
        "backend": metrics.get("training", {}).get("backend", ""),
        "sha256": manifest["files"]["model.tflite"]["sha256"],
        "limits": [*_not_held(metrics), *_sentences(metrics)],
        "licence": metrics.get("licence", LICENCE),
    }


def _sentences(metrics: dict[str, Any]) -> list[str]:
    """`limits`, which is written by hand; TypeError where it is no list of sentences."""
    found = metrics.get("limits", [])
    if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
        raise TypeError("limits is no list of sentences")
    return found


def _columns(quality: dict[str, Any]) -> list[tuple[str, str]]:
    """Key and head of the scores that were measured."""
    return [(key, name) for key, name in COLUMNS.items() if quality.get(key) is not None]


def _conditions(quality: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and scores of each SNR, and of the mean."""
    by_snr = [(_condition(name), scores) for name, scores in quality["by_snr"].items()]
    return [*by_snr, ("**mean**", quality)]


def _breakdown(quality: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and scores of noise classes, of seen and unseen ones, and of languages."""
    found = []
    for name, scores in quality.get("by_noise", {}).items():
        seen = {True: ", seen", False: ", unseen"}.get(scores.get("seen"), "")
        found.append((f"noise: {name}{seen}", scores))
    for name, scores in quality.get("by_seen", {}).items():
        found.append((f"**noise classes {name} in training**", scores))
    for name, scores in quality.get("by_language", {}).items():
        found.append((f"language: {name}", scores))
    return found


def _rendered(values: dict[str, Any], source: Path) -> str:
    jinja = environment()
    from jinja2 import UndefinedError

    jinja.filters |= {
        "signed": lambda value: signed(value, 2),
        "number": number,
        "whole": lambda value: f"{value:,}",
        "plain": lambda value: f"{value:g}".replace("-", MINUS),
        "cell": _cell,
    }

    def interval(key: str, places: int) -> str:
        if key not in values["quality"].get("ci95", {}):
            return ""
        low, high = values["quality"]["ci95"][key]
        return f" (95 % interval {number(low, places)} to {number(high, places)})"

    jinja.globals |= {"interval": interval, "required": _required, "fewest_groups": FEWEST_GROUPS}
    try:
        return jinja.get_template("card.md.j2").render(values)
    except UndefinedError as error:
        raise InputError(f"lacks a figure ({error})", source, "publish the model again") from error
    except (TypeError, ValueError, OverflowError) as error:
        what = f"has a figure that is none ({error})"
        raise InputError(what, source, "publish the model again") from error


def _cell(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if value is None:
        return ""
    if key.endswith("_gain"):
        return signed(value, 2)
    return number(value, 3 if key.startswith("estoi") else 2)


def _required(verdict: dict[str, Any]) -> str:
    least = verdict.get("at_least")
    return f"at least {least:g}" if least is not None else f"at most {verdict['at_most']:g}"


def _condition(name: str) -> str:
    return name if name == "clean" else f"{name.replace('-', MINUS)} dB"


def _description(recipe: Recipe, metrics: dict[str, Any]) -> str:
    network = recipe.network
    layers = [f"LSTM {units}" for units in network.lstm]
    layers += [f"Dense {units} (ReLU)" for units in network.dense] + ["a mask of 128 bands"]
    text = (
        "A speech-enhancement network as one int8 `.tflite` for TensorFlow Lite Micro: 128 log band"
        f" levels of a frame of 16 ms in, {', '.join(layers[:-1])}, {layers[-1]} out. The state"
        " lives in the file's LSTM operators: one frame per invoke."
    )
    settings = recipe.compress
    if settings is None:
        return text
    if not settings.levels[-1]:
        names = [f"`{name}`" for name in settings.teachers]
        teachers = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        taught = f" and following {teachers}" if teachers else ""
        left = ", what pruning of whole units had left" if settings.structure == "unit" else ""
        kind = "the integers of this file" if settings.int8 else "float"
        on = f"Trained on, in {kind}{taught}, from `{settings.source}`{left}."
        return f"{text} {on}"
    block = settings.structure.removeprefix("block:")
    groups = {"weight": "single weights", "unit": "weights, with whole units,"}
    of = f"{groups.get(settings.structure, f'blocks of {block} weights')} of `{settings.source}`"
    few = f" and what stays has {settings.weight_bits} bits" if settings.weight_bits < 8 else ""
    share = f"{100 * metrics['training']['levels'][-1]['sparsity']:.2f} %"
    chosen = f"chosen by `{settings.method}` and trained together with int8"
    return f"{text} {share} of the {of} are gone{few}, {chosen}."


def _not_held(metrics: dict[str, Any]) -> list[str]:
    """What is required of its behaviour and does not hold."""
    verdicts = metrics.get("behaviour", {}).get("verdicts", [])
    return [
        f"Does not hold: {verdict['what']}, {number(verdict['value'], 2)} {verdict['unit']}"
        f" ({_required(verdict)})."
        for verdict in verdicts
        if not verdict["holds"]
    ]


def against_what(metrics: dict[str, Any]) -> str:
    """What `tinyse evaluate --against` is told to count losses as the card does."""
    other = metrics.get("against", {}).get("model", metrics["model"])
    return "float" if other == metrics["model"] else f"{other}:float"


def _command(recipe: Recipe) -> str:
    """What trains the network again, without folders."""
    settings = recipe.compress
    if settings is None:
        return ""
    given = {"source", "structure", "levels", "steps", "method"}
    rest = {
        f"compress.{name}": value
        for name, value in msgspec.to_builtins(settings).items()
        if name not in given and value != msgspec.to_builtins(Compress())[name]
    }
    rest |= _of_its_own(recipe, packaged("models", settings.source) / "recipe.toml")
    rest["train.seed"] = recipe.train.seed
    if recipe.train.precision != Train().precision:  # which a compressed run does not inherit
        rest["train.precision"] = recipe.train.precision
    words = [f"tinyse compress {settings.source} --structure {settings.structure}"]
    words += [f"--levels {','.join(f'{level:g}' for level in settings.levels)}"]
    if settings.method != "offline":
        words += [f"--steps {settings.steps}"]
    words += [f"--method {settings.method}"]
    words += [f"--set {name}={_toml(value)}" for name, value in rest.items()]
    return " ".join(words)


def _of_its_own(recipe: Recipe, source: Path) -> dict[str, Any]:
    """What it heard otherwise than its source, whose recipe a compressed run inherits."""
    if not source.is_file():
        return {}
    own, inherited = (msgspec.to_builtins(each) for each in (recipe, read_recipe(source)))
    return {
        f"{table}.{key}": value
        for table in ("data", "mixing", "loss")
        for key, value in own[table].items()
        if value != inherited[table][key]
    }


def _toml(value: Any) -> str:
    """A value as --set takes it, for a shell."""
    if isinstance(value, dict):
        entries = ",".join(f"{json.dumps(key)}={json.dumps(each)}" for key, each in value.items())
        return shlex.quote(f"{{{entries}}}")
    text = json.dumps(value)
    return shlex.quote(text) if isinstance(value, (list, tuple)) else text


def _training(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, f"{record[key]:,}" if isinstance(record[key], int) else _shown(record[key]))
        for key, name in TRAINING.items()
        if record.get(key) is not None
    ]


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"`{value}`"
