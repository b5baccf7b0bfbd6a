"""Bars of one run's layers: bytes, multiply-accumulates and cycles, with what binds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyse.report.matrices import LayerWeights
from tinyse.report.measures import is_number
from tinyse.report.runs import Entry


@dataclass(frozen=True)
class Bar:
    """One figure of all layers.

    rows : layer, figure as text, its share of the longest bar, share that is left of a dense
        layer's (the dark part of the bar), a word beside it
    """

    title: str
    how: str
    rows: tuple[tuple[str, str, float, float, str], ...]


def layer_bars(entry: Entry, layers: Sequence[LayerWeights]) -> list[Bar]:
    """The bars that the documents of a run allow; MACs from its weights alone if need be."""
    inspected = _rows(entry.documents.get("inspect.json", {}))
    bars = []
    if inspected:
        bars += _bytes(inspected)
    macs = [(row, of) for row in inspected if isinstance(of := row.get("macs"), dict)]
    if macs and len(macs) == len(inspected):
        counted = [(row["name"], of.get("nonzero"), of.get("dense"), "") for row, of in macs]
        bars += _bar("Multiply-accumulates a frame", "Counted from the file: dark are those with a"
                     " weight that is not zero, in inspect.json.", counted)  # fmt: skip
    elif layers:
        counted = [(layer.name, layer.nonzero, layer.weights, "") for layer in layers]
        bars += _bar("Multiply-accumulates a frame", "Counted from weights.npz: dark are those with"
                     " a weight that is not zero; int8 rounding may make more zeros.",
                     counted)  # fmt: skip
    order = {layer.name: n for n, layer in enumerate(layers)}  # that of the network
    for name, document in entry.profiles():
        rows = sorted(_rows(document), key=lambda row: order.get(row["name"], len(order)))
        counted = [
            (
                row["name"],
                row.get("cycles"),
                row.get("cycles"),
                f"waits for {row.get('binds', '?')}",
            )
            for row in rows
        ]
        title = f"Cycles on {document.get('npu', name)}"
        how = f"By the cost model, weights in {document.get('memory', '?')}, in {name}."
        bars += _bar(title, how, counted)
    return bars


def _rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    rows = document.get("layers") or []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)]


def _bytes(rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """By the smallest account that every layer has, against its dense one where that is known."""
    found = [of if isinstance(of := row.get("bytes"), dict) else {} for row in rows]
    accounts = [{key: value for key, value in of.items() if is_number(value)} for of in found]
    both = set.intersection(*(set(of) for of in accounts))
    for account in ("native", "npu_weights", "bound", "dense"):
        if account in both:
            counted = [
                (row["name"], of[account], max(of.get("dense", 0), of[account]), "")
                for row, of in zip(rows, accounts, strict=True)
            ]
            how = f"Account `{account}`; the whole bar is int8 weights and biases, in inspect.json."
            return _bar(f"Bytes ({account})", how, counted)
    return []


def _bar(title: str, how: str, counted: Sequence[tuple[str, Any, Any, str]]) -> list[Bar]:
    if not counted or not all(is_number(v) and is_number(of) for _, v, of, _ in counted):
        return []
    longest = max(of for _, _, of, _ in counted) or 1
    rows = tuple(
        (name, f"{value:,.0f}", 100 * of / longest, 100 * value / (of or 1), word)
        for name, value, of, word in counted
    )
    return [Bar(title, how, rows)]
