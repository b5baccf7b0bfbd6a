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
    for part in (_breakdown(quality), _peers(result), _worst(result)):
        lines += ["", *part] if part else []
    return "\n".join(lines)


def _table(quality: dict[str, Any]) -> list[str]:
    metrics = [name for name in NAMES if f"{name}_gain" in quality]
    heads = [f"{NAMES[name]} {part}" for name in metrics for part in PARTS.get(name, ("gain",))]
    table = [["SNR dB", "rows", *heads]]
    table += [_line(key, values, metrics) for key, values in quality["by_snr"].items()]
    table.append(_line("mean", quality, metrics))
    return _aligned(table)


def _aligned(table: list[list[str]], named: bool = False) -> list[str]:
    """Columns of one width, flush right; the first flush left where it holds names."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for first, *rest in table:
        cells = [first.ljust(widths[0]) if named else first.rjust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return lines


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


def _breakdown(quality: dict[str, Any]) -> list[str]:
    """The headline rows by noise class, seen and unseen, and by language."""
    table = [
        [
            _named(name, values),
            str(values["rows"]),
            str(values["speakers"]),
            _number(values["sdr_gain"], 2),
            "{:.2f} to {:.2f}".format(*values["sdr_gain_ci95"]),
        ]
        for part in ("by_noise", "by_seen", "by_language")
        for name, values in quality.get(part, {}).items()
    ]
    head = ["the same rows by", "rows", "speakers", "SDR gain", "95 %"]
    return _aligned([head, *table], named=True) if table else []


def _named(name: str, values: dict[str, Any]) -> str:
    return f"{name} (unseen)" if values.get("seen") is False else name


def _peers(result: dict[str, Any]) -> list[str]:
    if "peers" not in result:
        return []
    methods = result["peers"]["methods"]
    keys = [key for key in methods[0] if key.endswith("_gain") or key in ("estoi", "pesq")]
    table = [["method", *(_titled(key) for key in keys), "version"]]
    for method in methods:
        cells = [_number(method[key], PLACES[key.removesuffix("_gain")]) for key in keys]
        table.append([method["name"], *cells, method["version"] or "-"])
    return _aligned(table, named=True)


def _titled(key: str) -> str:
    metric = key.removesuffix("_gain")
    return NAMES[metric] + (" gain" if key != metric else "")


def _worst(result: dict[str, Any]) -> list[str]:
    if not result.get("worst"):
        return []
    table = [["worst rows", "speaker", "noise", "SNR dB", "SDR in", "SDR out", "SDR gain"]]
    for row in result["worst"]:
        snr = "-" if row["snr_db"] is None else f"{row['snr_db']:g}"
        scores = [_number(row[key], 2) for key in ("sdr_in", "sdr_out", "sdr_gain")]
        table.append([row["id"], row["group"], row["noise_class"] or "-", snr, *scores])
    return _aligned(table, named=True)
