"""docs/formats.md's table of export profiles, from docs/profiles.json.

python -m docs.generate --profiles    measure the baseline first, on recordings in TINYSE_DATA
"""

from __future__ import annotations

import json
from pathlib import Path

from docs.generate.models import number
from tinyse.audio.lists import find_list
from tinyse.bench import machine
from tinyse.compare_profiles import compare_profiles
from tinyse.files import write_json

JSON = "docs/profiles.json"
BASELINE, LIST, ROWS = "lstm_256", "mixtures_valid.csv", 120
HEAD = """\
| profile | file, bytes | TFLM's arena | operators | time on TFLM | on LiteRT | SDR lost, dB |
|---|---:|---:|---:|---:|---:|---:|
"""
NOTE = """\
`tinyse bench {model} --profiles --list {listed} --limit {limit}`: {rows} noisy rows through TFLM;
times of a frame are over that of `{first}` on the same runtime. Processor: {processor}."""


def write_profiles(root: Path, data: Path) -> None:
    """Write the JSON that the table is made from."""
    table = compare_profiles(root / "models" / BASELINE, find_list(Path(LIST), data), ROWS)
    write_json(root / JSON, table | {"list": LIST, "limit": ROWS, "machine": machine()})


def profiles_table(root: Path) -> str:
    """A row for each profile."""
    found = json.loads((root / JSON).read_text("utf-8"))
    note = NOTE.format(
        model=found["model"],
        listed=found["list"],
        limit=found["limit"],
        rows=found["profiles"][0]["rows"],
        first=found["ratios_to"],
        processor=found["machine"]["processor"],
    )
    return HEAD + "\n".join(_line(row) for row in found["profiles"]) + f"\n\n{note}"


def _line(row: dict) -> str:
    cells = (
        f"`{row['profile']}`",
        *(f"{row[key]:,}" for key in ("tflite_bytes", "arena_bytes", "operators")),
        *(_ratio(row[f"{name}_ratio"]) for name in ("tflm", "litert")),
        number(row["sdr_loss_db"], 3),
    )
    return f"| {' | '.join(cells)} |"


def _ratio(ratio: float | None) -> str:
    return "refused" if ratio is None else f"{ratio:.2f}"
