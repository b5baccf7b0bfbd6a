"""docs/firmware.md's tables, from docs/firmware.json, and the C tables of the activations.

python -m docs.generate --firmware    count and time the baseline, dense and sparse, first
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyse.bench import machine, network_figures, open_here, timed
from tinyse.files import write_json
from tinyse.pack.files import native_bytes
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.native import Native
from tinyse.sparsity.groups import halves, parse_structure
from tinyse.sparsity.offline import prune_integer, weights_of
from tinyse.tflite.check import load

JSON = "docs/firmware.json"
BASELINE = "lstm_256"
SPARSITY = 0.9
CORES = {"cortex_m4": "Cortex-M4", "cortex_m7": "Cortex-M7", "cortex_m55": "Cortex-M55"}
TIMED = {
    "tflm": "TFLM, dense file",
    "litert_step8": "LiteRT with XNNPACK, dense step graph",
    "native": "this library, dense",
    "native_sparse": "this library, 4 x 4 at 90 %",
}
NOTE = """\
Dense is the published `{model}`; the other has the weakest 90 % of its 4 x 4 blocks taken out and
nothing trained again, which changes no count. Flash is blob, code and constants, without the audio
tables. Times are medians of blocks of frames in turns, with other work on the machine: read the
ratios. Processor: {processor}."""


def write_firmware(root: Path) -> None:
    """Write the JSON that the tables are made from."""
    write_json(root / JSON, measured(root / "models" / BASELINE / "model.tflite"))


def measured(file: Path) -> dict[str, Any]:
    """Figures of the file's network and of its sparse copy."""
    dense = load(file).network
    sparse = cut(dense)
    native = Native(sparse)
    native.name = "native_sparse"
    runtimes = [*(open_here(name, file) for name in list(TIMED)[:3]), native]
    return {
        "schema": 1,
        "model": BASELINE,
        "networks": {name: _figures(of) for name, of in (("dense", dense), ("sparse", sparse))},
        "machine": machine(),
        "runtimes": timed(runtimes),
    }


def cut(network: IntegerNetwork) -> IntegerNetwork:
    """The network without the weakest 4 x 4 blocks of each matrix."""
    budgets = dict.fromkeys(halves(weights_of(network)), SPARSITY)
    return prune_integer(network, parse_structure("block:4x4"), budgets)


def _figures(network: IntegerNetwork) -> dict[str, Any]:
    return {"bytes": native_bytes(network), "cores": network_figures(network)}


def firmware_tables(root: Path) -> str:
    """Both tables and what they stand on."""
    found = json.loads((root / JSON).read_text("utf-8"))
    note = NOTE.format(model=found["model"], processor=found["machine"]["processor"])
    return "\n\n".join([_counts(found["networks"]), _times(found["runtimes"]), note])


def _counts(networks: dict[str, Any]) -> str:
    head = ["| lstm_256 | dense | 4 x 4 at 90 % | ratio |", "|---|---:|---:|---:|"]
    dense, sparse = networks["dense"], networks["sparse"]
    rows = []
    for core, name in CORES.items():
        a, b = (network["cores"][core] for network in (dense, sparse))
        rows.append(_row(f"{name}, instructions a frame", a, b, "instructions_per_frame"))
    for core, name in CORES.items():
        a, b = (network["cores"][core] for network in (dense, sparse))
        for part in ("flash", "arena", "stack"):
            rows.append(_row(f"{name}, {part}, bytes", a, b, f"{part}_bytes"))
    rows.append(_row("blob with audio tables, bytes", dense["bytes"], sparse["bytes"], "native"))
    rows.append(_row("the same, coded", dense["bytes"], sparse["bytes"], "native_coded"))
    return "\n".join(head + rows)


def _row(label: str, dense: dict[str, int], sparse: dict[str, int], key: str) -> str:
    ratio = dense[key] / sparse[key]
    return f"| {label} | {dense[key]:,} | {sparse[key]:,} | {ratio:.2f} |"


def _times(rows: list[dict[str, Any]]) -> str:
    head = ["| one thread of a host | µs a frame | against LiteRT |", "|---|---:|---:|"]
    times = {row["runtime"]: 1000 * row["ms_per_frame"] for row in rows}
    return "\n".join(
        head
        + [
            f"| {label} | {times[name]:,.1f} | {times['litert_step8'] / times[name]:.2f} |"
            for name, label in TIMED.items()
        ]
    )
