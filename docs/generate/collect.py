"""docs/results/NAME.json: what is kept of a finished sweep, a row for each exported file.

python -m docs.generate --collect SWEEP_FOLDER    counts cycles and instructions of the files too

Rows of cases that the folder does not have stay, so a sweep may be run a few cases at a time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from tinyse.bench import gated_figures
from tinyse.errors import InputError
from tinyse.files import read_json, read_toml, write_json
from tinyse.npu import default_memory, find_target
from tinyse.npu.document import profile
from tinyse.pack.files import native_bytes
from tinyse.recipe import Recipe, read_recipe
from tinyse.sweep import read_plan
from tinyse.tflite.check import load

NPU = "ethos-u55-128"
SCORES = ("rows", "sdr_gain", "si_sdr_gain", "snr_gain", "estoi_gain", "ci95")


def collect(sweep: Path, root: Path) -> Path:
    """Write docs/results/NAME.json from the folder of a finished sweep; its path."""
    name = read_plan(sweep / "sweep.toml").name
    rows = []
    for row in sorted(sweep.glob("runs/*/row.json"), key=lambda path: int(path.parent.name)):
        run, facts = row.parent, read_json(row)
        if facts["state"] != "done":
            raise InputError(f"is {facts['state']}", row, "let the sweep end first")
        for folder in (*sorted(run.glob("levels/*/evaluate.json")), run / "evaluate.json"):
            rows.append({"case": _case(facts)} | _row(folder.parent, run))
            print(f"{rows[-1]['case']}, {rows[-1]['sparsity']}", file=sys.stderr)
    path = root / "docs" / "results" / f"{name}.json"
    kept = read_json(path)["rows"] if path.exists() else []
    measured = {row["case"] for row in rows}
    rows = [row for row in kept if row["case"] not in measured] + rows
    write_json(path, {"schema": 1, "name": name, "rows": rows})
    return path


def _case(facts: dict[str, Any]) -> str:
    return msgspec.json.decode(facts["case"], type=str) if "case" in facts else ""


def _row(folder: Path, run: Path) -> dict[str, Any]:
    """The facts of one file, made in `folder` by `run`."""
    recipe = read_recipe(run / "recipe.toml")
    scores, audit = read_json(folder / "evaluate.json"), read_json(folder / "inspect.json")
    record, file = read_json(run / "run.json"), folder / "model.tflite"
    target = find_target(NPU, default_memory(NPU))
    quality, against = scores["quality"], scores["against"]
    by_snr = {snr: lost["sdr_loss"] for snr, lost in against["by_snr"].items()}
    cores = gated_figures(file, lambda line: print(line, file=sys.stderr))
    return {
        **_made(recipe, folder, record),
        "runtime": scores["runtime"],
        "list": scores["list"],
        "quality": {key: quality[key] for key in SCORES if key in quality},
        "against": {k: v for k, v in against.items() if k != "by_snr"} | {"by_snr": by_snr},
        "bytes": audit["bytes"] | native_bytes(load(file).network),
        "macs": audit["macs"],
        "zeros": {name: part["weights"] for name, part in audit["sparsity"]["per_matrix"].items()},
        "cycles": {NPU: profile(file, target)["total"]["cycles"]},
        "instructions": {core: found["instructions_per_frame"] for core, found in cores.items()},
        "native_flash": cores["cortex_m4"]["flash_bytes"] if cores else None,
    }


def _made(recipe: Recipe, folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """How a file came to be."""
    found: dict[str, Any] = {"seed": recipe.train.seed, "backend": record.get("backend", "none")}
    found |= {"precision": recipe.train.precision, "steps": record.get("steps", 0)}
    settings = recipe.compress
    if settings is None:
        return found | {"structure": "", "method": "float", "asked": 0.0, "sparsity": 0.0}
    levels = {f"{level['sparsity_asked']:g}": level for level in record["levels"]}
    level = levels.get(folder.name, record["levels"][-1])
    return found | {
        "structure": settings.structure,
        "method": settings.method,
        "asked": level["sparsity_asked"],
        "sparsity": level["sparsity"],
        "valid_si_sdr_gain": level.get("valid_si_sdr_gain"),
        "network": read_toml(folder / "recipe.toml")["network"],
    }
