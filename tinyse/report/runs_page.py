"""The page of runs: what compression costs and buys, on one self-contained HTML file.

From top to bottom: the figures to take home, the trade-off, sounds, every run in a table, quality
by condition, training curves, and of each run its layers, pictures of its matrices and manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyse.errors import InputError
from tinyse.report import clips, vega
from tinyse.report.charts import MINUS
from tinyse.report.conditions import (
    Cell,
    Conditions,
    conditions_table,
    different_lists,
    different_references,
)
from tinyse.report.content import number
from tinyse.report.layers import Bar, layer_bars
from tinyse.report.matrices import LayerWeights, read_layers
from tinyse.report.measures import ACCOUNTS, MACS, measures
from tinyse.report.page import Figure, environment, placed_examples
from tinyse.report.runs import Entry, Measure, read_entries
from tinyse.report.tradeoff import Measured, Tradeoff, tradeoffs

PLACES = {"dB": 3, "bytes": 0, "MACs": 0, "instructions": 0, "cycles": 0, "of real time": 4}
HEADS = {
    "quality/sdr_loss": "SDR loss, dB",
    "quality/sdr_gain": "SDR gain, dB",
    "quality/si_sdr_gain": "SI-SDR gain, dB",
    "quality/estoi_gain": "ESTOI gain",
    "quality/pesq_gain": "PESQ gain, MOS",
    "quality/valid_si_sdr_gain": "SI-SDR gain, validation, dB",
}
SHOWN_BYTES = ("native", "native_coded", "npu_weights", "zip", "bound", "tflite")


@dataclass(frozen=True)
class Chart:
    """A drawing: its title, a sentence below it, its specification as JSON."""

    title: str
    note: str
    spec: str


@dataclass(frozen=True)
class Details:
    """What is told of one run alone."""

    name: str
    told: str
    conditions: Conditions | None
    bars: tuple[Bar, ...]
    layers: tuple[LayerWeights, ...]
    manifest: str


def runs_page(
    folders: Sequence[Path],
    audio: Path | None = None,
    account: str | None = None,
    title: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """The HTML of the runs in `folders`.

    Parameters
    ----------
    folders : runs, published models, or folders of them
    audio : folder of clips, from which best, median and worst are shown
    account : byte account of the trade-off; else the one that most runs have
    progress : called with (runs drawn, runs)

    Raises InputError for a folder or file that cannot be used, MissingExtra without Jinja2 or
    vl-convert.
    """
    template = environment().get_template("runs.html.j2")
    library = vega.library()
    if account is not None and account not in ACCOUNTS:
        what, remedy = f"unknown account {account!r}", f"use {', '.join(ACCOUNTS)}"
        raise InputError(what, "--account", remedy)
    entries = read_entries(folders)
    measured = [measures(entry) for entry in entries]
    charts = tradeoffs(measured, account)
    examples = [] if audio is None else clips.chosen_clips(audio)
    return template.render(
        title=title or _title(entries),
        summary=_summary(entries),
        figures=_figures(entries, measured, charts),
        tradeoffs=[_drawn(chart, entries, measured) for chart in charts if len(chart.points) > 1],
        lists=different_lists(entries),
        references=different_references(entries),
        examples=placed_examples(examples),
        rule=clips.RULE,
        heads=[(key, _head(key)) for key in _columns(measured)],
        rows=_rows(entries, measured, charts),
        conditions=_spec(vega.conditions_spec(entries)),
        curves=[(title, _spec(spec)) for title, spec in vega.curve_specs(entries).items()],
        details=_all_details(entries, progress),
        how=_glossary(entries, measured),
        library=library,
    )


def _title(entries: Sequence[Entry]) -> str:
    return entries[0].name if len(entries) == 1 else f"{len(entries)} runs side by side"


def _summary(entries: Sequence[Entry]) -> str:
    kinds = list(dict.fromkeys(entry.kind for entry in entries))
    said = f"{len(entries)} networks ({', '.join(kinds)})" if len(entries) > 1 else kinds[0]
    return (
        f"{said[0].upper()}{said[1:]}. Every number says how it was measured: touch or hover it, or"
        " read the list at the end. What is empty was not measured."
    )


def _figures(
    entries: Sequence[Entry], measured: Sequence[Measured], charts: Sequence[Tradeoff]
) -> list[tuple[Figure, str]]:
    """The tiles: of each measure the best run, by name; how it was measured beside it."""
    keys = [chart.x.key for chart in charts] or [
        key for key in _columns(measured) if not key.startswith("quality/")
    ][:3]
    better = [(chart.y.key, chart.y.less_is_better) for chart in charts[:1]]
    better += [(key, True) for key in keys]
    better += [(key, True) for key in sorted({k for m in measured for k in m}) if "time/" in key]
    found = []
    for key, less in dict(better).items():
        there = [n for n, entry in enumerate(measured) if key in entry]
        best = (min if less else max)(there, key=lambda n: measured[n][key].value)
        measure, label = measured[best][key], _head(key)
        value, unit = _with_unit(measure)
        note = entries[best].name if len(entries) > 1 else ""
        shown = label.removesuffix(f", {unit}")
        found.append((Figure(value, unit, shown, note + _interval(measure)), measure.how))
        if key.partition("/")[0] in ("macs", "instructions", "cycles"):
            most = max(there, key=lambda n: measured[n][key].value)
            found += _fewer(key, measured[most][key], measure, entries[most])
    return found[:8]


def _fewer(key: str, most: Measure, least: Measure, entry: Entry) -> list[tuple[Figure, str]]:
    """How many times fewer than the run that has most."""
    if not 0 < least.value < most.value:
        return []
    ratio = f"{most.value / least.value:.1f}×"
    figure = Figure(ratio, "", f"fewer {_head(key)}", f"than {entry.name}")
    return [(figure, f"{most.how} Here: that of {entry.name} over the least.")]


def _interval(measure: Measure) -> str:
    if measure.interval is None:
        return ""
    low, high = (number(value, _digits(measure)) for value in measure.interval)
    return f" (95 % interval {low} to {high})"


def _with_unit(measure: Measure) -> tuple[str, str]:
    value, unit = measure.value, measure.unit
    if unit == "bytes" and value < 1e4:
        return f"{value:,.0f}", "bytes"
    if unit == "bytes":
        return (f"{value / 1e6:.2f}", "MB") if value >= 1e6 else (f"{value / 1e3:.0f}", "kB")
    if unit in ("MACs", "instructions", "cycles"):
        if value < 1e4:
            return f"{value:,.0f}", ""
        return (f"{value / 1e6:.2f}", "M") if value >= 1e6 else (f"{value / 1e3:.0f}", "k")
    if unit == "of real time":
        return f"{value:.2%}".replace("%", "").strip(), "% of real time"
    return number(value, _digits(measure)), unit


def _digits(measure: Measure) -> int:
    """Decimals of a tile: a loss of thousandths is not nothing."""
    return 2 if abs(measure.value) >= 0.1 else 3


def _drawn(chart: Tradeoff, entries: Sequence[Entry], measured: Sequence[Measured]) -> Chart:
    missing = ", ".join(entries[n].name for n in chart.missing)
    note = "The dashed line is the Pareto front: no other run is at least as good in both."
    note += f" Not drawn, because one of the two was not measured: {missing}." if missing else ""
    title = f"{chart.y.title.rsplit(',', 1)[0]} against {chart.x.title}"
    return Chart(title, note, _spec(vega.tradeoff_spec(chart, entries, measured)))


def _spec(spec: dict[str, Any] | None) -> str:
    return "" if spec is None else vega.spec_json(spec)


def _columns(measured: Sequence[Measured]) -> list[str]:
    """Keys of the table: those that any run has, in a fixed order."""
    known = dict.fromkeys(key for entry in measured for key in entry)
    wanted = [*HEADS, *(f"bytes/{a}" for a in SHOWN_BYTES), *(f"macs/{kind}" for kind in MACS)]
    rest = [key for key in known if key.partition("/")[0] in ("instructions", "cycles", "time")]
    return [key for key in [*wanted, *rest] if key in known]


def _head(key: str) -> str:
    if key in HEADS:
        return HEADS[key]
    kind, _, name = key.partition("/")
    if kind == "bytes":
        return f"bytes ({name})"
    if kind == "time":
        return f"share of real time ({name})"
    return f"{'MACs' if kind == 'macs' else kind} a frame ({name})"


def _rows(
    entries: Sequence[Entry], measured: Sequence[Measured], charts: Sequence[Tradeoff]
) -> list[tuple[str, str, bool, list[Cell]]]:
    """Name, recipe in words, whether it is on the first chart's front, cells."""
    front = set(charts[0].front) if charts else set()
    columns = _columns(measured)
    return [
        (entry.name, _recipe(entry), n in front, [_cell(measured[n].get(key)) for key in columns])
        for n, entry in enumerate(entries)
    ]


def _recipe(entry: Entry) -> str:
    return ", ".join(f"{key} {value}" for key, value in vega.recipe_lines(entry).items())


def _cell(measure: Measure | None) -> Cell:
    if measure is None:
        return Cell()
    text = f"{measure.value:,.{PLACES.get(measure.unit, 3)}f}".replace("-", MINUS)
    how = measure.how
    if measure.interval:
        how += f" 95 % interval {_interval(measure).strip(' ()').removeprefix('95 % interval ')}."
    return Cell(text, how)


def _all_details(
    entries: Sequence[Entry], progress: Callable[[int, int], None] | None
) -> list[Details]:
    found = []
    for entry in entries:
        found.append(_details(entry))
        if progress is not None:
            progress(len(found), len(entries))
    return found


def _details(entry: Entry) -> Details:
    layers = [] if entry.weights is None else read_layers(entry.weights)
    documents = {
        name: entry.documents[name]
        for name in ("manifest.json", "run.json")
        if name in entry.documents
    }
    manifest = json.dumps(documents, indent=1, ensure_ascii=False) if documents else ""
    bars = layer_bars(entry, layers)
    table = conditions_table(entry)
    return Details(entry.name, _recipe(entry), table, tuple(bars), tuple(layers), manifest)


def _glossary(
    entries: Sequence[Entry], measured: Sequence[Measured]
) -> list[tuple[str, list[str]]]:
    """Each measure with how it was measured: by run, where not all were measured alike."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry, of in zip(entries, measured, strict=True):
        for key, measure in of.items():
            found.setdefault(key, {}).setdefault(measure.how, []).append(entry.name)
    return [(_head(key), _sentences(found[key])) for key in _columns(measured)]


def _sentences(ways: dict[str, list[str]]) -> list[str]:
    if len(ways) == 1:
        return list(ways)
    return [f"{', '.join(names)}: {how}" for how, names in ways.items()]
