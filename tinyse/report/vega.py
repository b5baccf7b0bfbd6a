"""Charts that answer to a finger: Vega-Lite specifications, and the library that draws them.

The specifications are plain JSON.  Colours are custom properties of the page's style, which the SVG
takes as they are: the same drawing serves light, dark and paper.  The library (Vega, Vega-Lite,
Vega-Embed; BSD-3) is bundled once a page by vl-convert, from inside its wheel; the page reads its
expressions with Vega's interpreter, so its content policy can forbid `eval` and every request.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from tinyse.errors import InputError, MissingExtra
from tinyse.files import cache_folder, write_text
from tinyse.report.conditions import by_condition, gain_interval, label, rank
from tinyse.report.measures import evaluation, is_number
from tinyse.report.runs import Entry
from tinyse.report.tradeoff import Measured, Tradeoff

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name; nothing is fetched
SERIES = 8  # colours in the page's style
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right",
          "triangle-left"]  # fmt: skip
MOST_POINTS = 160  # of one training curve
CURVES = {
    "valid_si_sdr_gain": "SI-SDR gain, validation, dB",
    "loss": "loss",
    "sparsity": "sparsity",
}
CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "gridColor": "var(--line)", "domainColor": "var(--line)", "tickColor": "var(--line)",
        "labelColor": "var(--soft)", "titleColor": "var(--ink)", "labelFontSize": 12,
        "titleFontSize": 12, "titleFontWeight": 500, "titlePadding": 8,
    },
    "legend": {
        "labelColor": "var(--ink)", "titleColor": "var(--soft)", "orient": "top", "columns": 2,
        "labelFontSize": 12, "labelLimit": 260, "title": None, "symbolSize": 70,
        "symbolOpacity": 1,
    },
}  # fmt: skip


@cache
def library() -> str:
    """The JavaScript that draws, safe inside a <script>; about 0.9 MB."""
    try:
        import vl_convert
    except ModuleNotFoundError as error:
        raise MissingExtra("vl-convert-python", "report") from error
    # Bundling takes seconds and gives the same for one version.
    kept = cache_folder() / f"vega-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        return kept.read_text("utf-8")
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    bundle = bundle.replace("</script", "<\\/script")
    with contextlib.suppress(InputError):  # a cache that cannot be written costs those seconds
        write_text(kept, bundle)
    return bundle


def spec_json(spec: dict[str, Any]) -> str:
    """A specification as JSON that may stand inside a <script>."""
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def tradeoff_spec(
    chart: Tradeoff, entries: Sequence[Entry], measured: Sequence[Measured]
) -> dict[str, Any]:
    """Points with their intervals, the front as steps, and the recipe under the finger."""
    rows = [
        _point(entries[n], measured[n], chart) | {"front": n in chart.front} for n in chart.points
    ]
    widths = [row["x"] for row in rows]
    scale = (
        {"type": "log"} if min(widths) > 0 and max(widths) > 4 * min(widths) else {"zero": False}
    )
    x = {
        "field": "x", "type": "quantitative", "scale": scale | {"nice": False, "padding": 14},
        "axis": {"title": chart.x.title, "format": "~s", "tickCount": 5, "labelOverlap": True},
    }  # fmt: skip
    y = _vertical("y", chart.y.title)
    colour, shape = _by("kind", entries, {row["kind"] for row in rows})
    front = {
        "transform": [{"filter": "datum.front"}],
        "mark": {
            "type": "line",
            "interpolate": "step-after",
            "color": "var(--soft)",
            "strokeDash": [4, 3],
        },
        "encoding": {"x": x, "y": y},
    }
    bars = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "opacity": 0.55},
        "encoding": {"x": x, "y": _vertical("low", chart.y.title), "y2": {"field": "high"},
                     "color": colour},
    }  # fmt: skip
    points = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "x": x, "y": y, "color": colour, "shape": shape,
            "tooltip": [{"field": _plain(key), "title": key} for key in _told(rows)],
        },
    }  # fmt: skip
    return _framed([front, bars, points], rows)


def _point(entry: Entry, measured: Measured, chart: Tradeoff) -> dict[str, Any]:
    x, y = measured[chart.x.key], measured[chart.y.key]
    low, high = y.interval or (None, None)
    shown = {"run": entry.name, chart.x.title: f"{x.value:,.0f}", chart.y.title: f"{y.value:.3f}"}
    if y.interval:
        shown["95 % interval"] = f"{low:.3f} to {high:.3f}"
    place = {"x": x.value, "y": y.value, "low": low, "high": high, "kind": entry.kind}
    return place | shown | recipe_lines(entry)


def recipe_lines(entry: Entry) -> dict[str, str]:
    """What of a recipe tells runs apart, in words."""
    network, settings = entry.recipe.get("network") or {}, entry.recipe.get("compress") or {}
    told = {}
    for key in ("lstm", "dense"):
        if key in network:
            told[key] = " + ".join(map(str, network[key])) or "none"
    for key in ("structure", "method", "levels", "steps"):
        if key in settings:
            told[key] = str(settings[key]).strip("[]")
    if "seed" in (entry.recipe.get("train") or {}):
        told["seed"] = str(entry.recipe["train"]["seed"])
    return told


def _told(rows: Sequence[dict[str, Any]]) -> list[str]:
    drawn = {"x", "y", "low", "high", "kind", "front"}
    return list(dict.fromkeys(key for row in rows for key in row if key not in drawn))


def _plain(field: str) -> str:
    """A name as a field: dots and brackets would mean parts of an object."""
    return re.sub(r"([.\[\]])", r"\\\1", field)


def curve_specs(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Title -> training curves of all entries, one line each, by step."""
    found = {}
    for key, title in CURVES.items():
        rows = [
            {"run": entry.name, "step": line["step"], "value": line[key]}
            for entry in entries
            for line in _thinned([line for line in entry.log if _drawable(line, key)])
        ]
        if rows:
            colour, _ = _by("run", entries, {row["run"] for row in rows})
            encoding = {
                "x": {"field": "step", "type": "quantitative",
                      "axis": {"title": "step", "format": ",d", "tickCount": 5}},
                "y": _vertical("value", title),
                "color": colour,
                "tooltip": [
                    {"field": "run"}, {"field": "step", "format": ","},
                    {"field": "value", "title": title, "format": ".3f"},
                ],
            }  # fmt: skip
            mark = {"type": "line", "point": {"size": 22, "filled": True}, "strokeWidth": 1.6}
            found[title] = _framed([{"mark": mark, "encoding": encoding}], rows)
    return found


def _drawable(line: dict[str, Any], key: str) -> bool:
    return is_number(line.get("step")) and is_number(line.get(key))


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MOST_POINTS lines, evenly spread, the last among them."""
    stride = -(-len(lines) // MOST_POINTS)
    return lines[::-1][:: max(stride, 1)][::-1]


def conditions_spec(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """SDR gain by signal-to-noise ratio and their mean, with intervals where there are any."""
    rows, conditions = [], set()
    for entry in entries:
        known = evaluation(entry)
        if known is None:
            continue
        for condition, scores in by_condition(known[1]["quality"]):
            if is_number(scores.get("sdr_gain")):
                low, high = gain_interval(scores) or (None, None)
                rows.append({"run": entry.name, "snr": label(condition), "gain": scores["sdr_gain"],
                             "low": low, "high": high})  # fmt: skip
                conditions.add(condition)
    if not rows:
        return None
    order = [label(condition) for condition in sorted(conditions, key=rank)]
    x = {"field": "snr", "type": "nominal", "sort": order,
         "axis": {"title": "SNR of the noisy input", "labelAngle": 0}}  # fmt: skip
    aside = {"field": "run", "sort": None}
    colour, shape = _by("run", entries, {row["run"] for row in rows})
    bars = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "opacity": 0.6},
        "encoding": {"x": x, "xOffset": aside, "y": _vertical("low", "SDR gain, dB"),
                     "y2": {"field": "high"}, "color": colour},
    }  # fmt: skip
    points = {
        "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
        "encoding": {
            "x": x, "xOffset": aside, "y": _vertical("gain", "SDR gain, dB"), "color": colour,
            "shape": shape,
            "tooltip": [{"field": "run"}, {"field": "snr", "title": "SNR"},
                        {"field": "gain", "title": "SDR gain, dB", "format": ".2f"},
                        {"field": "low", "title": "95 % from", "format": ".2f"},
                        {"field": "high", "title": "95 % to", "format": ".2f"}],
        },
    }  # fmt: skip
    return _framed([bars, points], rows)


def _vertical(field: str, title: str) -> dict[str, Any]:
    axis = {"title": title, "tickCount": 5}
    return {"field": field, "type": "quantitative", "scale": {"zero": False, "padding": 8},
            "axis": axis}  # fmt: skip


def _by(
    field: str, entries: Sequence[Entry], drawn: set[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Colour and shape of the entries' `field`, kind or run: the same in every chart of a page.

    The legend names what is `drawn`.  With more runs than colours there is no legend: hovering
    tells which is which.
    """
    names = list(dict.fromkeys(e.kind if field == "kind" else e.name for e in entries))
    colours = [f"var(--s{n % SERIES + 1})" for n in range(len(names))]
    shapes = [SHAPES[n % len(SHAPES)] for n in range(len(names))]
    shown = {"values": [name for name in names if name in drawn]}
    legend: dict[str, Any] = {"legend": shown if 1 < len(names) <= SERIES else None}
    common = {"field": field, "type": "nominal"}
    return (
        common | {"scale": {"domain": names, "range": colours}} | legend,
        common | {"scale": {"domain": names, "range": shapes}} | legend,
    )


def _framed(layers: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": 280,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "layer": layers,
        "config": CONFIG,
    }
