"""A run becomes a published model: every file of `models/NAME`, every figure measured anew.

recipe.toml log.jsonl run.json weights.npz     copied from the run
model.tflite manifest.json                     exported
golden.npz                                     50 frames of speech through the file
metrics.json                                   measured on the file, read once from the test list
README.md                                      the card, made from the JSON files
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tinyse import features
from tinyse.audio.lists import MixtureList, render
from tinyse.audit import inspect
from tinyse.check import TOLERANCE, measured
from tinyse.enhance import read_normalisation
from tinyse.errors import InputError
from tinyse.evaluate import evaluate
from tinyse.export import MANIFEST, export_model, golden
from tinyse.files import read_bytes, read_json, write_bytes, write_json
from tinyse.report.card import write_card

SCHEMA = 1
COPIED = ("recipe.toml", "run.json", "log.jsonl", "weights.npz")
METRICS = ("sdr", "si_sdr", "snr", "estoi")
_GOLDEN_FRAMES, _GOLDEN_FROM = 50, 40  # the first frames of a row are near silence


def publish(
    run: Path,
    folder: Path,
    mixtures: MixtureList,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Make `folder` from the finished `run`; returns metrics.json.

    `mixtures` is the test list that the published figures are read from, once, against the run's
    own float network.
    """
    for name in COPIED:
        if not (run / name).is_file():
            raise InputError(f"has no {name}", run, "finish the run first")
    if (folder / "metrics.json").exists() and not force:
        raise InputError("is published already", folder, "give --force to replace it")
    with _unfinished(folder) as place:
        for name in COPIED:
            write_bytes(place / name, read_bytes(run / name))
        file = export_model(place, place)
        result = evaluate(
            place,
            mixtures,
            "tflm",
            against="float",
            metrics=_metric_names(),
            ceiling=True,
            progress=progress,
        )
        metrics = _metrics(place, file, result, mixtures)
        write_golden(file, mixtures, place / "golden.npz")
        write_json(place / "metrics.json", metrics)
        write_card(place)
    return metrics


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


def _metric_names() -> tuple[str, ...]:
    """Every metric that is installed; PESQ needs a compiler and may be absent."""
    return (*METRICS, "pesq") if find_spec("pesq") else METRICS


def _metrics(
    folder: Path, file: Path, result: dict[str, Any], mixtures: MixtureList
) -> dict[str, Any]:
    inspected, run = inspect(file), read_json(folder / "run.json")
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
        "sparsity": inspected["sparsity"],
        "bytes": inspected["bytes"],
        "macs": inspected["macs"],
        "memory": {"tflm_arena": expected["tflm_arena"]},
        "seeds": [
            {
                "seed": run["seed"],
                "valid_si_sdr_gain": run["valid_si_sdr_gain"],
                "sdr_loss": against["sdr_loss"],
                "bytes": inspected["bytes"]["tflite"],
            }
        ],
        "training": run,
        "tolerance": TOLERANCE,
        "check": expected,
    }


def write_golden(file: Path, mixtures: MixtureList, path: Path) -> None:
    """Golden vectors of 50 frames inside the first noisy row of a list."""
    row = next(row for row in mixtures.rows if row.snr_db is not None)
    spectrum = features.stft(render(mixtures, row).mixture)
    frames = read_normalisation(file).features(spectrum)
    golden(file, frames[_GOLDEN_FROM : _GOLDEN_FROM + _GOLDEN_FRAMES], path)
