"""The regression gate: a fresh export of a published model against its metrics.json.

Compared are the file's bytes, the arena that TFLM hands out, and the SDR of the fresh file: on
the embedded recording always, on a part of each recorded list where its audio is there.  The
published file and its weights must be those that the manifest names.  Of the C runtime on emulated
Cortex-M, instructions per frame, flash, arena and stack must not grow by more than 1 %.  `measured`
and `gated_figures` take the same figures when a model is published, so both sides are one code.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinyse.audio.lists import MixtureList, list_of_corpus
from tinyse.audio.synth import demo_mixture
from tinyse.bench import gated_figures
from tinyse.enhance import open_enhancer
from tinyse.enhance.models import WEIGHTS
from tinyse.errors import InputError
from tinyse.evaluate import evaluate
from tinyse.export import MANIFEST, MODEL, export_model
from tinyse.files import find_published, packaged, read_bytes, read_json, sha256
from tinyse.metrics import sdr

EMBEDDED = "embedded"  # the recording that the project can always make
_PART_ROWS = 27  # about so many rows of a list, evenly spread: ten seconds on two cores
TOLERANCE = {"tflite_bytes": 0, "tflm_arena_bytes": 0, "sdr_db": 0.02, "firmware_growth": 0.01}


def measured(model: Path, lists: list[MixtureList]) -> dict[str, Any]:
    """What `check` compares, of an exported file: `tflite`, `tflm_arena` and `sdr` by list."""
    enhancer = open_enhancer(model, "tflm")
    mixture = demo_mixture()
    enhanced = enhancer.whole(mixture.mixture)
    figures: dict[str, dict[str, Any]] = {}
    figures[EMBEDDED] = {"sdr_out": round(sdr(mixture.target, enhanced), 4)}
    for mixtures in lists:
        part = (1, max(1, len(mixtures.rows) // _PART_ROWS))
        quality = evaluate(model, mixtures, "tflm", metrics=("sdr",), part=part)["quality"]
        figures[mixtures.name] = {
            "sha256": mixtures.sha256,
            "part": list(part),
            "sdr_out": quality["sdr_out"],
        }
    return {
        "tflite": model.stat().st_size,
        "tflm_arena": enhancer.runtime.info.arena_bytes,
        "sdr": figures,
    }


def check(
    name: Path | str,
    data: Path | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Export a published model, a name or a folder, anew and compare it; one dict a figure.

    Each has `figure`, `published`, `fresh`, `tolerance` and `holds`.  A recorded list that is not
    in the folder `data`, or is another than was recorded, is named to `notice` and left out; so is
    the C runtime where its compiler or emulator is not installed.
    """
    if data is not None and not data.is_dir():
        raise InputError("there is no such folder", data, "name the folder of the lists' audio")
    folder = find_published(name)
    path = folder / "metrics.json"
    published = read_json(path)
    with figures_of(path):
        expected, tolerance = published["check"], published["tolerance"]
        profile, on_boards = published["profile"], "firmware" in expected
        lists = _lists(expected["sdr"], data, notice)
    with tempfile.TemporaryDirectory() as place:
        file = export_model(folder, Path(place), profile)
        fresh = measured(file, lists)
        cores = gated_figures(file, notice) if on_boards else {}
        rows = _bytes(folder, file)
    with figures_of(path):
        return rows + _compared(expected, tolerance, fresh, cores)


def _bytes(folder: Path, file: Path) -> list[dict[str, Any]]:
    """Whether the published files are what they were exported from and what is exported now."""
    old, new = read_bytes(folder / MODEL), read_bytes(file)
    other = sum(a != b for a, b in zip(old, new, strict=False)) + abs(len(old) - len(new))
    rows = [_row(f"bytes of {MODEL} that a fresh export has otherwise", 0, other, 0)]
    manifest = read_json(folder / MANIFEST)
    with figures_of(folder / MANIFEST):
        exported = {
            MODEL: manifest["files"][MODEL]["sha256"],
            WEIGHTS: manifest["source"]["weights"],
        }
    for name, digest in exported.items():
        same = sha256(folder / name) == digest
        rows.append(_row(f"{name} other than {MANIFEST} says", 0, int(not same), 0))
    return rows


@contextlib.contextmanager
def figures_of(path: Path) -> Iterator[None]:
    """Names the `metrics.json` that lacks a figure, or has something else there."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        remedy = "publish the model again"
        raise InputError(f"lacks a figure ({error})", path, remedy) from error


def _compared(
    expected: dict[str, Any],
    tolerance: dict[str, float],
    fresh: dict[str, Any],
    cores: dict[str, dict[str, int]],
) -> list[dict[str, Any]]:
    """A row a figure, of what `metrics.json` expects and what was measured anew."""
    rows = [
        _row("tflite bytes", expected["tflite"], fresh["tflite"], tolerance["tflite_bytes"]),
        _row(
            "TFLM arena bytes",
            expected["tflm_arena"],
            fresh["tflm_arena"],
            tolerance["tflm_arena_bytes"],
        ),
    ]
    for listed, figures in fresh["sdr"].items():
        before = expected["sdr"][listed]["sdr_out"]
        label = f"SDR out, {listed}, dB"
        rows.append(_row(label, before, figures["sdr_out"], tolerance["sdr_db"]))
    for core, figures in cores.items():
        rows += _growth(core, expected["firmware"][core], figures, tolerance["firmware_growth"])
    return rows


def _growth(
    core: str, published: dict[str, int], fresh: dict[str, int], allowed: float
) -> list[dict[str, Any]]:
    """What may shrink, but not grow by more than the share `allowed`."""
    rows = []
    for name, before in published.items():
        most = int(allowed * before)
        row = _row(f"{core} {name.replace('_', ' ')}", before, fresh[name], most)
        rows.append(row | {"holds": fresh[name] <= before + most})
    return rows


def _row(figure: str, published: float, fresh: float, tolerance: float) -> dict[str, Any]:
    return {
        "figure": figure,
        "published": published,
        "fresh": fresh,
        "tolerance": tolerance,
        "holds": abs(fresh - published) <= tolerance,
    }


def _lists(
    recorded: dict[str, Any], data: Path | None, notice: Callable[[str], None]
) -> list[MixtureList]:
    found = []
    for name, figures in recorded.items():
        if name == EMBEDDED:
            continue
        own = data is not None and (data / name).exists()
        if data is None or not (own or packaged("lists", name).is_file()):
            notice(f"{name}: not here, left out (TINYSE_DATA names its folder)")
            continue
        try:
            mixtures = list_of_corpus(name, data)
        except InputError as error:
            if own:
                raise
            notice(f"{name}: {error.what}, left out")
            continue
        if mixtures.sha256 != figures["sha256"]:
            notice(f"{name}: another list than was published with, left out")
            continue
        found.append(mixtures)
    return found
