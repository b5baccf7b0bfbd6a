"""docs/firmware.md's tables, from docs/firmware.json, and the C tables of the activations.

python -m docs.generate --firmware    count and time the baseline, dense and sparse, first
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyse.bench import front_end_figures, machine, network_figures, open_here, timed
from tinyse.files import write_json
from tinyse.pack.files import native_bytes
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.native import Native
from tinyse.sparsity.groups import halves, parse_structure
from tinyse.sparsity.offline import prune_integer, weights_of
from tinyse.tflite.check import load

JSON = "docs/firmware.json"
BASELINE = "lstm_256"
SMALLEST = "lstm_tiny"
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
FRONT_END = {
    "instructions_per_frame": "instructions a frame, on top",
    "code_bytes": "flash: code, bytes",
    "tables_bytes": "flash: audio tables, bytes",
    "memory_bytes": "RAM, bytes",
    "stack_bytes": "stack of `tinyse_process`, bytes",
}


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
    networks = {name: _figures(of) for name, of in (("dense", dense), ("sparse", sparse))}
    cores = networks["dense"]["cores"]
    return {
        "schema": 1,
        "model": BASELINE,
        "networks": networks,
        "front_end": {core: front_end_figures(dense, core, cores[core]) for core in CORES},
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
    """The tables of network and host, and what they stand on."""
    found = json.loads((root / JSON).read_text("utf-8"))
    note = NOTE.format(model=found["model"], processor=found["machine"]["processor"])
    return "\n\n".join([_counts(found["networks"]), _times(found["runtimes"]), note])


def front_end_table(root: Path) -> str:
    """What sound to sound costs on top of any network."""
    found = json.loads((root / JSON).read_text("utf-8"))["front_end"]
    lines = [["front end", *(CORES[core] for core in found)], ["---", *("---:" for _ in found)]]
    for key, label in FRONT_END.items():
        lines.append([label, *(f"{figures[key]:,}" for figures in found.values())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{_whole(root, SMALLEST, found['cortex_m4'])}"


def _whole(root: Path, model: str, front_end: dict[str, int]) -> str:
    metrics = json.loads((root / "models" / model / "metrics.json").read_text("utf-8"))
    instructions = metrics["instructions"]["cortex_m4"] + front_end["instructions_per_frame"]
    flash = metrics["memory"]["native_flash"] + front_end["code_bytes"] + front_end["tables_bytes"]
    of = f"{instructions:,} instructions a frame and {flash:,} bytes of flash"
    return f"`{model}` and its front end take {of} together on a Cortex-M4."


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
