"""The same file through Arm's compiler, Vela, and where its estimate differs from ours.

Vela's core is C++ and ends in a segmentation fault on some files, so it runs in a process of its
own: this module as a script, which is the one place that imports it.  It gets the very numbers of
the target, not its own configuration, so that a what-if can be compared too.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tinyse.errors import InputError, MissingExtra
from tinyse.npu.hardware import Memory, Target

PACKAGE, EXTRA = "ethos-u-vela", "npu"
NAMES = {"ethos-u55": "EthosU55", "ethos-u65": "EthosU65", "ethos-u85": "EthosU85"}
AXI_BYTES = {"ethos-u55": 8, "ethos-u65": 16, "ethos-u85": 16}
# Vela takes the 8-byte AXI of the U55 only where the system's name begins like this.
SYSTEM, MODE = "Ethos_U55_Target", "Target_Mode"
KINDS = {"LUT": "Table", "QuantizedAvgPool": "AvgPool", "QuantizedMaxPool": "MaxPool"}
SECONDS = 300


def compare(path: Path | str, target: Target, profile: dict[str, Any]) -> dict[str, Any]:
    """`profile` of the file `path` with Vela's figures under `vela` and in each operation.

    MissingExtra without Vela; InputError where it cannot compile for this target or this file.
    """
    if importlib.util.find_spec("ethosu") is None:
        raise MissingExtra(PACKAGE, EXTRA)
    hardware = target.hardware
    if hardware.hypothetical or hardware.skipping or target.encoded_factor != 1:
        raise InputError(
            f"Vela knows no such design as {hardware.name} with these overrides", "--against vela",
            "compare with the published NPU that it is based on",
        )  # fmt: skip
    found = _compiled(path, target)
    rows = _matched(profile["operations"], found["operations"])
    total = {
        key: {"vela": found["total"][key], "difference": _share(profile["total"][key], value)}
        for key, value in found["total"].items()
        if key in profile["total"]
    }
    vela = {"version": _version(), "total": total, "unmatched": rows.pop("unmatched")}
    return {**profile, "operations": rows["operations"], "vela": vela}


def _share(ours: int, theirs: int) -> float:
    return round(ours / theirs - 1, 6) if theirs else 0.0


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def _compiled(path: Path | str, target: Target) -> dict[str, Any]:
    question = {
        "path": str(path),
        "accelerator": NAMES[target.hardware.family],
        "system": _configuration(target),
        "options": _options(target),
    }
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=json.dumps(question), capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(f"Vela took more than {SECONDS} s", path, "try a smaller file") from None
    if done.returncode < 0:
        raise InputError(f"Vela crashed on it (signal {-done.returncode})", path,
                         "profile it without --against vela")  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(f"Vela refused it: {lines[-1] if lines else 'no message'}", path,
                         "profile it without --against vela")  # fmt: skip
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["cpu_operations"]:
        raise InputError(f"Vela leaves {answer['cpu_operations']} operations to the CPU", path,
                         "its total would not count them")  # fmt: skip
    return answer


def _configuration(target: Target) -> str:
    """The sections that Vela reads, from the numbers of the target."""
    system, array = target.system, target.hardware.array
    outside = "OffChipFlash" if system.external.kind == "flash" else "Dram"
    axi = AXI_BYTES[target.hardware.family]
    name = SYSTEM if target.hardware.family == "ethos-u55" else SYSTEM.replace("U55_", "")
    const = "Axi0" if target.memory == "sram" else "Axi1"
    lines = [
        "[architecture]", f"macs={array.macs_per_cycle // _cores(target)}",
        f"cores={_cores(target)}",
        "[vela]", f"system_config_name={name}", f"memory_mode_name={MODE}",
        f"[System_Config.{name}]", f"core_clock={system.clock_hz:.0f}",
        "axi0_port=Sram", f"axi1_port={outside}",
        *_memory("Sram", system.sram, axi), *_memory(outside, system.external, axi),
        f"[Memory_Mode.{MODE}]", f"const_mem_area={const}", "arena_mem_area=Axi0",
        "cache_mem_area=Axi0",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cores(target: Target) -> int:
    """Vela counts the MACs of a U65 per core, those of a U85 altogether."""
    return 1 if target.hardware.is_u85 else target.hardware.array.cores


def _memory(name: str, memory: Memory, axi_bytes: int) -> list[str]:
    return [
        f"{name}_clock_scale={memory.bytes_per_cycle / (axi_bytes * memory.ports)}",
        f"{name}_ports_used={memory.ports}",
        f"{name}_burst_length={memory.burst_bytes}",
        f"{name}_read_latency={memory.read_latency_cycles}",
        f"{name}_write_latency={memory.write_latency_cycles}",
        f"{name}_max_reads={memory.reads_under_way}",
        f"{name}_max_writes={memory.writes_under_way}",
    ]


def _options(target: Target) -> str:
    """What Vela's command line sets by itself."""
    bits = 32 if target.hardware.family == "ethos-u55" else 40
    return (
        "[compiler]\nenable_db=true\noutput_format=TFLite\n"
        f"[scheduler]\noptimize=Performance\narena_size_limit={1 << bits}\n"
    )


def _matched(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Each of our operations with Vela's of the same kind and shapes that is nearest in cycles."""
    left = list(theirs)
    rows = []
    for row in ours:
        key = row["kind"], row["input"], row["output"]
        alike = [other for other in left if (other["kind"], other["input"], other["output"]) == key]
        if not alike:
            rows.append({**row, "vela_cycles": None, "vela_npu_cycles": None})
            continue
        nearest = min(alike, key=lambda other: abs(other["cycles"] - row["cycles"]))
        left.remove(nearest)
        more = {f"vela_{key}": nearest[key] for key in ("cycles", "npu_cycles")}
        rows.append({**row, **more})
    return {"operations": rows, "unmatched": left}


def _main() -> None:
    """The child: a question on stdin, Vela's answer as the last line of stdout."""
    from ethosu import regor

    question = json.load(sys.stdin)
    data = Path(question["path"]).read_bytes()
    system, options = question["system"], question["options"]
    accelerator = question["accelerator"]
    result = regor.compile(accelerator, data, "TFLITE", system, options=options, verbose=True)
    report, tables = result.perf_report, result.opt_database.tables
    total = {
        "cycles": report.totalCycles,
        "npu_cycles": report.npuCycles,
        "encoded_bytes": report.encodedWeights,
        "flash_bytes": report.readOnlyPeakUsage,
    }
    answer = {
        "total": total, "operations": _operations(tables), "cpu_operations": report.cpuOps,
    }  # fmt: skip
    print(json.dumps(answer))


def _operations(tables: dict[str, Any]) -> list[dict[str, Any]]:
    """Vela's own list, without what it fused into others."""
    shapes = {row[0]: row for row in tables["perf_debug"].data}
    header = {name: place for place, name in enumerate(tables["perf_debug"].header)}
    head = {name: place for place, name in enumerate(tables["perf"].header)}

    def shape(row: list[str], which: str) -> list[int]:
        part = [int(row[header[f"{which}_slice_{axis}"]]) for axis in "hwc"]
        full = [int(row[header[f"{which}_shape_{axis}"]]) for axis in "hwc"]
        return part if any(part) else full

    found = []
    for row in tables["perf"].data:
        if int(row[head["op_cycles"]]):
            kind = row[head["operator"]]
            details = shapes[row[0]]
            found.append(
                {
                    "kind": KINDS.get(kind, kind),
                    "name": row[head["name"]],
                    "input": shape(details, "ifm"),
                    "output": shape(details, "ofm"),
                    "cycles": int(row[head["op_cycles"]]),
                    "npu_cycles": int(row[head["npu_cycles"]]),
                }
            )
    return found


if __name__ == "__main__":
    _main()
