"""Cycles that an operation takes inside the NPU, memories aside.

For each block the array multiplies (`mac`) while the output stage scales the block before (`out`),
and both are started by commands (`command`).  The longest of them binds:

    mac      the weight path delivers 8 weights a cycle to each core (16 on an Ethos-U85 with one),
             the array a micro-block of outputs in 4 cycles: max(weight path, array)
    out      cycles per output element, or the bias and scale records of the block
    command  (|output - input transfer| + mac + out) / 4

A matrix-vector product [n, k] on an Ethos-U55 with 64 MACs or more takes up(n, 8) * up(k, 32) / 8
cycles: the weight path binds, and 64, 128 and 256 MACs are the same.

Source: `EstimateMacOpCycles` and `EstimateElementwiseCycles` of ethos-u-vela 5.2.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyse.npu.blocks import SUB_KERNEL, Block
from tinyse.npu.hardware import Hardware, Output, Target
from tinyse.npu.operations import ACTIVATIONS, SCALE_RECORD_BYTES, Operation, Shape, ceil_div
from tinyse.npu.traffic import block_cycles

WEIGHTS_PER_CYCLE = 8
BRICK_WEIGHTS = 32  # of a row of outputs that the weight path delivers at a time
RECORDS_AT_A_TIME = 256  # bytes of scale records that one latency pays for
COMMANDS = 4  # blocks under way at a time
FEED = 8  # input channels that a row of the array takes at a time


@dataclass(frozen=True)
class Cycles:
    """Cycles of one operation in the NPU.

    npu : the whole
    array : that multiplying would take if weights were there at once
    weight_path : that the weights take to arrive at the array
    output : of the output stage
    ends : until the first inputs are there, and the last outputs gone
    """

    npu: int
    array: int
    weight_path: int
    output: int
    ends: int

    @property
    def busy(self) -> int:
        """What counters show of weights: the longest part, with no time for commands."""
        return max(self.array, self.weight_path, self.output) + self.ends

    @property
    def binds(self) -> str:
        """Which of the three is the longest."""
        return max(("weight_path", "array", "output"), key=lambda name: getattr(self, name))


@dataclass(frozen=True)
class Pace:
    """What makes the array faster than for dense weights.

    two_of_four : half of the inputs are known to meet zeros (Ethos-U85)
    weight_path : how many times faster weights arrive than the estimator assumes
    live_share : share of the tiles that are worked on at all
    """

    two_of_four: bool = False
    weight_path: float = 1.0
    live_share: float = 1.0


@dataclass(frozen=True)
class Part:
    """Which part of an operation is meant where its weights come in slices.

    is_first, is_last : loading the first inputs and writing the last outputs shows
    weights_in_sram : weights and scale records were copied there before
    """

    is_first: bool = True
    is_last: bool = True
    weights_in_sram: bool = False


DENSE, WHOLE = Pace(), Part()


def count_cycles(
    operation: Operation,
    block: Block,
    target: Target,
    pace: Pace = DENSE,
    part: Part = WHOLE,
) -> Cycles:
    """Cycles of `operation`, or of a part of it, in `block`s on `target`."""
    if operation.is_elementwise:
        return _elementwise(operation, block, target)
    array = _Array(operation, block, target.hardware, pace)
    mac = array.cycles()
    scaling = math.ceil(_per_element(operation, target.hardware) * math.prod(array.outputs))
    out = float(scaling)
    if operation.weights is not None:
        source = target.sram if part.weights_in_sram else target.weights
        records = SCALE_RECORD_BYTES * array.outputs[2]
        out = max(out, records * source.read_latency_cycles / RECORDS_AT_A_TIME)
    read, write = _transfers(operation, block, target)
    waiting = abs(write - read) if array.blocks > 1 else 0
    command = (waiting + mac + out) / COMMANDS
    paced_mac, paced_out = max(mac, command), max(out, command)
    if paced_mac > paced_out:
        total = int(paced_mac * array.blocks)
        total = int(total + paced_out) if part.is_last else total
    else:
        total = int(paced_out * array.blocks + paced_mac)
    total += (read if part.is_first else 0) + (write if part.is_last else 0)
    busy, waiting = array.cycles(weights_at_once=True), array.cycles(weights_alone=True)
    busy, waiting, scaling = (int(n * array.blocks) for n in (busy, waiting, scaling))
    return Cycles(total, busy, waiting, scaling, ends=read + write)


def _transfers(operation: Operation, block: Block, target: Target) -> tuple[int, int]:
    """Cycles until the first block of inputs is there, and the last block of outputs gone."""
    cores = 1 if target.hardware.is_u85 else target.hardware.array.cores
    read = max(
        block_cycles(
            feature, block.inputs, target.weights if feature.constant else target.sram, True, 1
        )
        for feature in operation.inputs
    )
    return read, block_cycles(operation.output, block.outputs, target.sram, False, cores)


class _Array:
    """The multiply-accumulate array on one block of an operation.

    outputs : of a block, where the map is smaller than the block its own size
    blocks : how many there are; a fraction where the last one is smaller
    """

    def __init__(self, operation: Operation, block: Block, hardware: Hardware, pace: Pace) -> None:
        self.operation, self.block, self.hardware, self.pace = operation, block, hardware, pace
        shape = operation.output.shape
        height, width, channels = (min(a, b) for a, b in zip(shape, block.outputs, strict=True))
        self.outputs: Shape = height, width, channels
        micro = self._micro_block()
        self.micro_blocks = [ceil_div(a, b) for a, b in zip(self.outputs, micro, strict=True)]
        in_all = math.prod(ceil_div(a, b) for a, b in zip(shape, micro, strict=True))
        self.blocks = in_all / math.prod(self.micro_blocks)
        self.area = self.micro_blocks[0] * self.micro_blocks[1]
        self.deep = self.micro_blocks[2]
        self.channels = min(operation.input_channels, block.inputs[2])
        self.feeds = ceil_div(self.channels, FEED)
        # The Ethos-U55 counts its cores at the end, the Ethos-U85 in its weight path.
        decoders = hardware.array.cores if hardware.is_u85 else 1
        path = BRICK_WEIGHTS * micro[2] // (WEIGHTS_PER_CYCLE * decoders)
        self.weight_path = max(1, round(path / pace.weight_path))

    def _micro_block(self) -> Shape:
        """A micro-block two high lies down to four wide where the output is one high."""
        height, width, _ = self.operation.output.shape
        flat = height == 1 and width % 2 == 0 and self.operation.kernel.size[0] == 1
        two_high = not self.hardware.is_u85 and self.block.micro[0] == 2
        if two_high and flat and self.operation.is_convolution:
            return 1, 4, self.block.micro[2]
        return self.block.micro

    def cycles(self, weights_at_once: bool = False, weights_alone: bool = False) -> int:
        """Cycles for a block; of the array without waiting for weights, or of the weights alone."""
        total = 0
        for elements in self._sub_kernels():
            steps, repeats, work = self._work(elements)
            path = 0 if weights_at_once or self.operation.is_pooling else self.weight_path
            cycles = max(path, 0 if weights_alone else work) * repeats
            cycles = cycles // 2 if self.pace.two_of_four else cycles
            total += cycles + (0 if weights_alone else self._delay(steps))
        if self.operation.is_convolution:
            total *= ceil_div(self.operation.input_channels, self.channels)
        shared = 1 if self.hardware.is_u85 else self.hardware.array.cores
        return int(total // shared * self.pace.live_share)

    def _sub_kernels(self) -> list[int]:
        """Elements of each part of the kernel."""
        height, width = self.operation.kernel.size
        return [
            min(height - y, SUB_KERNEL) * min(width - x, SUB_KERNEL)
            for x in range(0, width, SUB_KERNEL)
            for y in range(0, height, SUB_KERNEL)
        ]

    def _work(self, elements: int) -> tuple[int, int, int]:
        """(steps, repetitions, cycles of the array for each) of one part of the kernel."""
        operation, bits = self.operation, self.operation.bits
        if operation.is_pooling:
            # The smallest Ethos-U55 pools one element at a time, whatever its bits.
            width = 1 if self._is_smallest else bits // 2
            return 1, math.prod(self.micro_blocks), max(4, elements) * width
        if operation.is_depthwise:
            steps = ceil_div(elements, 4)
            return steps, steps * self.deep, 4 * self.area * (bits // 8)
        if self.block.kernel_first:
            steps = ceil_div(elements, 2 if bits == 16 else 4)
            return steps, steps * self.deep * self.feeds, 4 * self.area
        if self.hardware.is_u85:
            work = self.channels // FEED * self.area
            return elements, elements * self.deep * (bits // 8), work
        return elements, elements * self.deep, 4 * self.area

    def _delay(self, steps: int) -> int:
        """Cycles of waiting for sums, where a block is a single micro-block wide."""
        wide = self.operation.wide_accumulator
        if self._is_smallest:
            delay = 7 if wide else 3
        else:
            delay = 3 if wide and self.hardware.array.macs_per_cycle <= 128 else 2
        found = 0
        if self.area == 1:
            found = delay * steps if self.deep == 1 else delay * (steps - 1) * self.deep
        if self._is_smallest and wide and self.deep > 1 and 1 in self.micro_blocks[:2]:
            found += delay * self.deep
        shallow = self.operation.is_convolution and self.block.kernel_first
        return found * self.feeds if shallow else found

    @property
    def _is_smallest(self) -> bool:
        return not self.hardware.is_u85 and self.hardware.array.macs_per_cycle == 32


def _elementwise(operation: Operation, block: Block, target: Target) -> Cycles:
    elements = operation.output.stored
    each = _per_element(operation, target.hardware)
    out = math.ceil(each * elements)
    transfer = max(_transfers(operation, block, target))
    command = math.ceil((transfer / math.prod(block.outputs) + each) / COMMANDS * elements)
    return Cycles(max(out, command), 0, 0, out, transfer)


def _per_element(operation: Operation, hardware: Hardware) -> float:
    """Cycles of the output stage per element, with what is fused and chained."""
    if not hardware.is_u85:
        return _per_element_u55(operation, hardware.output)
    return sum(_link_u85(link, hardware.output) for link in (operation, *operation.chained))


def _link_u85(link: Operation, output: Output) -> float:
    is_activation = link.kind in ACTIVATIONS
    costs = [] if is_activation else [_output_u85(output, link.output.bits)]
    if is_activation or link.activations:
        costs.append(output.activation_cycles_per_element or 0.0)
    return max(costs)


def _output_u85(output: Output, bits: int) -> float:
    wide = output.output_16_cycles_per_element if bits == 16 else None
    return (output.output_8_cycles_per_element if wide is None else wide) or 0.0


def _per_element_u55(operation: Operation, output: Output) -> float:
    if operation.kind == "Mul":
        own = output.multiply_cycles_per_element
    elif operation.wide_accumulator:
        own = output.accumulator_40_cycles_per_element
    elif operation.kind in ("Add", "Sub"):
        own = output.add_cycles_per_element
    elif operation.kind == "MaxPool":
        own = output.max_pool_cycles_per_element
    else:
        own = output.other_cycles_per_element
    fused: float | None = 0.0
    if operation.activations:
        is_relu = operation.activations[0] == "Relu"
        fused = output.relu_cycles_per_element if is_relu else output.table_cycles_per_element
    return max(own or 0.0, fused or 0.0)
