"""Quality by signal-to-noise ratio, number by number, and what keeps runs from being compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinyse.report.charts import MINUS
from tinyse.report.content import number
from tinyse.report.measures import evaluation, interval, is_number, provenance, reference
from tinyse.report.runs import Entry

MEAN = "mean"
# Key of a condition's scores -> head of its column, digits.
COLUMNS = {
    "sdr_in": ("SDR noisy, dB", 2),
    "sdr_out": ("SDR enhanced, dB", 2),
    "sdr_gain": ("SDR gain, dB", 2),
    "si_sdr_gain": ("SI-SDR gain, dB", 2),
    "estoi_in": ("ESTOI noisy", 3),
    "estoi_out": ("ESTOI enhanced", 3),
    "pesq_in": ("PESQ noisy, MOS", 2),
    "pesq_out": ("PESQ enhanced, MOS", 2),
}


@dataclass(frozen=True)
class Cell:
    """A number of a table, its 95 % interval, and how it was measured; empty where not known."""

    text: str = ""
    how: str = ""
    interval: str = ""


@dataclass(frozen=True)
class Conditions:
    """A table of scores: heads of its columns, and (condition, mixtures, cells) a row."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def by_condition(quality: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(SNR in dB or "clean" or "mean", its scores) in rising order, the mean last."""
    of_snr = quality.get("by_snr")
    parts = of_snr if isinstance(of_snr, dict) else {}
    named = [(name, scores) for name, scores in parts.items() if isinstance(scores, dict)]
    return [*sorted(named, key=lambda part: rank(part[0])), (MEAN, quality)]


def rank(condition: str) -> tuple[int, float]:
    """Where a condition stands among others: by its SNR, then clean, then the mean."""
    try:
        return 0, float(condition)
    except ValueError:
        return (2 if condition == MEAN else 1), 0.0


def gain_interval(scores: dict[str, Any], metric: str = "sdr") -> tuple[float, float] | None:
    """The 95 % interval of a condition's gain, where one was measured."""
    return interval(scores, "ci95", f"{metric}_gain")


def conditions_table(entry: Entry) -> Conditions | None:
    """The table of an entry; None where its quality was not measured."""
    known = evaluation(entry)
    if known is None:
        return None
    name, document = known
    parts = by_condition(document["quality"])
    keys = [key for key in COLUMNS if any(is_number(scores.get(key)) for _, scores in parts)]
    rows = tuple(
        (
            label(condition),
            f"{scores['rows']:,}" if is_number(scores.get("rows")) else "",
            tuple(_cell(scores, key, f"{provenance(document)}, in {name}.") for key in keys),
        )
        for condition, scores in parts
    )
    return Conditions(tuple(COLUMNS[key][0] for key in keys), rows) if keys else None


def label(condition: str) -> str:
    """A condition as a reader wants it: -5 is −5 dB."""
    try:
        float(condition)
    except ValueError:
        return condition
    return f"{condition.replace('-', MINUS)} dB"


def different_lists(entries: Sequence[Entry]) -> str:
    """A sentence on which runs were scored on which mixtures; empty where all were on the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry, document in _evaluated(entries):
        listed = document.get("list") or {}
        key = (str(listed.get("sha256", "")), str(listed.get("name", "an unnamed list")))
        found.setdefault(key, []).append(entry.name)
    parts = "; ".join(f"{', '.join(names)} on {name}" for (_, name), names in found.items())
    return f"Quality was not measured on the same mixtures: {parts}." if len(found) > 1 else ""


def different_references(entries: Sequence[Entry]) -> str:
    """A sentence on what each run's loss compares with; empty where all compare alike."""
    found: dict[str, list[str]] = {}
    for entry, document in _evaluated(entries):
        if isinstance(document.get("against"), dict):
            found.setdefault(reference(document), []).append(entry.name)
    parts = "; ".join(f"{', '.join(names)} with {what}" for what, names in found.items())
    return f"Losses do not compare with the same network: {parts}." if len(found) > 1 else ""


def _evaluated(entries: Sequence[Entry]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    for entry in entries:
        known = evaluation(entry)
        if known is not None:
            yield entry, known[1]


def _cell(scores: dict[str, Any], key: str, how: str) -> Cell:
    value = scores.get(key)
    if not is_number(value):
        return Cell()
    head, digits = COLUMNS[key]
    text = number(value, digits)
    metric, _, side = key.rpartition("_")
    limits = gain_interval(scores, metric) if side == "gain" else None
    shown = "" if limits is None else f"{number(limits[0], 1)} to {number(limits[1], 1)}"
    rows = f" over {scores['rows']} mixtures" if is_number(scores.get("rows")) else ""
    return Cell(text, f"{head}: mean{rows}. {how}", shown)
