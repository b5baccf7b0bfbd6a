"""The page of a profile: what a file costs on one NPU, from the JSON of `tinyse profile`."""

from __future__ import annotations

from typing import Any

from tinyse.report.page import Figure, Page, Table, demo_page

WAITS = {
    "decode": "the weight path",
    "array": "the multipliers",
    "output": "the output stage",
}
COLUMNS = (
    ("cycles", "cycles"),
    ("npu_cycles", "NPU"),
    ("array_cycles", "array"),
    ("decode_cycles", "decode"),
    ("weight_memory_cycles", "weight memory"),
    ("macs_dense", "MACs"),
    ("macs_nonzero", "non-zero"),
    ("encoded_bytes", "encoded, bytes"),
    ("scale_bytes", "scales, bytes"),
)


def profile_page(profile: dict[str, Any]) -> str:
    """The HTML of a profile; MissingExtra without Jinja2."""
    return demo_page(_page(profile))


def _page(profile: dict[str, Any]) -> Page:
    total = profile["total"]
    guess = ", a hypothetical design" if profile["hypothetical"] else ""
    summary = (
        f"On {profile['npu']}{guess}, at {profile['clock_hz'] / 1e6:g} MHz with weights in"
        f" {profile['memory']} ({profile['system']}), by the cost model in mode {profile['mode']}."
    )
    tables = [_layers(profile), _operations(profile)]
    if "vela" in profile:
        tables.insert(1, _vela(profile["vela"]))
    return Page(
        title=f"What {profile['file']} costs",
        summary=summary,
        figures=_figures(total),
        tables=tuple(tables),
        notes=_notes(profile),
    )


def _figures(total: dict[str, Any]) -> tuple[Figure, ...]:
    waits = WAITS.get(total["binds"], total["binds"])
    return (
        Figure(f"{total['latency_ms']:.2f}", "ms", "latency", f"waits for {waits}"),
        Figure(f"{total['frame_share']:.1%}", "", "of a frame of 16 ms"),
        Figure(f"{total['flash_bytes'] / 1024:,.0f}", "KiB", "weights, scales and tables"),
        Figure(f"{total['sram_peak_bytes'] / 1024:,.1f}", "KiB", "SRAM at most"),
        Figure(f"{total['energy_uj']['all']:g}", "uJ", "energy", "from assumed constants"),
    )


def _layers(profile: dict[str, Any]) -> Table:
    rows = [*profile["layers"], {**profile["total"], "name": "total"}]
    columns = ("layer", "waits for", *(title for _, title in COLUMNS))
    return Table("By layer", columns, tuple(_row(row) for row in rows))


def _operations(profile: dict[str, Any]) -> Table:
    columns = ("operation", "waits for", *(title for _, title in COLUMNS))
    return Table("By NPU operation", columns, tuple(_row(row) for row in profile["operations"]))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    waits = WAITS.get(row["binds"], row["binds"])
    return (row["name"], waits, *(f"{row[key]:,}" for key, _ in COLUMNS))


def _vela(vela: dict[str, Any]) -> Table:
    rows = tuple(
        (key, f"{row['vela']:,}", f"{row['difference']:+.3%}") for key, row in vela["total"].items()
    )
    return Table(f"Against Vela {vela['version']}", ("figure", "Vela", "difference"), rows)


def _notes(profile: dict[str, Any]) -> tuple[str, ...]:
    why = profile["assumptions"]
    return (
        f"Energy assumes {why['mac_pj']:g} pJ a multiply-accumulate and"
        f" {why['sram_pj_per_byte']:g} pJ a byte of SRAM ({why['source']}).",
        f"Weights: {why['weights_pj_per_byte']:g} pJ a byte ({why['weights_source']}).",
        "Estimated from the file; nothing was measured on a part.",
    )
