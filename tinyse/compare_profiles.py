"""What each export profile costs and keeps: one table, from one network's weights.

    tflite_bytes, arena_bytes            of the file, of TFLM's arena
    operators, refused_by                in the file; the runtimes that will not run it
    tflm_ratio, litert_ratio             time of a frame over that of the first profile; none where
                                         the runtime refuses that one
    sdr_loss_db, sdr_loss_db_p95         float network minus the file on TFLM: mean, 95th of 100

Profiles take turns, block by block, so a ratio holds on a busy machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyse.audio.lists import MixtureList
from tinyse.bench.timing import timed
from tinyse.errors import InputError, MissingExtra
from tinyse.evaluate import evaluate
from tinyse.export import export_model
from tinyse.quant import PROFILES
from tinyse.quant.weights import find_weights
from tinyse.runtimes import Runtime, open_runtime
from tinyse.tflite.check import load

SCHEMA = 1
TIMED = ("tflm", "litert")


def compare_profiles(
    source: Path | str,
    mixtures: MixtureList | Path | str | None = None,
    rows: int = 40,
    profiles: Sequence[str] = tuple(PROFILES),
) -> dict[str, Any]:
    """The table of `source`: a run, a published model's folder or a weights.npz.

    mixtures : list whose `rows` rows, spread evenly, are scored; no quality is told without one

    Raises InputError for what cannot be exported or scored, MissingExtra without TFLM.
    """
    weights = find_weights(source)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for profile in profiles:
            place = Path(folder) / profile
            files[profile] = export_model(source, place, profile)
            shutil.copy(weights, place / "weights.npz")  # the float network to score against
        opened = {profile: _open(file) for profile, file in files.items()}
        width = load(files[profiles[0]]).network.layers[0].width
        ratios = {name: _ratios(opened, name, width) for name in TIMED}
        found = [
            _row(file, opened[profile])
            | {f"{name}_ratio": ratios[name].get(profile) for name in TIMED}
            | (_loss(file, mixtures, rows) if mixtures is not None else {})
            for profile, file in files.items()
        ]
    model = weights.resolve().parent.name
    return {"schema": SCHEMA, "model": model, "ratios_to": profiles[0], "profiles": found}


def _open(file: Path) -> dict[str, Runtime]:
    """The runtimes that take the file; TFLM must be there and take it."""
    opened = {"tflm": open_runtime("tflm", file)}
    for name in TIMED[1:]:
        try:
            opened[name] = open_runtime(name, file)
        except (InputError, MissingExtra):
            continue  # told as `refused_by`
    return opened


def _ratios(opened: dict[str, dict[str, Runtime]], name: str, width: int) -> dict[str, float]:
    """Time of each profile on a runtime over that of the first one, where that runs there."""
    if name not in next(iter(opened.values())):
        return {}
    runtimes = []
    for profile, found in opened.items():
        if name in found:
            found[name].name = profile  # what `timed` tells them apart by
            runtimes.append(found[name])
    return {row["runtime"]: row["against_first"] for row in timed(runtimes, width)}


def _row(file: Path, opened: dict[str, Runtime]) -> dict[str, Any]:
    checked = load(file)
    return {
        "profile": checked.profile,
        "tflite_bytes": len(checked.data),
        "arena_bytes": opened["tflm"].info.arena_bytes,
        "operators": len(checked.model.operators),
        "refused_by": [name for name in TIMED if name not in opened],
    }


def _loss(file: Path, mixtures: MixtureList | Path | str, rows: int) -> dict[str, float]:
    against = evaluate(file, mixtures, "tflm", against="float", limit=rows)["against"]
    return {
        "rows": against["rows"],
        "sdr_loss_db": against["sdr_loss"],
        "sdr_loss_db_p95": against["sdr_loss_p95"],
    }
