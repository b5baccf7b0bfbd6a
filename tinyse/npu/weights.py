"""The weights of an operation as the NPU stores them: stream, format, scale records.

The stream follows the block that the operation is cut into.  The Ethos-U85 tries up to four
formats and takes the one whose decoding and computing together take fewest cycles: the standard
stream or plain bytes ("fast"), each dense or 2 of 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tinyse.npu.blocks import Block, choose_block
from tinyse.npu.blocks_u85 import choose_block_u85
from tinyse.npu.cycles import Pace, count_cycles
from tinyse.npu.hardware import Decoder, Hardware, Target
from tinyse.npu.operations import SCALE_RECORD_BYTES, Operation, ceil_div, up
from tinyse.npu.traffic import channel_rate
from tinyse.weight_encoder import Encoded, Order, encode, encode_fast, two_of_four

ALIGNMENT_BYTES = 16
FAST_WEIGHTS_PER_CYCLE = 32
FAST_WEIGHTS_PER_CYCLE_OF_FEW = 64  # with fewer than 16 different values
FEW_VALUES = 16


@dataclass(frozen=True)
class Stored:
    """The weights of one operation in memory.

    stream : its length and what is in it
    scale_bytes : bias and scale records
    is_fast, is_two_of_four : the format, Ethos-U85
    """

    stream: Encoded
    scale_bytes: int
    is_fast: bool = False
    is_two_of_four: bool = False

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.stream.bytes + self.scale_bytes

    def scaled(self, factor: float) -> Stored:
        """The same with a stream `factor` times as long."""
        return replace(self, stream=replace(self.stream, bytes=int(self.stream.bytes * factor)))


def place(operation: Operation, target: Target) -> tuple[Block, Stored | None]:
    """The block of `operation`, and how its weights are stored; None where it has none."""
    if target.hardware.is_u85 and operation.weights is not None:
        return _best_format(operation, target)
    block = chosen_block(operation, target.hardware)
    return block, None if operation.weights is None else _stored(operation, block, target)


def chosen_block(operation: Operation, hardware: Hardware, two_of_four: bool = False) -> Block:
    """The block of `operation`, which its shapes and the hardware decide."""
    return _chosen_block(operation.outline, hardware, two_of_four)


@lru_cache(maxsize=1024)
def _chosen_block(outline: Operation, hardware: Hardware, two_of_four: bool) -> Block:
    if hardware.is_u85:
        return choose_block_u85(outline, hardware, two_of_four)
    return choose_block(outline, hardware)


def _stored(operation: Operation, block: Block, target: Target) -> Stored:
    assert operation.weights is not None
    order = stream_order(operation, block, target)
    return Stored(encode(operation.weights, order), scale_bytes(operation, target, block))


def stored_slices(
    operation: Operation, block: Block, whole: Stored, cuts: list[int], target: Target
) -> list[Stored]:
    """The weights in slices of output channels, each a stream of its own.

    cuts : where slices begin and end, 0 first
    """
    assert operation.weights is not None
    order = stream_order(operation, block, target, whole.is_two_of_four)
    slices = []
    for begin, end in pairwise(cuts):
        rows = operation.weights[begin:end]
        if whole.is_fast:
            stream = encode_fast(rows, order, raw=whole.is_two_of_four)
        else:
            stream = encode(rows, order)
        records = scale_bytes(operation, target, block, end - begin)
        slices.append(replace(whole, stream=stream, scale_bytes=records))
    return slices


def stream_order(operation: Operation, block: Block, target: Target, sparse: bool = False) -> Order:
    """The order of the stream for an operation in `block`s; `sparse` for 2 of 4."""
    if target.hardware.is_u85:
        return _order_u85(operation, block, target, sparse)
    wide, cores = operation.bits == 16, target.hardware.array.cores
    rows, depth = block.micro[2], block.outputs[2]
    if operation.is_depthwise:
        return Order(depth, rows, 1, 1, 4, feed=1, decoders=cores, interleaved=True)
    if block.kernel_first:
        elements = 2 if wide else 4
        return Order(depth, rows, 16, 8, elements, decoders=cores, interleaved=True)
    columns = 16 if wide else 32
    return Order(depth, rows, columns, columns, decoders=cores, interleaved=True)


def _order_u85(operation: Operation, block: Block, target: Target, sparse: bool) -> Order:
    array, wide = target.hardware.array, operation.bits == 16
    columns, feed = block.inputs[2], 16 if sparse else 8
    more: dict[str, Any] = {"decoders": array.cores, "serpentine": True}
    if operation.is_depthwise:
        macs = array.macs_per_cycle
        extra = 0 if not wide and macs <= 256 else 2
        return Order(block.outputs[2], block.micro[2], 1, 1, 10, extra, feed=1,
                     stride=operation.kernel.stride, **more)  # fmt: skip
    if block.kernel_first:
        chunk = 8 if wide and not sparse else columns
        return Order(block.outputs[2], block.micro[2], columns, chunk, 10 if wide or sparse else 5,
                     feed=feed, stride=operation.kernel.stride, **more)  # fmt: skip
    return Order(block.outputs[2], block.micro[2], columns, columns, feed=feed, **more)


def scale_bytes(
    operation: Operation, target: Target, block: Block, outputs: int | None = None
) -> int:
    """Bytes of the bias and scale records, of all outputs or of a slice of them."""
    outputs = operation.output.shape[2] if outputs is None else outputs
    if target.hardware.is_u85:
        padded = up(outputs, up(block.micro[2], 16))
        return up(SCALE_RECORD_BYTES * padded, ALIGNMENT_BYTES)
    cores = target.hardware.array.cores
    shares = [ceil_div(outputs - core, cores) for core in range(cores) if core < outputs]
    return sum(up(SCALE_RECORD_BYTES * share, ALIGNMENT_BYTES) for share in shares)


def decode_rate(stored: Stored, decoder: Decoder) -> float:
    """Weights that one core decodes in a cycle: more, the more zeros were left out."""
    if stored.is_fast:
        few = stored.stream.distinct < FEW_VALUES
        return FAST_WEIGHTS_PER_CYCLE_OF_FEW if few else FAST_WEIGHTS_PER_CYCLE
    least, most = decoder.least_zeros_share, decoder.most_zeros_share
    zeros = min(max(stored.stream.zeros / stored.stream.values, least), most)
    span = decoder.most_weights_per_cycle - decoder.least_weights_per_cycle
    return int(decoder.least_weights_per_cycle + (zeros - least) * span / (most - least))


def decode_cycles(stored: Stored, target: Target) -> int:
    """Cycles to decode all weights once."""
    decoder = target.hardware.decoder
    if decoder is None:
        return 0
    cores = 1 if stored.is_fast else target.hardware.array.cores
    return int(stored.stream.values / (decode_rate(stored, decoder) * cores))


def _best_format(operation: Operation, target: Target) -> tuple[Block, Stored]:
    """The format whose decoding and computing take fewest cycles."""
    assert operation.weights is not None
    dense_block = chosen_block(operation, target.hardware)
    found = []
    sparse = None
    if operation.is_convolution and two_of_four(operation.weights):
        sparse_block = chosen_block(operation, target.hardware, two_of_four=True)
        dense_cycles = count_cycles(operation, dense_block, target).npu
        sparse_cycles = count_cycles(operation, sparse_block, target, Pace(two_of_four=True)).npu
        if sparse_cycles <= dense_cycles:
            sparse = sparse_block
    fast = operation.is_convolution
    for block, is_sparse in ((sparse, True), (dense_block, False)):
        if block is None:
            continue
        order = stream_order(operation, block, target, is_sparse)
        records = scale_bytes(operation, target, block)
        stored = Stored(encode(operation.weights, order), records, False, is_sparse)
        found.append((block, stored))
        fast = fast and _fast_pays(stored, target)
    if fast:
        for block, is_sparse in ((sparse, True), (dense_block, False)):
            if block is not None:
                order = stream_order(operation, block, target, is_sparse)
                stream = encode_fast(operation.weights, order, raw=is_sparse)
                records = scale_bytes(operation, target, block)
                found.append((block, Stored(stream, records, True, is_sparse)))
    return min(found, key=lambda pair: _format_cycles(operation, pair[0], pair[1], target))


def _format_cycles(operation: Operation, block: Block, stored: Stored, target: Target) -> int:
    pace = Pace(two_of_four=stored.is_two_of_four)
    return _load_cycles(stored, target) + count_cycles(operation, block, target, pace).npu


def _load_cycles(stored: Stored, target: Target) -> int:
    channel = "fast_weight" if stored.is_fast else "weight"
    rate = channel_rate(target, target.weights, channel)
    fetch = int(stored.stream.bytes / rate) + target.weights.read_latency_cycles
    return max(decode_cycles(stored, target), fetch)


def _fast_pays(stored: Stored, target: Target) -> bool:
    """Whether plain bytes would arrive and be decoded sooner than the standard stream."""
    distinct = stored.stream.distinct
    divisor = 1 if distinct > 16 else 2 if distinct > 4 else 4
    size = 32 + stored.stream.values // divisor
    plain = Stored(Encoded(size, stored.stream.values, 0, distinct), stored.scale_bytes, True)
    return _load_cycles(plain, target) < _load_cycles(stored, target)
