"""CSV tables with a header line: manifests and mixture lists, read with errors that name the row.

Rows are counted as editors and spreadsheets count them: the header is row 1.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from tinyse.errors import InputError
from tinyse.files import read_bytes


class Row(msgspec.Struct, frozen=True):
    """One row of a table: its file, its number and the text of each column."""

    path: Path
    number: int
    cells: dict[str, str]

    def refuse(self, what: str, remedy: str) -> NoReturn:
        raise InputError(what, f"{self.path} row {self.number}", remedy)

    def text(self, column: str, default: str = "") -> str:
        """The column's text without surrounding blanks; `default` where empty or absent."""
        return self.cells.get(column, "").strip() or default

    def required(self, column: str) -> str:
        text = self.text(column)
        if not text:
            self.refuse(f"column {column!r} is empty", f"give the row its {column}")
        return text

    def choice(self, column: str, choices: Sequence[str]) -> str:
        text = self.required(column)
        if text not in choices:
            self.refuse(
                f"{column}: expected one of {', '.join(choices)}, got {text!r}", "correct it"
            )
        return text

    def integer(self, column: str, least: int = 0) -> int:
        """A whole number from `least` to 2**53 (samples are indexed through doubles elsewhere)."""
        text = self.required(column)
        try:
            value = int(text) if len(text) < 20 else None
        except ValueError:
            value = None
        if value is None or not least <= value <= 2**53:
            self.refuse(
                f"{column}: expected a whole number from {least}, got {text[:40]!r}", "correct it"
            )
        return value

    def number_in(self, column: str) -> float:
        """A number within 10^9: sound is computed in float32, and its energy must fit too."""
        text = self.required(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= 1e9:  # nor NaN
            self.refuse(f"{column}: expected a number, got {text[:40]!r}", "correct it")
        return value

    def file(self, column: str, root: Path) -> str:
        """The column's path, after checking that the file is there below `root`."""
        text = self.required(column)
        if not os.path.isfile(root / text):  # Path.is_file raises where the name is too long
            self.refuse(
                f"{column}: there is no file {text!r} in {root}",
                "correct the path, bring the audio there, or name its folder with --data",
            )
        return text


class Table(msgspec.Struct, frozen=True):
    """A CSV file: where it lies, its columns and its rows."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def need(self, columns: Iterable[str], remedy: str) -> None:
        """Refuse the table when one of `columns` is missing."""
        missing = [column for column in columns if column not in self.columns]
        if missing:
            raise InputError(
                f"column {missing[0]!r} is missing (found: {', '.join(self.columns)[:200]})",
                self.path,
                remedy,
            )


def read_table(path: Path, data: bytes | None = None) -> Table:
    """The CSV table in `path`; InputError when it is missing, empty, not text or ragged.

    data : its bytes, where they are not written yet
    """
    try:
        text = (read_bytes(path) if data is None else data).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 text ({error.reason})", path, "expected a CSV file"
        ) from error
    except csv.Error as error:
        raise InputError(
            f"is not CSV ({error})", path, "expected a header line and rows"
        ) from error
    if not lines:
        raise InputError("is empty", path, "expected a CSV header line and rows")
    columns = tuple(name.strip() for name in lines[0][1])
    if len(set(columns)) != len(columns):
        raise InputError("names a column twice", path, "give each column its own name")
    return Table(path, columns, tuple(_row(path, columns, *line) for line in lines[1:]))


def _row(path: Path, columns: tuple[str, ...], number: int, cells: list[str]) -> Row:
    if len(cells) != len(columns):
        raise InputError(
            f"expected {len(columns)} columns, got {len(cells)}",
            f"{path} row {number}",
            "write the row with one cell for each column",
        )
    return Row(path, number, dict(zip(columns, cells, strict=True)))


def refuse_no_csv(path: Path, what: str, such_as: Path | str) -> None:
    """InputError where a table, `what`, would get the name of a folder, of audio or of none."""
    if path.suffix.lower() != ".csv":
        remedy = f"give one that ends in .csv, such as {such_as}"
        raise InputError(f"is no name of a {what}", path, remedy)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with `\\n` line ends; floats with full precision."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
