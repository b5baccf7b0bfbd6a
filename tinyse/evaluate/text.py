"""The result of `evaluate` as a table for people."""

from __future__ import annotations

from typing import Any

from tinyse.metrics.bootstrap import FEWEST_GROUPS

NAMES = {"sdr": "SDR", "si_sdr": "SI-SDR", "snr": "SNR", "estoi": "ESTOI", "pesq": "PESQ"}
PARTS = {"sdr": ("in", "out", "gain"), "estoi": ("in", "out"), "pesq": ("in", "out")}
PLACES = {"sdr": 2, "si_sdr": 2, "snr": 2, "estoi": 3, "pesq": 2}


def as_text(result: dict[str, Any]) -> str:
    """A few lines: what was measured on what, a row per SNR, the mean, its interval."""
    quality, listed = result["quality"], result["list"]
    rows = f"{listed['rows']:,}"
    if "of_rows" in listed:
        rows += f" of {listed['of_rows']:,}"
    lines = [
        f"{result['model']} on {result['runtime']} ({result['runtime_version']}),"
        f" {listed['name']} ({rows} rows, sha256 {listed['sha256'][:12]})",
        "",
        *_table(quality),
        "",
        *_remarks(quality),
    ]
    if "against" in result:
        lines += _against(result["against"], result["model"])
    return "\n".join(lines)


def _table(quality: dict[str, Any]) -> list[str]:
    metrics = [name for name in NAMES if f"{name}_gain" in quality]
    heads = [f"{NAMES[name]} {part}" for name in metrics for part in PARTS.get(name, ("gain",))]
    table = [["SNR dB", "rows", *heads]]
    table += [_line(key, values, metrics) for key, values in quality["by_snr"].items()]
    table.append(_line("mean", quality, metrics))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in table]


def _line(head: str, values: dict[str, Any], metrics: list[str]) -> list[str]:
    cells = [
        _number(values.get(f"{name}_{part}"), PLACES[name])
        for name in metrics
        for part in PARTS.get(name, ("gain",))
    ]
    return [head, str(values["rows"]), *cells]


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _remarks(quality: dict[str, Any]) -> list[str]:
    bootstrap, (low, high) = quality["bootstrap"], quality["ci95"]["sdr_gain"]
    snrs = ", ".join(f"{snr:g}" for snr in quality["snrs_db"])
    groups = bootstrap["groups"]
    few = f"; fewer than {FEWEST_GROUPS}: too narrow" if groups < FEWEST_GROUPS else ""
    lines = [
        f"mean over {quality['rows']} rows" + (f" at {snrs} dB" if snrs else ""),
        f"SDR gain {quality['sdr_gain']:.2f} dB, 95 % interval {low:.2f} to {high:.2f}"
        f" (bootstrap over {groups} speakers{few}), median {quality['sdr_gain_median']:.2f},"
        f" 5 % of the rows below {quality['sdr_gain_p5']:.2f}",
    ]
    for line, name in (("floor", "one fixed filter"), ("ceiling", "the best mask of 128 bands")):
        if line in quality:
            lines.append(f"{line}: {name} gains {quality[line]['sdr_gain']:.2f} dB SDR")
    return lines


def _against(against: dict[str, Any], model: str) -> list[str]:
    low, high = against["sdr_loss_ci95"]
    name = "" if against["model"] == model else f"{against['model']} on "
    return [
        f"loss against {name}{against['runtime']}: SDR {against['sdr_loss']:.3f} dB,"
        f" 95 % interval {low:.3f} to {high:.3f}, paired over {against['rows']} rows"
    ]
