"""docs/results.md's tables, from docs/results/*.json (`collect`) and the published models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.generate.collect import NPU
from docs.generate.models import number, with_interval
from docs.generate.taught import taught_cell
from tinyse.recipe import read_recipe
from tinyse.sparsity.groups import halves

BASELINE = "lstm_256"
FIRST = "lstm_256_first"  # which it and all sparse models began with, and losses are counted from
CORES = {"cortex_m4": "M4", "cortex_m55": "M55"}
ACCOUNTS = ("dense", "zip", "decode", "native", "npu_weights", "bound")
SNRS = ("-5", "0", "5", "10")
NOTHING = "Nothing has been measured yet."
# arXiv 2111.02351 (weight, block) and 2005.11138 (unit), each against its own float network.
PUBLISHED = {
    "lstm_256_weight": "3.7 MB to 87 kB (42x) at 0.10 dB",
    "lstm_256_block4x4": "a computational speed-up of 6.7x at 0.59 dB",
    "lstm_256_unit": "11.9x smaller, 2.9x fewer operations at 0.55 dB",
    "lstm_tiny": "",
}


def headline_table(root: Path) -> str:
    """The published sparse models beside the figures of the papers."""
    rows = []
    dense = metrics_of(root, BASELINE)["macs"]["dense"]
    for name, paper in PUBLISHED.items():
        if not (root / "models" / name / "metrics.json").exists():
            continue
        found = metrics_of(root, name)
        lost, cost = found["against"], found["bytes"]
        rows.append([
            f"[{name}](../models/{name}/README.md)",
            with_interval(lost["sdr_loss"], lost["sdr_loss_ci95"], 2),
            taught_cell(root, name),
            f"{cost['npu_weights']:,}",
            f"{found['memory'].get('native_flash', 0):,}",
            f"{found['macs']['live']:,} ({dense / found['macs']['live']:.1f}x fewer)",
            ", ".join(map(str, _units(root, name))),
            paper,
        ])  # fmt: skip
    if not rows:
        return NOTHING
    heads = [
        "model", f"SDR lost to `{FIRST}`, dB (95 %)", f"to `{BASELINE}`", "U55 weights, bytes",
        "flash on a Cortex-M4, bytes", "live multiply-accumulates",
        f"units left of {', '.join(map(str, _units(root, BASELINE)))}", "in the literature",
    ]  # fmt: skip
    return table(heads, rows, "lllrrrll")


def _units(root: Path, model: str) -> tuple[int, ...]:
    """Of its hidden layers, in order."""
    network = read_recipe(root / "models" / model / "recipe.toml").network
    return *network.lstm, *network.gru, *network.dense


def quality_table(root: Path) -> str:
    """What every file of the curves loses, by method."""
    rows = []
    for row in curve_rows(root):
        lost = row["against"]
        rows.append([
            row["structure"], row["method"], _percent(row["asked"]),
            with_interval(lost["sdr_loss"], lost["sdr_loss_ci95"], 2),
            number(lost["si_sdr_loss"], 2),
            number(lost["estoi_loss"], 3) if "estoi_loss" in lost else "",
            *(number(lost["by_snr"][snr], 2) for snr in SNRS),
        ])  # fmt: skip
    heads = ["structure", "method", "zeros", "SDR lost, dB (95 %)", "SI-SDR", "ESTOI"]
    heads += [f"SDR at {number(float(snr), 0)} dB" for snr in SNRS]
    return table(heads, rows, "llrl" + "r" * 6) if rows else NOTHING


def costs_table(root: Path) -> str:
    """What every file of the curves costs, by the method that loses least there."""
    best: dict[tuple[str, float], dict[str, Any]] = {}
    for row in curve_rows(root):
        key = row["structure"], row["asked"]
        if key not in best or row["against"]["sdr_loss"] < best[key]["against"]["sdr_loss"]:
            best[key] = row
    rows = []
    for row in best.values():
        macs = row["macs"]
        rows.append([
            row["structure"], _percent(row["asked"]), row["method"],
            *(f"{row['bytes'].get(account, 0):,}" for account in ACCOUNTS),
            f"{macs['dense']:,}", f"{macs['nonzero']:,}", f"{macs['live']:,}",
            *(f"{row['instructions'].get(core, 0):,}" for core in CORES),
            f"{row['cycles'][NPU]:,}",
        ])  # fmt: skip
    heads = ["structure", "zeros", "method", *(f"`{account}`" for account in ACCOUNTS)]
    heads += ["dense", "non-zero", "live", *CORES.values(), "U55-128"]
    return table(heads, rows, "lrl" + "r" * 12) if rows else NOTHING


def shapes_table(root: Path) -> str:
    """What block shapes lose and cost."""
    rows = []
    for row in _rows(root, "shapes"):
        lost = row["against"]
        rows.append([
            row["structure"], _percent(row["asked"]),
            with_interval(lost["sdr_loss"], lost["sdr_loss_ci95"], 2),
            f"{row['macs']['live']:,}", f"{row['bytes']['native']:,}",
            *(f"{row['instructions'].get(core, 0):,}" for core in CORES),
            f"{row['cycles'][NPU]:,}",
        ])  # fmt: skip
    heads = ["structure", "zeros", "SDR lost, dB (95 %)", "live", "`native`"]
    heads += [*(f"instructions, {name}" for name in CORES.values()), "cycles, U55-128"]
    return table(heads, rows, "lrl" + "r" * 5) if rows else NOTHING


def cases_table(root: Path, name: str) -> str:
    """What every case of a sweep lost at every sparsity, and what its bytes are."""
    rows = []
    for row in sorted(_rows(root, name), key=lambda row: row["asked"]):
        lost = row["against"]
        rows.append([
            _percent(row["asked"]), row["case"], f"{row['steps']:,}",
            with_interval(lost["sdr_loss"], lost["sdr_loss_ci95"], 2),
            number(lost["si_sdr_loss"], 2), number(lost["estoi_loss"], 3),
            f"{row['bytes']['npu_weights']:,}", f"{row['macs']['live']:,}",
        ])  # fmt: skip
    heads = ["zeros", "case", "steps of the run", "SDR lost, dB (95 %)", "SI-SDR", "ESTOI"]
    heads += ["`npu_weights`", "live macs"]
    return table(heads, rows, "llrlrrrr") if rows else NOTHING


def gates_table(root: Path) -> str:
    """Share of the dense network's weights that are left, of every gate half, of sparse models."""
    models = [name for name in PUBLISHED if (root / "models" / name / "metrics.json").exists()]
    models = [name for name in models if not name.endswith("unit")]
    if not models:
        return NOTHING
    dense = _halves(root, BASELINE)
    by_model = [_halves(root, name) for name in models]
    rows = [
        [f"`{half}`", *(f"{100 * np.count_nonzero(x[half]) / matrix.size:.1f} %" for x in by_model)]
        for half, matrix in dense.items()
    ]  # fmt: skip
    return table(["matrix", *(f"`{name}`" for name in models)], rows, "l" + "r" * len(models))


def _halves(root: Path, model: str) -> dict[str, NDArray]:
    with np.load(root / "models" / model / "weights.npz") as file:
        return halves({name: file[name] for name in file.files})


def sources_table(root: Path) -> str:
    """Where the rows of every JSON file come from."""
    rows = []
    for path in sorted((root / "docs" / "results").glob("*.json")):
        found = json.loads(path.read_text("utf-8"))["rows"]
        made = sorted({(row["backend"], row["precision"], row["steps"]) for row in found})
        how = "; ".join(f"{backend}, {kind}, {steps:,} steps" for backend, kind, steps in made)
        listed, count = found[0]["list"], found[0]["list"]["rows"]
        rows.append([f"`{path.name}`", str(len(found)), how, f"{count} rows of `{listed['name']}`"])
    return table(["file", "rows", "trained by", "scored on"], rows, "lrll") if rows else NOTHING


def metrics_of(root: Path, model: str) -> dict[str, Any]:
    """metrics.json of a published model."""
    return json.loads((root / "models" / model / "metrics.json").read_text("utf-8"))


def _rows(root: Path, name: str) -> list[dict[str, Any]]:
    path = root / "docs" / "results" / f"{name}.json"
    return json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []


def curve_rows(root: Path) -> list[dict[str, Any]]:
    """The collected rows of the curves, by structure, sparsity and method."""
    kinds = ("weight", "block:4x4", "unit")
    rows = [row for row in _rows(root, "curves") if row["structure"] in kinds]
    return sorted(
        rows, key=lambda row: (kinds.index(row["structure"]), row["asked"], row["method"])
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def table(heads: list[str], rows: Iterable[list[str]], sides: str) -> str:
    """A table in Markdown; sides : l or r per column."""
    rule = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))
