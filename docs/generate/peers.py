"""docs/quality.md's table of peers: every method on the rows of the list, from metrics.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.generate.models import number, with_interval

NOTHING = "No peer has been measured yet."
NAMES = {
    "noisy": "noisy input",
    "floor": "one fixed filter",
    "wiener": "Wiener filter (textbook)",
    "rnnoise": "RNNoise",
    "float": "`{model}`, float",
    "int8": "`{model}`, int8 file",
    "ceiling": "best mask of 128 bands",
}
# Key of a method -> head of its column and decimals.
COLUMNS = {
    "sdr": ("SDR", 2),
    "si_sdr_gain": ("SI-SDR gain", 2),
    "snr_gain": ("SNR gain", 2),
    "estoi": ("ESTOI (0..1)", 3),
    "pesq": ("PESQ (MOS)", 2),
}


def peers_table(root: Path) -> str:
    """A table for each models/*/metrics.json under `root` that has peers."""
    files = sorted((root / "models").glob("*/metrics.json"))
    metrics = [json.loads(path.read_text("utf-8")) for path in files]
    tables = [_table(found) for found in metrics if "peers" in found]
    return "\n\n".join(tables) or NOTHING


def _table(metrics: dict[str, Any]) -> str:
    peers, listed = metrics["peers"], metrics["list"]
    keys = [key for key in COLUMNS if peers["methods"][0].get(key) is not None]
    heads = ["method", "SDR gain, dB (95 %)", *(COLUMNS[key][0] for key in keys), "computed by"]
    lines = [heads, ["---", "---", *("---:" for _ in keys), "---"]]
    for method in peers["methods"]:
        gain = with_interval(method["sdr_gain"], method["sdr_gain_ci95"], 2)
        scores = [number(method[key], COLUMNS[key][1]) for key in keys]
        name = NAMES[method["name"]].format(model=metrics["model"])
        lines.append([name, gain, *scores, method["version"] or "-"])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{table}\n\nMeans over {peers['rows']:,} rows of `{listed['name']}`"
        f" (sha256 `{listed['sha256'][:12]}`), decibels where nothing else is said."
    )
