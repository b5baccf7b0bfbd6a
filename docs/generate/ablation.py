"""docs/quality.md's table of what each choice brought, from the sweeps in docs/ablation."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path

from docs.generate.models import number

NOTHING = "No choice has been measured yet."
FIRST = "as published"
GAIN = "si_sdr_gain_"


def ablation_table(root: Path) -> str:
    """A table for each docs/ablation/NAME.csv, every case against the first."""
    tables = [_table(path) for path in sorted((root / "docs" / "ablation").glob("*.csv"))]
    return "\n\n".join(tables) or NOTHING


def _table(path: Path) -> str:
    plan = tomllib.loads(path.with_suffix(".toml").read_text("utf-8"))
    order = list(plan["cases"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = {json.loads(row["case"]): row for row in csv.DictReader(file)}
    lists = [key for key in rows[FIRST] if key.startswith(GAIN)]
    heads = ["choice"]
    for key in lists:
        heads += [f"`{key.removeprefix(GAIN)}`, dB", "difference"]
    lines = [heads, ["---", *("---:" for _ in heads[1:])]]
    for case in filter(rows.__contains__, order):
        cells = [case]
        for key in lists:
            gain = float(rows[case][key])
            change = number(gain - float(rows[FIRST][key]), 2)
            cells += [number(gain, 2), "" if case == FIRST else change]
        lines.append(cells)
    steps = f"{int(rows[FIRST]['steps']):,} steps"
    of = f"the float network after {steps} of the recipe of `{path.stem}`"
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = f"Mean SI-SDR gain of {of}, with that one change; every run has its own falling rate."
    return f"{table}\n\n{note}"
