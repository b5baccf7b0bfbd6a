"""How the Ethos-U55 and U65 cut an operation into blocks that fit their shared RAM.

Inputs of a block and its accumulators are held twice, so that the next block loads while this one
computes.  Of all blocks that fit, the one that fetches the fewest inputs and weights per output
wins.  A matrix-vector product with 128 outputs or more gets blocks of 128 outputs by 32 inputs.

Source: `FindBlockConfig` of `ethosu/regor/architecture/ethosu55/ethos_u55.cpp`, ethos-u-vela 5.2.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyse.errors import InputError
from tinyse.npu.hardware import Hardware, SharedRam
from tinyse.npu.operations import Kernel, Operation, Shape, ceil_div, up

SPLIT_CHANNELS = 16  # blocks of a deeper output begin at multiples of this
SUB_KERNEL = 8
TABLE_ROOM_BYTES = 2048  # that is kept for a lookup table, whatever its size
INPUT_STEP = 8  # input channels of a micro-block


@dataclass(frozen=True)
class Block:
    """How one operation is cut: outputs and inputs of a block, and the micro-block.

    kernel_first : walks the kernel's elements before the input channels, for shallow inputs
    """

    outputs: Shape
    inputs: Shape
    micro: Shape
    kernel_first: bool = False


def choose_block(operation: Operation, hardware: Hardware) -> Block:
    """The block of an Ethos-U55 or U65 for `operation`."""
    micro = hardware.array.micro_blocks_outputs[0]
    search = _Search(operation, hardware, micro)
    best, best_cost, best_coverage = None, math.inf, math.inf
    too_large: set[tuple[int, int]] = set()
    for outputs in search.candidates():
        if outputs[:2] in too_large:
            continue  # it did not fit at a smaller depth either
        inputs = search.inputs_of(outputs)
        if not search.fits(outputs, inputs):
            too_large.add(outputs[:2])
            continue
        cost = search.cost(outputs, inputs)
        if cost > best_cost:
            continue
        if cost == best_cost:
            coverage = search.coverage(inputs)
            if coverage > best_coverage or max(outputs[:2]) > 4:
                continue
            best_coverage = coverage
        else:
            best_coverage = math.inf
        best, best_cost = Block(outputs, inputs, micro, search.kernel_first), cost
    if best is None:
        what = f"no block of {operation.kind} to {operation.output.shape} fits its RAM"
        raise InputError(what, hardware.name, "give it more banks, or smaller micro-blocks")
    return best


class _Search:
    """The terms of the search for one operation."""

    def __init__(self, operation: Operation, hardware: Hardware, micro: Shape) -> None:
        assert hardware.shared_ram is not None
        self.operation, self.ram, self.micro = operation, hardware.shared_ram, micro
        self.output = operation.output.shape
        self.input = max((feature.shape for feature in operation.inputs), key=math.prod)
        self.equal_depth = not operation.is_convolution
        self.kernel_first = operation.is_convolution and kernel_first(operation)
        self.largest = hardware.array.largest_block_outputs
        self.input_step = _input_step(operation.bits, self.input[2], self.kernel_first)

    def candidates(self) -> Iterator[Shape]:
        """Shapes of output blocks, deeper ones last, wider ones after narrower."""
        limits = [
            up(min(size, most), step)
            for size, most, step in zip(self.output, self.largest, self.micro, strict=True)
        ]
        for depth in self._depths(limits[2]):
            for height in range(self.micro[0], limits[0] + 1, self.micro[0]):
                for width in range(self.micro[1], limits[1] + 1, self.micro[1]):
                    yield height, width, depth

    def _depths(self, most: int) -> Iterator[int]:
        step, channels = self.micro[2], self.output[2]
        depth = max(step, min(most, SPLIT_CHANNELS))
        while True:
            if depth < channels:
                depth = up(depth, SPLIT_CHANNELS)
            if depth > most:
                return
            yield depth
            depth += step

    def inputs_of(self, outputs: Shape) -> Shape:
        """The inputs that a block of outputs needs."""
        depth = outputs[2] if self.equal_depth else self.input_step
        return (*input_area(outputs, self.operation.kernel, self.micro), depth)

    def fits(self, outputs: Shape, inputs: Shape) -> bool:
        """Whether inputs, accumulators and tables fit into the banks."""
        ram, operation = self.ram, self.operation
        looks_up = operation.kind == "Table" or "Table" in operation.activations
        tables = max(ceil_div(TABLE_ROOM_BYTES * looks_up, ram.bank_bytes), ram.end_banks)
        granule = _input_granule(ram, operation)
        input_bytes = inputs[0] * inputs[1] * up(inputs[2] * operation.bits // 8, 8)
        input_banks = up(2 * ceil_div(input_bytes, ram.bank_bytes), granule)
        room = ram.banks - tables - ram.output_banks - input_banks
        if operation.is_elementwise:
            scalar = any(feature.is_scalar for feature in operation.inputs)
            return room >= (0 if scalar else input_banks)
        height, width, depth = outputs
        if self.output[0] == 1 and operation.kernel.size[0] == 1 and self.micro[0] == 2:
            height = min(height, 1)
        bits = 40 if operation.wide_accumulator else 32
        sum_bytes = height * width * up(depth, 8) * bits // 8
        granule = (
            ram.accumulator_40_granule_banks if bits == 40 else ram.accumulator_32_granule_banks
        )
        return room >= up(2 * ceil_div(sum_bytes, ram.bank_bytes), granule)

    def cost(self, outputs: Shape, inputs: Shape) -> float:
        """Elements fetched per output element; in single precision, for ties decide."""
        one = np.float32
        height, width, depth = outputs
        if self.output[0] == 1 and self.operation.kernel.size[0] == 1 and self.micro[0] == 2:
            height = min(height, 1)
        total = math.prod(self.output)
        if self.operation.is_elementwise:
            cost = one(total) / one(math.prod(outputs))
        else:
            blocks = [
                one(a) / one(b) for a, b in zip(self.output, (height, width, depth), strict=True)
            ]
            whole = [
                ceil_div(a, b) for a, b in zip(self.output, (height, width, depth), strict=True)
            ]
            weights = one(self._kernel_reads() * self.input[2] * whole[0] * whole[1])
            if not self.operation.is_depthwise:
                weights *= blocks[2] * one(depth)
            fetched = one(inputs[0] * inputs[1] * self.input[2] * sub_kernels(self.operation))
            fetched = fetched * blocks[1] * blocks[0]
            if not self.equal_depth:
                fetched *= one(whole[2])
            cost = (fetched + weights) / one(total)
        if math.prod(self.input) < 2 * math.prod(inputs):
            cost /= one(2)  # both buffers hold all of the input
        return float(cost)

    def _kernel_reads(self) -> int:
        has_weights = self.operation.is_convolution or self.operation.is_depthwise
        return self.operation.kernel.elements if has_weights else 0

    def coverage(self, inputs: Shape) -> float:
        """How many blocks of inputs cover the area."""
        covered = min(self.input[0], inputs[0]) * min(self.input[1], inputs[1])
        return self.input[0] * self.input[1] / max(covered, 1)


def kernel_first(operation: Operation) -> bool:
    """Whether walking the kernel's elements first wastes less of the array."""
    channels, wide = operation.input_channels, operation.bits == 16
    if channels <= INPUT_STEP:
        return True
    elements = operation.kernel.elements
    deep = channels / up(channels, 16 if wide else 32)
    shallow = channels / up(channels, INPUT_STEP) * (elements / up(elements, 2 if wide else 4))
    return shallow >= deep


def input_area(outputs: Shape, kernel: Kernel, micro: Shape) -> tuple[int, int]:
    """(height, width) of the inputs for a block of outputs, sub-kernels of 8 x 8 at most."""
    sizes = []
    for axis in range(2):
        reach = min(kernel.reach[axis], SUB_KERNEL)
        sizes.append(up((outputs[axis] - 1) * kernel.stride[axis] + reach, micro[axis]))
    return sizes[0], sizes[1]


def sub_kernels(operation: Operation) -> int:
    """Pieces of at most 8 x 8 that the kernel is walked in."""
    height, width = operation.kernel.reach
    return ceil_div(height, SUB_KERNEL) * ceil_div(width, SUB_KERNEL)


def _input_step(bits: int, channels: int, first: bool) -> int:
    if bits == 16:
        return up(min(channels, 16), 4)
    return up(min(channels, 16 if first else 32), INPUT_STEP)


def _input_granule(ram: SharedRam, operation: Operation) -> int:
    if operation.is_elementwise:
        wide = operation.bits == 16
        return ram.elementwise_16_granule_banks if wide else ram.elementwise_8_granule_banks
    return ram.input_16_granule_banks if operation.bits == 16 else ram.input_8_granule_banks
