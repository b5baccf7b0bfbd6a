"""How the Ethos-U85 cuts an operation into blocks, with a RAM for inputs and one for sums.

Convolutions and copies: of all blocks that fit twice (else once), the one that fetches least; for
a matrix-vector product the largest.  Pooling and depthwise: the block whose shape follows the
output's and wastes least.  Elementwise: what fits the output buffer.

Source: `FindBlockConfig`, `AreaFit`, `FindDepthwiseConfig` and `FindElementwiseConfig` of
`ethosu/regor/architecture/ethosu85/ethos_u85.cpp`, ethos-u-vela 5.2.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinyse.errors import InputError
from tinyse.npu.blocks import SPLIT_CHANNELS, SUB_KERNEL, Block, sub_kernels
from tinyse.npu.hardware import Hardware, Rams
from tinyse.npu.operations import Operation, Shape, ceil_div, up

SUM_CHANNELS = 16  # sums lie in groups of so many channels
UNIT_BITS = 128  # of the depth that the input RAM is handed out in
RETRIES = 25


def choose_block_u85(operation: Operation, hardware: Hardware, two_of_four: bool = False) -> Block:
    """The block of an Ethos-U85 for `operation`; `two_of_four` for weights in that format."""
    assert hardware.rams is not None
    first = operation.is_convolution and kernel_first_u85(operation, two_of_four)
    micro = _micro_block(operation, hardware, first)
    if operation.is_elementwise:
        outputs = _elementwise_block(operation, hardware.rams, hardware, micro)
        return Block(outputs, outputs, micro)
    if operation.is_depthwise or (operation.is_pooling and operation.kind != "MemoryCopy"):
        outputs, inputs = _area_block(operation, hardware.rams, hardware, micro)
        return Block(outputs, inputs, micro)
    depth = _input_depth(operation, hardware, micro, first, two_of_four)
    return _searched(operation, hardware, micro, first, depth)


def kernel_first_u85(operation: Operation, two_of_four: bool) -> bool:
    """Whether walking the kernel's elements first wastes less of the array."""
    elements, channels = operation.kernel.elements, operation.input_channels
    step, least = (10, 4) if two_of_four else (5, 2)
    padded = elements // step * step + max(elements % step, least)
    first = channels / up(channels, 16) * (elements / padded)
    return first >= channels / up(channels, 128 if two_of_four else 64)


def _micro_block(operation: Operation, hardware: Hardware, first: bool) -> Shape:
    """Of the micro-blocks that the operation can use, the one that pads the output least."""
    macs, wide = hardware.array.macs_per_cycle, operation.bits == 16
    one = operation.kernel.size == (1, 1) and not first
    choices: list[tuple[int, int, Shape]] = []
    for micro in hardware.array.micro_blocks_outputs:
        # The smaller two have a flat micro-block for what sees one input channel an output.
        flat = macs <= 256 and micro[2] == 16
        if operation.is_convolution:
            allowed = (wide and one) if flat else True
        elif operation.is_elementwise:
            allowed = True
        else:
            allowed = flat != wide if macs <= 256 else True
        if allowed:
            padded = math.prod(up(a, b) for a, b in zip(operation.output.shape, micro, strict=True))
            choices.append((padded, len(choices), micro))
    if not choices:
        what = f"no micro-block serves {operation.kind} to {operation.output.shape}"
        raise InputError(what, hardware.name, "list one that does in `array.micro_blocks_outputs`")
    return min(choices)[2]


def _input_depth(
    operation: Operation, hardware: Hardware, micro: Shape, first: bool, two_of_four: bool
) -> int:
    """Input channels of a block of a convolution."""
    if first:
        return 16
    if hardware.array.macs_per_cycle <= 256 and micro[2] == 16 and not two_of_four:
        return 32
    return 128 if two_of_four and operation.bits == 8 else 64


def _unit(depth: int, bits: int, micro: Shape, macs: int) -> Shape:
    """What the input RAM is handed out in: deeper where blocks are deeper."""
    level = 2 if depth * bits > 256 else 1 if depth * bits > 128 else 0
    height, width = micro[:2]
    if macs == 128:
        shape = ((1, 2, 1), (1, 1, 2), (1, 1, 2))[level]
    elif (height, width) == (1, 4):
        shape = ((1, 4, 1), (1, 2, 2), (1, 1, 4))[level]
    else:
        shape = ((2, 2, 1), (1, 2, 2), (1, 1, 4))[level]
    return shape[0], shape[1], shape[2] * UNIT_BITS // bits


def _inputs_of(outputs: Shape, operation: Operation, unit: Shape, depth: int) -> Shape:
    sizes = []
    for axis in range(2):
        reach = min(operation.kernel.reach[axis], SUB_KERNEL)
        stride = operation.kernel.stride[axis]
        sizes.append(up((outputs[axis] - 1) * stride + reach, unit[axis]))
    return sizes[0], sizes[1], up(depth, unit[2])


def _sum_bits(operation: Operation) -> int:
    return 64 if operation.wide_accumulator else 32


def _searched(
    operation: Operation, hardware: Hardware, micro: Shape, first: bool, depth: int
) -> Block:
    """The block of a convolution or copy."""
    assert hardware.rams is not None
    for copies in (2, 1):
        best: tuple[float, Shape, Shape] | None = None
        coverage = math.inf
        for outputs, inputs in _candidates(operation, hardware, micro, depth, copies):
            cost = _cost(operation, outputs, inputs)
            if best is not None and cost > best[0]:
                continue
            if best is not None and cost == best[0]:
                covered = _coverage(operation, inputs)
                if covered > coverage or max(outputs[:2]) > 4:
                    continue
                coverage = covered
            else:
                coverage = math.inf
            best = cost, outputs, inputs
        if best is not None:
            return Block(best[1], best[2], micro, first)
    raise _does_not_fit(operation, hardware)


def _does_not_fit(operation: Operation, hardware: Hardware) -> InputError:
    what = f"no block of {operation.kind} to {operation.output.shape} fits its RAMs"
    return InputError(what, hardware.name, "make them larger, or the micro-blocks smaller")


def _candidates(
    operation: Operation, hardware: Hardware, micro: Shape, depth: int, copies: int
) -> Iterator[tuple[Shape, Shape]]:
    """(outputs, inputs) of blocks that fit `copies` times."""
    rams, macs = hardware.rams, hardware.array.macs_per_cycle
    assert rams is not None
    step = (micro[0], micro[1], max(micro[2], SUM_CHANNELS))
    most = [
        up(max(min(size, limit), least), unit)
        for size, limit, least, unit in zip(
            operation.output.shape, hardware.array.largest_block_outputs, step, micro, strict=True
        )
    ]
    equal_depth = not operation.is_convolution
    channels = operation.output.shape[2]
    deep = max(micro[2], min(most[2], SPLIT_CHANNELS))
    deep = up(deep, SPLIT_CHANNELS) if deep < channels else deep
    too_large: set[tuple[int, int]] = set()
    unit_before = None
    while deep <= most[2]:
        input_depth = deep if equal_depth else depth
        unit = _unit(input_depth, operation.bits, micro, macs)
        if unit != unit_before:
            too_large.clear()
            unit_before = unit
        for height in range(step[0], most[0] + 1, step[0]):
            for width in range(step[1], most[1] + 1, step[1]):
                if (height, width) in too_large:
                    continue
                outputs = (height, width, deep)
                area = _inputs_of(outputs, operation, unit, input_depth)
                held = deep if equal_depth else min(area[2], _input(operation)[2])
                size = area[0] * area[1] * up(held, unit[2]) * (operation.bits // 8)
                sums = height * width * up(deep, SUM_CHANNELS) * _sum_bits(operation) // 8
                if size * copies > rams.input_bytes or sums * copies > rams.accumulator_bytes:
                    too_large.add((height, width))
                    continue
                yield outputs, (area[0], area[1], input_depth)
        deep += micro[2]
        deep = up(deep, SPLIT_CHANNELS) if deep < channels else deep


def _input(operation: Operation) -> Shape:
    return max((feature.shape for feature in operation.inputs), key=math.prod)


def _cost(operation: Operation, outputs: Shape, inputs: Shape) -> float:
    """Elements fetched per output element; in single precision, for ties decide."""
    one = np.float32
    total, source = math.prod(operation.output.shape), _input(operation)
    one_output = operation.output.shape[:2] == (1, 1)
    if operation.is_convolution and operation.kernel.reach == source[:2] and one_output:
        cost = one(total) / one(math.prod(outputs))
    else:
        parts = [one(a) / one(b) for a, b in zip(operation.output.shape, outputs, strict=True)]
        whole = [np.ceil(part) for part in parts]
        reads = operation.kernel.elements if operation.is_convolution else 0
        weights = one(reads * source[2]) * (whole[0] * whole[1]) * parts[2] * one(outputs[2])
        area = parts[0] * parts[1]
        fetched = one(inputs[0] * inputs[1] * source[2] * sub_kernels(operation)) * area
        if operation.is_convolution:
            fetched *= whole[2]
        cost = (fetched + weights) / one(total)
    if math.prod(source) < 2 * math.prod(inputs):
        cost /= one(2)
    return float(cost)


def _coverage(operation: Operation, inputs: Shape) -> float:
    source = _input(operation)
    return source[0] * source[1] / max(min(source[0], inputs[0]) * min(source[1], inputs[1]), 1)


def _area_block(
    operation: Operation, rams: Rams, hardware: Hardware, micro: Shape
) -> tuple[Shape, Shape]:
    """(outputs, inputs) of a block of a pooling or depthwise convolution."""
    granule = (micro[0], micro[1], SUM_CHANNELS)
    output = _rounded(operation.output.shape, granule)
    most = _limited(output, hardware)
    macs = hardware.array.macs_per_cycle
    best = _AreaFit(operation, rams, macs, micro, granule, output, most).best()
    if best is None:
        raise _does_not_fit(operation, hardware)
    height, width, depth = best
    room = rams.input_bytes * 8 // operation.bits
    forced = 0
    while True:
        unit = _unit(depth, operation.bits, micro, macs)
        inputs = _inputs_of((height, width, depth), operation, unit, depth)
        partial = width < output[1] or height < output[0] or depth < output[2]
        row = _inputs_of((granule[0], width, depth), operation, unit, depth)
        if not partial or room - math.prod(inputs) >= math.prod(row):
            return (height, width, depth), inputs
        # Several blocks run, and a further row of inputs should be on its way: make room.
        if (height != output[0] or forced & 2) and height > granule[0]:
            height -= granule[0]
        elif (depth > width or forced & 1) and depth > granule[2]:
            depth -= granule[2]
        elif (width != output[1] or forced & 4) and width > granule[1]:
            width -= granule[1]
        elif forced != 7:
            forced = forced << 1 | 1
        elif depth > granule[2]:
            depth = max(depth // 2, granule[2])
        else:
            return (height, width, depth), inputs


def _rounded(shape: Shape, granule: Shape) -> Shape:
    return up(shape[0], granule[0]), up(shape[1], granule[1]), up(shape[2], granule[2])


def _limited(shape: Shape, hardware: Hardware) -> Shape:
    most = hardware.array.largest_block_outputs
    return min(shape[0], most[0]), min(shape[1], most[1]), min(shape[2], most[2])


class _AreaFit:
    """The block whose shape follows the output's, of all depths the one that wastes least."""

    def __init__(
        self, operation: Operation, rams: Rams, macs: int, micro: Shape, granule: Shape,
        output: Shape, most: Shape,
    ) -> None:  # fmt: skip
        self.operation, self.macs, self.micro, self.granule = operation, macs, micro, granule
        self.output, self.most = output, most
        self.sums = rams.accumulator_bytes * 8 // _sum_bits(operation)
        self.room = rams.input_bytes * 8 // operation.bits
        self.step = micro[0] * micro[1] * SUM_CHANNELS
        self.flat = operation.kernel.reach == (1, 1)

    def best(self) -> Shape | None:
        """The chosen block; None where not even a micro-block's inputs fit."""
        deepest = min(max(self.macs, self.sums // self.step), self.most[2])
        found, least = None, math.inf
        for depth in range(SUM_CHANNELS, deepest + 1, SUM_CHANNELS):
            area = self._area(depth)
            if area is None:
                break
            metric = self._metric(*area, depth)
            if metric < least:
                found, least = (*area, depth), metric
                if all(a >= b for a, b in zip(found, self.output, strict=True)):
                    return self.output
        return found

    def _metric(self, height: int, width: int, depth: int) -> float:
        unit = _unit(depth, self.operation.bits, self.micro, self.macs)[2]
        waste = 1 + (unit - (depth % unit or unit)) / unit / 10
        fit = 1 + abs(1 - self.most[2] / depth) / 10
        area = self.output[1] * (self.output[2] if self.flat else self.output[0])
        coverage = 1 + abs(1 - area / (width * (depth if self.flat else height)))
        return coverage * fit * waste

    def _area(self, depth: int) -> tuple[int, int] | None:
        """(height, width) of the largest area that fits at `depth`."""
        unit = _unit(depth, self.operation.bits, self.micro, self.macs)
        volume = math.prod(_rounded(self.operation.inputs[0].shape, unit))
        sums, before, retries = self.sums, -1, RETRIES
        while True:
            height, width = self._by_aspect(sums // depth)
            required = height * width * depth
            sum_ratio = self.sums / required
            inputs = math.prod(_inputs_of((height, width, depth), self.operation, unit, depth))
            input_ratio = self.room / min(inputs, volume)
            if sum_ratio >= 1 and input_ratio >= 1:
                return height, width
            if required == before:
                retries -= 1
                if retries <= 0:
                    input_ratio = 0.9
            before = required
            if input_ratio < 1 < sum_ratio:
                sums = min(sums, required)
            scaled = max(int(sums // self.step * min(input_ratio, sum_ratio)), 0) * self.step
            if scaled == sums:
                scaled = sums - self.step
            if scaled < self.step:
                return None
            sums = scaled

    def _by_aspect(self, elements: int) -> tuple[int, int]:
        aspect = self.output[0] / self.output[1]
        width = math.sqrt(elements / aspect)
        height = width * aspect
        if height < 1:
            width, height = width * height, 1.0
        elif width < 1:
            width, height = 1.0, height * width
        step_y, step_x = self.granule[:2]
        columns = min(max(int(width), step_x) // step_x * step_x, self.most[1])
        rows = min(max(int(height), step_y) // step_y * step_y, self.most[0])
        area = columns * rows
        if columns < self.output[1]:
            columns = _best_tile(self.output[1], step_x, columns)
        return max(area // columns // step_y * step_y, step_y), columns


def _best_tile(size: int, granule: int, tile: int) -> int:
    """A tile at most as wide as `tile` that leaves the fullest last one."""
    if size % tile == 0:
        return tile
    even = max(up(size // (size // tile + 1), granule), granule)
    first = max(even - granule * 2, (even + 1) // 2, granule)
    best, fullest = tile, size % tile
    for candidate in range(tile, first - 1, -granule):
        left = size % candidate or candidate
        if left > fullest:
            best, fullest = candidate, left
    return best


def _elementwise_block(operation: Operation, rams: Rams, hardware: Hardware, micro: Shape) -> Shape:
    """What fits the output buffer: whole rows first, then as deep as there is room for."""
    granule = (micro[0], micro[1], SUM_CHANNELS)
    output = _rounded(operation.output.shape, granule)
    most = _limited(output, hardware)
    units = rams.output_bytes * 8 // operation.bits // granule[2]
    if units < granule[1]:
        raise _does_not_fit(operation, hardware)
    height = _even_tile(output[0], granule[0], most[0])
    needed = _even_tile(output[1], granule[1], min(units, most[1]) // granule[1] * granule[1])
    width, depth = units, granule[2]
    excess = min(width // max(needed, granule[1]), most[2] // depth)
    if excess >= 2:
        width, depth = width // excess, depth * excess
    return _rounded((height, width, depth), granule)


def _even_tile(size: int, granule: int, tile: int) -> int:
    if size % tile == 0:
        return tile
    return max(up(size // (ceil_div(size, tile)), granule), granule)
