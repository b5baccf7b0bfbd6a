"""The profile of a file as one document: totals, layers, operations, and what it stands on.

Every number is of one call; `frames` says how many frames of 16 ms that is.  docs/cost_model.md
defines each key.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.npu.cost import OperationCost, network_cost
from tinyse.npu.hardware import Target
from tinyse.npu.lower import lower_file
from tinyse.npu.operations import Program
from tinyse.npu.what_if import WhatIf, changed_program, changed_target

SCHEMA = 1
FRAME_SECONDS = 0.016
SUMMED = (
    "cycles", "npu_cycles", "array_cycles", "decode_cycles", "output_cycles", "sram_cycles",
    "weight_memory_cycles", "macs_dense", "macs_nonzero", "macs_live", "tiles_live", "tiles",
    "weights", "weights_nonzero", "encoded_bytes", "scale_bytes", "sram_traffic_bytes",
    "weight_traffic_bytes",
)  # fmt: skip
RANKED = (
    "cycles", "npu_cycles", "latency_ms", "frame_share", "binds", "encoded_bytes", "flash_bytes",
    "sram_peak_bytes",
)  # fmt: skip
BINDS = {"array": "array", "weight_path": "decode", "output": "output"}


def profile(
    path: Path | str, target: Target, mode: str = "vela", asked: WhatIf | None = None
) -> dict[str, Any]:
    """The profile of the file `path` on `target`, as `asked`."""
    asked = asked or WhatIf()
    program = changed_program(lower_file(path, target.hardware.is_u85), asked)
    document = profile_program(program, changed_target(target, asked), mode)
    return {"schema": SCHEMA, "file": Path(path).name, **document}


def profile_program(program: Program, target: Target, mode: str = "vela") -> dict[str, Any]:
    """The same of a program that was lowered before."""
    costs = network_cost(program.operations, target, mode)
    rows = [_operation_row(cost, target) for cost in costs]
    return {
        "npu": target.hardware.name,
        "hypothetical": target.hardware.hypothetical,
        "system": target.system.name,
        "memory": target.memory,
        "mode": mode,
        "clock_hz": target.system.clock_hz,
        "frames": program.frames,
        "total": _total(rows, costs, program, target),
        "layers": _layers(rows),
        "operations": rows,
        "assumptions": _assumptions(target),
    }


def _operation_row(cost: OperationCost, target: Target) -> dict[str, Any]:
    operation, stored, tiles = cost.operation, cost.stored, cost.tiles
    weights = operation.weights
    area = operation.output.shape[0] * operation.output.shape[1]
    nonzero = 0 if weights is None else int(np.count_nonzero(weights))
    binds = cost.binds(target.memory)
    return {
        "name": operation.name,
        "kind": operation.kind,
        "layer": operation.layer,
        "fused": [*operation.activations, *(link.kind for link in operation.chained)],
        "input": list(operation.inputs[0].shape),
        "output": list(operation.output.shape),
        "block": list(cost.block.outputs),
        "binds": BINDS.get(binds, binds),
        "cycles": cost.cycles,
        "npu_cycles": cost.npu_cycles,
        "array_cycles": cost.inside.array,
        "decode_cycles": cost.inside.weight_path,
        "output_cycles": cost.inside.output,
        "sram_cycles": cost.sram_cycles,
        "weight_memory_cycles": 0 if target.memory == "sram" else cost.weight_cycles,
        "macs_dense": operation.macs,
        "macs_nonzero": nonzero * area,
        "macs_live": cost.live_macs,
        "tiles_live": 0 if tiles is None else int(tiles.live.sum()),
        "tiles": 0 if tiles is None else len(tiles.live),
        "weights": 0 if weights is None else weights.size,
        "weights_nonzero": nonzero,
        "encoded_bytes": 0 if stored is None else stored.stream.bytes,
        "scale_bytes": 0 if stored is None else stored.scale_bytes,
        "sram_traffic_bytes": cost.sram_bytes,
        "weight_traffic_bytes": 0 if target.memory == "sram" else cost.weight_bytes,
    }


def _sums(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    rows = list(rows)
    return {key: sum(row[key] for row in rows) for key in SUMMED}


def _layers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one layer as one, in the order of their first."""
    found = []
    for layer in dict.fromkeys(row["layer"] for row in rows):
        own = [row for row in rows if row["layer"] == layer]
        sums = _sums(own)
        found.append({"name": layer, "operations": len(own), "binds": _binding(own), **sums})
    return found


def _binding(rows: list[dict[str, Any]]) -> str:
    """What most cycles wait for."""
    waits: dict[str, int] = {}
    for row in rows:
        waits[row["binds"]] = waits.get(row["binds"], 0) + row["cycles"]
    return max(waits, key=lambda name: waits[name])


def _total(
    rows: list[dict[str, Any]], costs: list[OperationCost], program: Program, target: Target
) -> dict[str, Any]:
    sums = _sums(rows)
    seconds = sums["cycles"] / target.system.clock_hz
    tables = dict(table for cost in costs for table in cost.operation.tables)
    placed = sums["encoded_bytes"] + sums["scale_bytes"] + sum(tables.values())
    staging = max((cost.staging_bytes for cost in costs), default=0)
    in_sram = placed if target.memory == "sram" else 0
    skips = target.hardware.skipping is not None
    macs = sum(cost.live_macs if skips else cost.tiled_macs for cost in costs)
    return {
        **sums,
        "binds": _binding(rows),
        "latency_ms": round(1e3 * seconds, 6),
        "frame_share": round(seconds / (FRAME_SECONDS * program.frames), 6),
        "flash_bytes": placed,
        "sram_peak_bytes": program.sram_bytes + staging + in_sram,
        "energy_uj": _energy(sums, macs, target),
    }


def _energy(sums: dict[str, int], macs: int, target: Target) -> dict[str, float]:
    energy, external = target.hardware.energy, target.system.external
    parts = {
        "macs": macs * energy.mac_pj,
        "sram": sums["sram_traffic_bytes"] * energy.sram_pj_per_byte,
        "weights": sums["weight_traffic_bytes"] * external.read_pj_per_byte,
    }
    return {
        key: round(value / 1e6, 4) for key, value in {**parts, "all": sum(parts.values())}.items()
    }


def _assumptions(target: Target) -> dict[str, Any]:
    """The constants of energy, which were not measured on any of these parts."""
    energy, external = target.hardware.energy, target.system.external
    return {
        "mac_pj": energy.mac_pj,
        "sram_pj_per_byte": energy.sram_pj_per_byte,
        "source": energy.source,
        "weights_pj_per_byte": energy.sram_pj_per_byte
        if target.memory == "sram"
        else external.read_pj_per_byte,
        "weights_source": energy.source if target.memory == "sram" else external.read_pj_source,
    }


def ranking(
    path: Path | str, targets: Iterable[Target], mode: str = "vela", asked: WhatIf | None = None
) -> list[dict[str, Any]]:
    """One row for each target, the fastest first."""
    rows = []
    for target in targets:
        found = profile(path, target, mode, asked)
        total = found["total"]
        rows.append(
            {
                "npu": found["npu"],
                "hypothetical": found["hypothetical"],
                "system": found["system"],
                "memory": found["memory"],
                **{key: total[key] for key in RANKED},
                "energy_uj": total["energy_uj"]["all"],
            }
        )
    return sorted(rows, key=lambda row: row["latency_ms"])
