"""What the demo's page says, made from the documents of `evaluate` and `export`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyse.report.charts import MINUS, Change
from tinyse.report.page import Example, Figure, Page, Table


def demo_content(
    result: dict[str, Any],
    manifest: dict[str, Any],
    examples: Sequence[Example] = (),
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
    arena_bytes: int | None = None,
    title: str = "A speech-enhancement network for a microcontroller",
) -> Page:
    """The page of one model.

    Parameters
    ----------
    result : what `evaluate` returned, `evaluate --json` printed
    manifest : manifest.json of the exported file
    tables : shown before the table of quality
    arena_bytes : memory that the runtime's allocator handed out
    """
    quality, listed = result["quality"], result["list"]
    summary = (
        f"Quantised to 8 bit, exported and measured on this machine: {result['model']},"
        f" {_bytes(manifest['bytes']['tflite'])} as a file, one frame of 16 ms at a time, 32 ms of"
        f" latency. Every figure comes from that very file on {result['runtime_version']}."
    )
    return Page(
        title=title,
        summary=summary,
        figures=tuple(_figures(result, manifest, arena_bytes)),
        changes=changes_of(quality),
        tables=(*tables, quality_table(result)),
        examples=tuple(examples),
        notes=(*notes, *_provenance(result, listed)),
    )


def _figures(
    result: dict[str, Any], manifest: dict[str, Any], arena_bytes: int | None
) -> list[Figure]:
    quality = result["quality"]
    low, high = quality["ci95"]["sdr_gain"]
    speakers = quality["bootstrap"]["groups"]
    found = [
        Figure(
            signed(quality["sdr_gain"]), "dB", "SDR gain over the noisy input",
            f"95 % interval {number(low, 1)} to {number(high, 1)}, {quality['rows']} mixtures,"
            f" {speakers} speakers",
        )
    ]  # fmt: skip
    if "against" in result:
        against = result["against"]
        low, high = against["sdr_loss_ci95"]
        found.append(
            Figure(
                number(against["sdr_loss"], 3), "dB",
                f"SDR lost against {reference_name(result)}",
                f"95 % interval {number(low, 3)} to {number(high, 3)}, paired",
            )
        )  # fmt: skip
    accounts = manifest["bytes"]
    value, unit = _bytes(accounts["tflite"]).split()
    note = f"{_bytes(accounts['fp32'])} as float32" if "fp32" in accounts else ""
    found.append(Figure(value, unit, "the .tflite file", note))
    if arena_bytes is not None:
        value, unit = _bytes(arena_bytes).split()
        runtime = RUNTIMES.get(result["runtime"], result["runtime"])
        found.append(Figure(value, unit, "memory at run time", f"arena of {runtime}"))
    return found


def reference_name(result: dict[str, Any]) -> str:
    """What `against` compares with, in words."""
    against = result["against"]
    runtime = against.get("runtime", "keras_model")
    if against.get("model", result["model"]) != result["model"]:
        return f"{against['model']} in float" if runtime == "keras_model" else against["model"]
    return "the float network" if runtime == "keras_model" else runtime


def changes_of(quality: dict[str, Any]) -> tuple[Change, ...]:
    """SDR before and after per SNR, for the chart."""
    return tuple(
        Change(f"{key.replace('-', MINUS)} dB", values["sdr_in"], values["sdr_out"])
        for key, values in quality["by_snr"].items()
        if values.get("sdr_in") is not None and values.get("sdr_out") is not None
    )


def quality_table(result: dict[str, Any]) -> Table:
    """SDR and SI-SDR per SNR, and their mean over the headline rows."""
    quality, listed = result["quality"], result["list"]
    keys = ["sdr_in", "sdr_out", "sdr_gain", "si_sdr_gain", "snr_gain", "estoi_in", "estoi_out",
            "pesq_in", "pesq_out"]  # fmt: skip
    keys = [key for key in keys if quality.get(key) is not None]
    rows = [(f"{_condition(name)}", values) for name, values in quality["by_snr"].items()]
    rows.append(("mean", quality))
    return Table(
        caption=f"Quality on {listed['name']}, dB unless the name says otherwise",
        columns=("SNR", "mixtures", *(COLUMNS[key] for key in keys)),
        rows=tuple(
            (name, str(values["rows"]), *(_cell(key, values.get(key)) for key in keys))
            for name, values in rows
        ),
    )


RUNTIMES = {"tflm": "TensorFlow Lite Micro", "litert": "LiteRT"}
COLUMNS = {
    "sdr_in": "SDR noisy",
    "sdr_out": "SDR enhanced",
    "sdr_gain": "SDR gain",
    "si_sdr_gain": "SI-SDR gain",
    "snr_gain": "SNR gain",
    "estoi_in": "ESTOI noisy (0..1)",
    "estoi_out": "ESTOI enhanced (0..1)",
    "pesq_in": "PESQ noisy (MOS)",
    "pesq_out": "PESQ enhanced (MOS)",
}


def _condition(name: str) -> str:
    return name if name == "clean" else f"{name.replace('-', MINUS)} dB"


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key.endswith("_gain"):
        return signed(value, 2)
    return number(value, 3 if key.startswith("estoi") else 2)


def _provenance(result: dict[str, Any], listed: dict[str, Any]) -> list[str]:
    bootstrap = result["quality"]["bootstrap"]
    return [
        f"File {result['file']['name']}, sha256 {result['file']['sha256']}.",
        f"List {listed['name']}, {listed['rows']} rows, sha256 {listed['sha256']}.",
        "SDR is BSS-eval's, as mir_eval computes it; gains are paired by mixture and averaged."
        f" Intervals: bootstrap over {bootstrap['groups']} speakers, {bootstrap['draws']:,} draws,"
        f" seed {bootstrap['seed']}.",
    ]


def signed(value: float, places: int = 1) -> str:
    """A gain with its sign."""
    return number(value, places) if value < 0 else f"+{number(value, places)}"


def number(value: float, places: int) -> str:
    """A figure with a proper minus sign and without a negative zero."""
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", MINUS)


def _bytes(count: int) -> str:
    """Bytes in kB or MB (of 1,000)."""
    text = f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
    return text.replace(" ", "\N{NO-BREAK SPACE}")
