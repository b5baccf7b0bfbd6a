"""The README's picture: SDR lost against bytes and against multiply-accumulates, papers beside.

Drawn by Vega-Lite through vl-convert into an SVG without a background, in greys and hues that can
be read on white and on black.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import vl_convert

from docs.generate.results import BASELINE

# arXiv 2111.02351 and 2005.11138: times less than their own dense network, dB of SDR lost.  The
# former speaks of a speed-up of 6.7; that it is one of multiply-accumulates is our reading.
PAPERS = {
    "bytes": (("weights (2111.02351)", 42.0, 0.10), ("units (2005.11138)", 11.9, 0.55)),
    "macs": (("blocks (2111.02351)", 6.7, 0.59), ("units (2005.11138)", 2.9, 0.55)),
}
TITLES = {
    "bytes": "times fewer bytes of weights (float32 to U55 stream)",
    "macs": "times fewer multiply-accumulates",
}
# Bundled with vl-convert, so that every machine measures the same; no viewer needs to have it.
MEASURED, SHOWN = "Liberation Sans", "Helvetica, Arial, sans-serif"
LABELS: dict[str, dict[str, Any]] = {
    "right": {"dx": 9, "align": "left"},
    "left": {"dx": -9, "align": "right"},
    "above": {"dy": -12, "align": "center"},
    "below": {"dy": 14, "align": "center"},
}
INK, LINE, OURS, THEIRS = "#808080", "#80808040", "#2f81f7", "#d9822b"


def tradeoff_svg(root: Path) -> str:
    """`docs/results/tradeoff.svg`, from the figures of the published models under `root`."""
    return svg_of([_chart(axis, _rows(root, axis)) for axis in TITLES])


def svg_of(charts: list[dict[str, Any]]) -> str:
    """Charts side by side as one SVG that can be read on white and on black."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": None,
        "hconcat": charts,
        "spacing": 40,
        "config": {
            "font": MEASURED,
            "view": {"stroke": None},
            "axis": {"labelColor": INK, "titleColor": INK, "gridColor": LINE, "domainColor": INK,
                     "tickColor": INK, "labelFontSize": 12, "titleFontSize": 12,
                     "titleFontWeight": "normal"},
        },
    }  # fmt: skip
    return str(vl_convert.vegalite_to_svg(json.dumps(spec))).replace(MEASURED, SHOWN) + "\n"


def _rows(root: Path, axis: str) -> list[dict[str, Any]]:
    rows = [
        {"name": name, "times": times, "lost": lost, "whose": "paper", "label": _side(name)}
        for name, times, lost in PAPERS[axis]
    ]
    models = {
        path.parent.name: json.loads(path.read_text("utf-8"))
        for path in sorted((root / "models").glob("*/metrics.json"))
    }
    dense = models[BASELINE]
    for name, found in models.items():
        less = {
            "bytes": dense["bytes"]["fp32"] / found["bytes"]["npu_weights"],
            "macs": dense["macs"]["dense"] / found["macs"]["live"],
        }
        lost = found["against"]
        low, high = lost["sdr_loss_ci95"]
        point = {"lost": lost["sdr_loss"], "low": low, "high": high, "times": less[axis]}
        side = "above" if name == BASELINE else "right"
        rows.append({"name": _short(name), "whose": "tinyse", "label": side, **point})
    return rows


def _side(paper: str) -> str:
    return {"weights": "left", "units": "above", "blocks": "below"}[paper.split()[0]]


def _short(model: str) -> str:
    return "dense int8" if model == BASELINE else model.removeprefix(f"{BASELINE}_")


def _chart(axis: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    x = {"field": "times", "type": "quantitative", "title": TITLES[axis],
         "scale": {"type": "log", "nice": False, "domain": [0.7, 90]},
         "axis": {"values": [1, 2, 4, 8, 16, 32, 64]}}  # fmt: skip
    y = {"field": "lost", "type": "quantitative", "title": "SDR lost, dB",
         "scale": {"reverse": True, "zero": True}}  # fmt: skip
    colour = {
        "field": "whose", "type": "nominal", "legend": None,
        "scale": {"domain": ["tinyse", "paper"], "range": [OURS, THEIRS]},
    }  # fmt: skip
    text = {"text": {"field": "name"}, "x": x, "y": y, "color": colour}
    between = {"x": x, "y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    return {
        "width": 330, "height": 240, "data": {"values": rows},
        "layer": [
            {"mark": {"type": "rule", "opacity": 0.5}, "encoding": between | {"color": colour},
             "transform": [{"filter": "isValid(datum.low)"}]},
            {"mark": {"type": "point", "size": 70, "filled": True, "opacity": 1},
             "encoding": {"x": x, "y": y, "color": colour}},
            *({"mark": {"type": "text", "fontSize": 12, **placed}, "encoding": text,
               "transform": [{"filter": f"datum.label == '{side}'"}]}
              for side, placed in LABELS.items()),
        ],
    }  # fmt: skip
