"""What travels between an NPU and its memories, and how long that takes.

A memory hands out bursts: who asks for less wastes the rest, so a vector read 32 bytes at a time
from a memory with bursts of 128 costs four times its bytes.  The Ethos-U85 also bounds each
channel by how many reads it can have under way while the latency lasts.

Source: `EstimateMemoryTransfer`, `MeasureElementAccess`, `ChannelBW` and `MeasureAccessCycles` of
`ethosu/regor/architecture/ethosu{55,85}/*_performance.cpp`, ethos-u-vela 5.2.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyse.npu.blocks import Block, sub_kernels
from tinyse.npu.hardware import Memory, Rams, Target
from tinyse.npu.operations import Feature, Operation, Shape, ceil_div

WORD_BYTES = 16  # of what a channel of the Ethos-U85 can have under way
TABLE_BYTES_PER_CYCLE = 1  # that the NPU's own RAM takes
UTILISATION = 0.8  # the share of what is possible that Vela counts on


@dataclass(frozen=True)
class Traffic:
    """Bytes that one operation moves, bursts included.

    inputs, output : feature maps in SRAM
    constant_inputs : those that lie with the weights
    chained : maps that operations in a chain read from SRAM
    refetches : how often weights and scales are read
    """

    inputs: tuple[int, ...]
    output: int
    constant_inputs: int
    chained: int
    refetches: int


def measure_traffic(operation: Operation, block: Block, target: Target) -> Traffic:
    """What `operation` moves when it is cut into `block`s."""
    memory, cores = target.sram, _writing_cores(target)
    reads = [
        (feature, _moved(feature, elements, block.inputs, memory, True, 1))
        for feature, elements in zip(
            operation.inputs, _reads(operation, block, target), strict=True
        )
    ]
    constant = sum(moved for feature, moved in reads if feature.constant)
    own = tuple(moved for feature, moved in reads if not feature.constant)
    output = _moved(operation.output, operation.output.stored, block.outputs, memory, False, cores)
    chained = sum(
        _moved(feature, feature.stored, block.inputs, memory, True, 1)
        for feature in operation.extra_inputs
    )
    return Traffic(own, output, constant, chained, _refetches(operation, block))


def _writing_cores(target: Target) -> int:
    return 1 if target.hardware.is_u85 else target.hardware.array.cores


def _reads(operation: Operation, block: Block, target: Target) -> list[int]:
    """Elements that are read of each input."""
    if operation.is_elementwise:
        if target.hardware.is_u85:
            return [0 if f.is_scalar else f.stored for f in operation.inputs]
        return _elementwise_reads(operation)
    source = operation.inputs[0]
    height, width = (min(a, b) for a, b in zip(source.shape[:2], block.inputs[:2], strict=True))
    channels = source.stored // (source.shape[0] * source.shape[1])
    return [height * width * channels * sub_kernels(operation) * _output_blocks(operation, block)]


def _elementwise_reads(operation: Operation) -> list[int]:
    """The Ethos-U55 reads as much as it writes; an 8-bit scalar travels in the command."""
    size = math.prod(operation.output.shape[:2])
    found = []
    for feature in operation.inputs:
        if feature.is_scalar:
            found.append(feature.stored if feature.bits > 8 else 0)
        else:
            channels = Feature(operation.output.shape, 8, feature.brick).stored // size
            found.append(size * channels)
    return found


def _output_blocks(operation: Operation, block: Block) -> int:
    """Blocks of outputs that each read the inputs once more."""
    counts = [
        ceil_div(size, min(size, step))
        for size, step in zip(operation.output.shape, block.outputs, strict=True)
    ]
    deep = operation.is_convolution
    return counts[0] * counts[1] * (counts[2] if deep else 1)


def _refetches(operation: Operation, block: Block) -> int:
    height, width, _ = operation.output.shape
    return ceil_div(height, min(height, block.outputs[0])) * ceil_div(
        width, min(width, block.outputs[1])
    )


def burst_bytes(feature: Feature, block: Shape, memory: Memory, read: bool, cores: int) -> int:
    """Bytes that follow one another in memory when a block of a map is read or written."""
    bits = feature.bits
    _, width, channels = block
    if feature.brick:
        if feature.shape[1] * bits * 16 // 8 == channels:
            run = bits * width * channels
        else:
            run = 16 * bits * width * (1 if read else cores)
    elif feature.shape[2] * bits // 8 == channels and (read or channels <= 16):
        run = bits * width * channels
    elif read:
        run = bits * channels
    else:
        run = min(64 * 8, 16 * bits * cores, channels * bits)
    return min(memory.burst_bytes, run // 8)


def _moved(
    feature: Feature, elements: int, block: Shape, memory: Memory, read: bool, cores: int
) -> int:
    raw = elements * feature.bits // 8
    burst = burst_bytes(feature, block, memory, read, cores)
    return raw * memory.burst_bytes // burst


def block_cycles(feature: Feature, block: Shape, memory: Memory, read: bool, cores: int) -> int:
    """Cycles until a block of a map is there: latency and transfer."""
    elements = math.prod(min(a, b) for a, b in zip(feature.shape, block, strict=True))
    moved = _moved(feature, elements, block, memory, read, cores)
    latency = memory.read_latency_cycles if read else memory.write_latency_cycles
    return latency + int(moved / memory.bytes_per_cycle)


def copy_cycles(size: int, target: Target) -> int:
    """Cycles to copy `size` bytes from where weights lie into SRAM."""
    source, sink = target.weights, target.sram
    read_rate = channel_rate(target, source, "copy")
    write_rate = channel_rate(target, sink, "write")
    read = int(size / read_rate) + source.read_latency_cycles
    return max(read, int(size / write_rate) + sink.write_latency_cycles)


def table_cycles(size: int, target: Target) -> int:
    """Cycles to load a lookup table of `size` bytes into the NPU."""
    source = target.weights
    rate = channel_rate(target, source, "copy")
    return max(int(size / rate) + source.read_latency_cycles, size // TABLE_BYTES_PER_CYCLE)


def channel_rate(target: Target, memory: Memory, channel: str) -> float:
    """Bytes per cycle that one channel gets of a memory."""
    rams = target.hardware.rams
    if rams is None:
        return memory.bytes_per_cycle
    if channel == "write":
        latency, under_way = memory.write_latency_cycles, memory.writes_under_way
        words = math.inf
    else:
        latency, under_way = memory.read_latency_cycles, memory.reads_under_way
        words = _words(rams)[channel] / max(memory.burst_bytes // WORD_BYTES, 1)
    bursts = min(words, under_way * memory.ports * UTILISATION)
    if not latency:
        return memory.bytes_per_cycle
    return min(memory.bytes_per_cycle, memory.burst_bytes * bursts / latency * UTILISATION)


def _words(rams: Rams) -> dict[str, int]:
    return {
        "copy": rams.copy_read_words,
        "stream": rams.input_stream_read_words,
        "weight": rams.weight_read_words,
        "fast_weight": rams.fast_weight_read_words,
        "input": rams.input_read_words,
        "scale": rams.scale_read_words,
    }
