"""The comparison with Vela, as several tests make it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tinyse.npu import compare, find_target, profile

needs_vela = pytest.mark.skipif(
    importlib.util.find_spec("ethosu") is None, reason="ethos-u-vela is not installed"
)

COMPARED = ("cycles", "npu_cycles", "encoded_bytes")


def differences(path: Path, npu: str, memory: str, system: str | None = None) -> dict[str, float]:
    """Relative differences of our totals to Vela's: cycles, npu_cycles, encoded and flash bytes."""
    target = find_target(npu, memory, system)
    vela = compare(path, target, profile(path, target))["vela"]
    found = {key: row["difference"] for key, row in vela["total"].items()}
    print(f"{path.name} {npu} {target.system.name} {memory}:", found)
    return found


def check(
    path: Path, npu: str, memory: str, system: str | None = None, within: float = 0.005
) -> None:
    """Cycles, NPU cycles and encoded bytes are within that share of Vela's."""
    found = differences(path, npu, memory, system)
    wide = {key: found[key] for key in COMPARED if abs(found[key]) > within}
    assert not wide, f"{path.name} on {npu}, {memory}: {wide}"
