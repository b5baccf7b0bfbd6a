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
    """A table for each list that models of models/*/metrics.json were scored on with peers.

    The peers are those of the list's first model; the others have the row of their file.
    """
    files = sorted((root / "models").glob("*/metrics.json"))
    by_list: dict[str, list[dict[str, Any]]] = {}
    for found in (json.loads(path.read_text("utf-8")) for path in files):
        if "peers" in found:
            by_list.setdefault(found["list"]["sha256"], []).append(found)
    return "\n\n".join(map(_table, by_list.values())) or NOTHING


def _table(models: list[dict[str, Any]]) -> str:
    first = models[0]
    methods = first["peers"]["methods"]
    keys = [key for key in COLUMNS if methods[0].get(key) is not None]
    heads = ["method", "SDR gain, dB (95 %)", *(COLUMNS[key][0] for key in keys), "computed by"]
    lines = [heads, ["---", "---", *("---:" for _ in keys), "---"]]
    for method in methods:
        lines.append(_line(method, keys, first["model"]))
        if method["name"] == "int8":
            for other in models[1:]:
                own = next(m for m in other["peers"]["methods"] if m["name"] == "int8")
                lines.append(_line(own, keys, other["model"]))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{table}\n\nMeans over {first['peers']['rows']:,} rows of `{first['list']['name']}`"
        f" (sha256 `{first['list']['sha256'][:12]}`), decibels where nothing else is said."
    )


def _line(method: dict[str, Any], keys: list[str], model: str) -> list[str]:
    gain = with_interval(method["sdr_gain"], method["sdr_gain_ci95"], 2)
    scores = [number(method[key], COLUMNS[key][1]) if key in method else "" for key in keys]
    return [NAMES[method["name"]].format(model=model), gain, *scores, method["version"] or "-"]
