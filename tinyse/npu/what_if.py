"""What if the NPU, its memories or the weights were different: `key=value,key=value`.

clock=400e6                hertz
sram.bandwidth=4           bytes per cycle; also flash. and dram.
flash.latency=100          cycles of a read
tile=4x4                   skip tiles of so many outputs by inputs, with a bit for each
encoded=0                  weight streams so many times as long
sparsity=0.9               the smallest weights of every matrix to zero; LAYER.sparsity of one
block=4x4                  take zeros in blocks, the weakest first
levels=8                   only so many different values in each matrix
limit=31                   values as coarse as the largest one being so many steps
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.npu.hardware import Skipping, Target
from tinyse.npu.operations import Program

OPTION = "--what-if"
KEYS = (
    "clock", "sram.bandwidth", "flash.bandwidth", "dram.bandwidth", "sram.latency",
    "flash.latency", "dram.latency", "tile", "encoded", "sparsity", "block", "levels", "limit",
)  # fmt: skip
RANGES = {
    "clock": (1e6, 1e10), "bandwidth": (1e-3, 4096), "latency": (0, 100_000), "encoded": (0, 16),
    "sparsity": (0, 1), "levels": (1, 255), "limit": (1, 127),
}  # fmt: skip
Tile = tuple[int, int]


@dataclass(frozen=True)
class WhatIf:
    """The overrides of one question.

    target : of numbers of the hardware, by key
    sparsity : by layer; "" for all
    """

    target: dict[str, float] = field(default_factory=dict)
    tile: Tile | None = None
    sparsity: dict[str, float] = field(default_factory=dict)
    block: Tile = (1, 1)
    levels: int | None = None
    limit: int | None = None

    @property
    def changes_weights(self) -> bool:
        """Whether other weights are asked about."""
        return bool(self.sparsity) or self.levels is not None or self.limit is not None


def parse_what_if(text: str) -> WhatIf:
    """The overrides in `text`; InputError names the key or value that is wrong."""
    asked = WhatIf()
    for part in filter(None, text.split(",")):
        key, equals, value = part.strip().rpartition("=")
        if not equals:
            raise InputError(
                f"expected key=value, got {part!r}", OPTION, f"keys: {', '.join(KEYS)}"
            )
        asked = _with(asked, key.strip(), value.strip())
    return asked


def _with(asked: WhatIf, key: str, value: str) -> WhatIf:
    if key in ("tile", "block"):
        tile: dict[str, Any] = {key: _tile(key, value)}
        return replace(asked, **tile)
    if key in ("levels", "limit"):
        count: dict[str, Any] = {key: _whole(key, _number(key, value, RANGES[key]))}
        return replace(asked, **count)
    if key == "sparsity" or key.endswith(".sparsity"):
        layer = key.removesuffix("sparsity").removesuffix(".")
        share = _number(key, value, RANGES["sparsity"])
        return replace(asked, sparsity={**asked.sparsity, layer: share})
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, 1)
        raise InputError(
            f"unknown key {key}", OPTION,
            f"did you mean {close[0]}?" if close else f"keys: {', '.join(KEYS)}",
        )  # fmt: skip
    number = _number(key, value, RANGES[key.rpartition(".")[2]])
    if key.endswith(".latency"):
        _whole(key, number)
    return replace(asked, target={**asked.target, key: number})


def _number(key: str, text: str, limits: tuple[float, float]) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(
            f"{key}: expected a number, got {text!r}", OPTION, "for example 0.5"
        ) from None
    if not (math.isfinite(value) and limits[0] <= value <= limits[1]):
        remedy = f"use {limits[0]:g} to {limits[1]:g}"
        raise InputError(f"{key}: {text} is out of range", OPTION, remedy)
    return value


def _whole(key: str, number: float) -> int:
    if number != int(number):
        raise InputError(f"{key}: expected a whole number, got {number:g}", OPTION, "round it")
    return int(number)


def _tile(key: str, text: str) -> Tile:
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if not found:
        raise InputError(f"{key}: expected OUTPUTSxINPUTS, got {text!r}", OPTION, "for example 4x4")
    return int(found[1]), int(found[2])


def changed_target(target: Target, asked: WhatIf) -> Target:
    """The target with the numbers that are asked about."""
    for key, value in asked.target.items():
        target = _changed(target, key, value)
    if asked.tile is not None:
        rows, columns = asked.tile
        skipping = Skipping(
            source="asked for", tile_outputs=rows, tile_inputs=columns, index_bits_per_tile=1,
            index_of_live_tiles_only=False, compressed=True,
        )  # fmt: skip
        hardware = msgspec.structs.replace(target.hardware, skipping=skipping)
        target = msgspec.structs.replace(target, hardware=hardware)
    return target


def _changed(target: Target, key: str, value: float) -> Target:
    if key == "encoded":
        return msgspec.structs.replace(target, encoded_factor=value)
    system = target.system
    if key == "clock":
        system = msgspec.structs.replace(system, clock_hz=value)
        return msgspec.structs.replace(target, system=system)
    memory, _, number = key.partition(".")
    place = "sram" if memory == "sram" else "external"
    if place == "external" and system.external.kind != memory:
        raise InputError(f"{key}: {system.name} has no {memory}", OPTION, "take it out")
    change = (
        {"bytes_per_cycle": value} if number == "bandwidth" else {"read_latency_cycles": int(value)}
    )
    changed = msgspec.structs.replace(getattr(system, place), **change)
    system = msgspec.structs.replace(system, **{place: changed})
    return msgspec.structs.replace(target, system=system)


def changed_program(program: Program, asked: WhatIf) -> Program:
    """The program with the weights that are asked about."""
    if not asked.changes_weights:
        return program
    layers = {operation.layer for operation in program.operations if operation.weights is not None}
    for layer in asked.sparsity:
        if layer and layer not in layers:
            close = difflib.get_close_matches(layer, layers, 1, 0)
            raise InputError(f"no layer {layer!r}", OPTION, f"did you mean {close[0]}?")
    operations = []
    for operation in program.operations:
        weights = operation.weights
        if weights is not None:
            share = asked.sparsity.get(operation.layer, asked.sparsity.get(""))
            operation = operation.with_weights(_changed_weights(weights, asked, share))
        operations.append(operation)
    return replace(program, operations=tuple(operations))


def _changed_weights(
    weights: NDArray[np.integer], asked: WhatIf, share: float | None
) -> NDArray[np.integer]:
    if asked.limit is not None:
        weights = coarser(weights, asked.limit)
    if asked.levels is not None:
        weights = with_levels(weights, asked.levels)
    return weights if share is None else pruned(weights, share, asked.block)


def pruned(weights: NDArray[np.integer], share: float, block: Tile = (1, 1)) -> NDArray[np.integer]:
    """`weights` [out, height, width, in] with at least `share` of the blocks zero.

    The blocks with the smallest sum of squares go first, of equal ones the earlier.
    """
    rows, columns = block
    outputs, inputs = weights.shape[0], weights.shape[3]
    squares = weights.astype(np.int64) ** 2
    by_row = np.add.reduceat(squares, np.arange(0, outputs, rows), axis=0)
    sums = np.add.reduceat(by_row, np.arange(0, inputs, columns), axis=3)
    order = np.argsort(sums, axis=None, kind="stable")
    keep = np.ones(sums.size, bool)
    keep[order[: math.ceil(share * sums.size - 1e-9)]] = False
    mask = np.repeat(np.repeat(keep.reshape(sums.shape), rows, axis=0), columns, axis=3)
    return np.where(mask[:outputs, ..., :inputs], weights, 0).astype(weights.dtype)


def with_levels(weights: NDArray[np.integer], count: int) -> NDArray[np.integer]:
    """`weights` moved to `count` values, each the mean of about equally many.

    Zeros stay zeros, and nothing else becomes one: each side of zero has values of its own.
    """
    below, above = np.sort(weights[weights < 0]), np.sort(weights[weights > 0])
    if not len(below) and not len(above):
        return weights
    if count == 1:
        parts = [max(below, above, key=len)]
    else:
        share = len(below) / (len(below) + len(above))
        lower = min(max(round(count * share), len(below) > 0), count - (len(above) > 0))
        parts = [*_parted(below, lower), *_parted(above, count - lower)]
    levels = np.unique([np.rint(part.mean()) for part in parts if len(part)])
    nearest = np.abs(weights[..., None].astype(np.int32) - levels.astype(np.int32)).argmin(axis=-1)
    return np.where(weights == 0, 0, levels[nearest]).astype(weights.dtype)


def _parted(values: NDArray[np.integer], count: int) -> list[NDArray[np.integer]]:
    return np.array_split(values, count) if count else []


def coarser(weights: NDArray[np.integer], limit: int) -> NDArray[np.integer]:
    """`weights` in steps so coarse that the largest is `limit`."""
    largest = int(np.abs(weights.astype(np.int32)).max(initial=0))
    if largest <= limit:
        return weights
    return np.rint(weights.astype(np.float64) * limit / largest).astype(weights.dtype)
