"""The table of a sweep: a row for each run that is done, or for each level of it, as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tinyse.errors import InputError
from tinyse.files import read_json, write_text

STATES = "done", "stopped", "failed"


def read_rows(runs: Path) -> list[dict[str, Any]]:
    """The rows of all runs that are done, by number."""
    rows = [read_row(path) for path in runs.glob("*/row.json")]
    return sorted(rows, key=lambda row: row["number"])


def read_row(path: Path) -> dict[str, Any]:
    """The row in `path`; InputError where it holds none."""
    row = read_json(path)
    if not isinstance(row, dict) or row.get("state") not in STATES:
        raise InputError("holds no row", path, "remove it: the run is measured again")
    if not isinstance(row.get("number"), int):
        raise InputError("has no number", path, "remove it: the run is measured again")
    return row


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write `rows` with every column that any of them has."""
    rows = [row | level for row in rows for level in row.get("levels", [{}])]
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "levels"))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or ["number"], restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
