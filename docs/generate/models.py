"""The README's table of published models, from the JSON files of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MINUS = "\N{MINUS SIGN}"
HEAD = """\
| model | non-zero weights | file, bytes | flash, bytes | instructions | SDR gain, dB (95 %) | SI-SDR gain, dB | SDR lost, dB (95 %) |
|---|---:|---:|---:|---:|---|---:|---|
"""  # noqa: E501 - a table
COSTS = """\
Flash (code, weights, constants) and instructions a frame are those of the network in the C runtime
on a Cortex-M4; [sound to sound](docs/firmware.md#sound-to-sound) costs the same on top of each.
SDR lost is against `lstm_256_first` in float, which all of them began with; of `lstm_256`, against
its own. [To `lstm_256`](docs/results.md#beside-the-literature) the others lose more."""


def models_table(root: Path) -> str:
    """A row for each models/*/metrics.json under `root`, and what the figures stand on."""
    files = sorted((root / "models").glob("*/metrics.json"))
    if not files:
        return "No model is published yet."
    metrics = [json.loads(path.read_text("utf-8")) for path in files]
    rows = [_row(path.parent.name, found) for path, found in zip(files, metrics, strict=True)]
    notes = sorted({_note(found) for found in metrics})
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join([*notes, COSTS])


def _row(name: str, metrics: dict[str, Any]) -> str:
    quality, against = metrics["quality"], metrics["against"]
    cells = (
        f"[{name}](models/{name}/README.md)",
        f"{metrics['macs']['nonzero']:,}",
        f"{metrics['bytes']['tflite']:,}",
        _counted(metrics["memory"].get("native_flash")),
        _counted(metrics.get("instructions", {}).get("cortex_m4")),
        with_interval(quality["sdr_gain"], quality["ci95"]["sdr_gain"], 2),
        number(quality["si_sdr_gain"], 2),
        with_interval(against["sdr_loss"], against["sdr_loss_ci95"], 3),
    )
    return f"| {' | '.join(cells)} |"


def _counted(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _note(metrics: dict[str, Any]) -> str:
    quality, listed = metrics["quality"], metrics["list"]
    snrs = ", ".join(f"{snr:g}".replace("-", MINUS) for snr in quality["snrs_db"])
    return (
        f"Measured on the exported file, run by {metrics['runtime_version']}, over"
        f" {quality['rows']:,} mixtures at {snrs} dB SNR of `{listed['name']}`"
        f" (sha256 `{listed['sha256'][:12]}`); intervals by a bootstrap over"
        f" {quality['bootstrap']['groups']} speakers."
    )


def with_interval(value: float, interval: list[float], places: int) -> str:
    """A figure with its interval in brackets."""
    low, high = (number(end, places) for end in interval)
    return f"{number(value, places)} ({low} to {high})"


def number(value: float, places: int) -> str:
    """A figure with a true minus sign."""
    # Adding zero turns a rounded minus zero into zero.
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", MINUS)
