"""docs/results/curves.svg: SDR lost along the curves, published models as rings beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docs.generate.picture import INK, LINE, svg_of
from docs.generate.results import BASELINE, PUBLISHED, curve_rows, metrics_of

AXES = {
    "bytes": ("times fewer bytes of weights (float32 to U55 stream)", [4, 8, 16, 32, 64]),
    "macs": ("times fewer multiply-accumulates in live blocks", [1, 2, 4, 8, 16, 32]),
}
HUES = {"weight": "#2f81f7", "block:4x4": "#d9822b", "unit": "#3fa45b"}
DASHES = {"learned": [1, 0], "magnitude": [6, 4], "offline": [1, 4]}
DEEPEST = 6.0  # dB; what lies below has lost most of what the network gains


def curves_svg(root: Path) -> str:
    """The picture, from docs/results/curves.json and the published models under `root`."""
    rows = curve_rows(root)
    return svg_of([_chart(root, axis, rows) for axis in AXES])


def _chart(root: Path, axis: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    title, values = AXES[axis]
    ends = [0.8 * values[0], 1.4 * values[-1]]
    x = {"field": "times", "type": "quantitative", "title": title, "axis": {"values": values},
         "scale": {"type": "log", "nice": False, "domain": ends}}  # fmt: skip
    y = {"field": "lost", "type": "quantitative", "title": "SDR lost, dB",
         "scale": {"reverse": True, "domain": [-0.2, DEEPEST]}}  # fmt: skip
    legend = {"title": None, "labelColor": INK, "orient": "bottom-left", "symbolSize": 60}
    stroke = legend | {"symbolType": "stroke", "symbolStrokeWidth": 1.6, "symbolSize": 500}
    stroke |= {"symbolStrokeColor": INK}
    first = axis == next(iter(AXES))  # the legend of both
    colour = {"field": "structure", "type": "nominal", "legend": legend if first else None,
              "scale": {"domain": list(HUES), "range": list(HUES.values())}}  # fmt: skip
    dash = {"field": "method", "type": "nominal", "legend": stroke if first else None,
            "scale": {"domain": list(DASHES), "range": list(DASHES.values())}}  # fmt: skip
    dense = metrics_of(root, BASELINE)
    where = {"x": x, "y": y, "color": colour}
    along = {"values": [_point(row, axis, dense) for row in rows]}
    published = {"values": [_point(row, axis, dense) for row in _published(root)]}
    return {
        "width": 330, "height": 260,
        "layer": [
            {"data": along, "mark": {"type": "line", "clip": True, "strokeWidth": 1.6},
             "encoding": where | {"strokeDash": dash}},
            {"data": along, "mark": {"type": "point", "clip": True, "filled": True, "size": 18},
             "encoding": where},
            {"data": published, "mark": {"type": "point", "size": 110, "strokeWidth": 2},
             "encoding": where | {"fill": {"value": LINE}}},
        ],
    }  # fmt: skip


def _point(row: dict[str, Any], axis: str, dense: dict[str, Any]) -> dict[str, Any]:
    times = {
        "bytes": dense["bytes"]["fp32"] / row["bytes"]["npu_weights"],
        "macs": dense["macs"]["dense"] / row["macs"]["live"],
    }
    facts = {key: row[key] for key in ("structure", "method") if key in row}
    return facts | {"times": times[axis], "lost": row["against"]["sdr_loss"]}


def _published(root: Path) -> list[dict[str, Any]]:
    names = (name for name in PUBLISHED if (root / "models" / name / "metrics.json").exists())
    return [
        found | {"structure": _structure(found)} for found in (metrics_of(root, n) for n in names)
    ]


def _structure(found: dict[str, Any]) -> str:
    return str(found["training"]["levels"][-1]["structure"])
