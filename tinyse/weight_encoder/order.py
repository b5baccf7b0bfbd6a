"""In which order an Ethos-U reads the weights of a matrix or convolution: the order of the stream.

The array computes blocks of outputs.  For a block it walks the inputs in blocks, for each of them
the micro-blocks of outputs, and feeds the array 8 inputs of each output row at a time.  Whatever
is missing at an edge is written as a zero, and costs bits: 17 rows cost what 24 cost.

    outputs in blocks -> inputs in blocks -> sub-kernels of at most 8 x 8 -> inputs in chunks
        -> micro-blocks of outputs -> kernel elements -> 8 inputs at a time -> rows -> 8 inputs

Source: `ethosu/regor/architecture/ethosu{55,85}/ethos_u{55,85}_weight_encoder.cpp` of
ethos-u-vela 5.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

SUB_KERNEL = 8
FEED = 8  # inputs of one row that the array takes at a time
DEALT_ROWS = 4  # Ethos-U85 deals groups of four rows to its decoders in turn


@dataclass(frozen=True)
class Order:
    """The order for one operation.

    outputs : rows in a block of outputs
    rows : rows of a micro-block
    inputs : columns in a block of inputs
    chunk : columns that are walked with all output rows before the next ones
    elements : kernel elements are padded with zeros to a multiple of this
    extra_elements : further zeros behind a depthwise kernel that was padded
    feed : columns of a row at a time: 8, or 16 of which 2 of 4 are zeros; 1 for depthwise
    decoders : streams that the rows are dealt to
    interleaved : rows are dealt one by one (Ethos-U65), not in groups of four (Ethos-U85)
    serpentine : every second block of outputs walks the inputs backwards, and every second row
        of a kernel its columns (Ethos-U85)
    stride : (y, x) that a kernel's elements are sorted by (Ethos-U85, kernel first)
    """

    outputs: int
    rows: int
    inputs: int
    chunk: int
    elements: int = 1
    extra_elements: int = 0
    feed: int = FEED
    decoders: int = 1
    interleaved: bool = False
    serpentine: bool = False
    stride: tuple[int, int] = (1, 1)


def streams(weights: NDArray[np.integer], order: Order) -> list[NDArray[np.integer]]:
    """The streams of `weights` [out, height, width, in], one per decoder, padding included.

    A depthwise kernel comes as [out, height, width, 1].
    """
    if order.interleaved and order.decoders > 1:
        count = order.decoders
        shares = [-(-(order.outputs - core) // count) for core in range(count)]
        return [
            _stream(weights[core::count], replace(order, outputs=share, decoders=1), 0)
            for core, share in enumerate(shares)
            if core < len(weights)
        ]
    return [_stream(weights, order, decoder) for decoder in range(order.decoders)]


def _stream(weights: NDArray[np.integer], order: Order, decoder: int) -> NDArray[np.integer]:
    pieces: list[NDArray[np.int64]] = []
    forward = True
    for start in range(0, len(weights), order.outputs):
        block = _rows_padded(weights[start : start + order.outputs], order.rows)
        columns = range(0, block.shape[3], order.inputs)
        for column in columns if forward else reversed(columns):
            pieces += _block(block[..., column : column + order.inputs], order, decoder)
        forward = not (order.serpentine and forward)
    return np.concatenate(pieces)


def _block(block: NDArray, order: Order, decoder: int) -> Iterator[NDArray]:
    """The pieces of a block of outputs [rows, height, width, columns] and one of inputs."""
    for window in _sub_kernels(block, order.serpentine):
        for start in range(0, window.shape[3], order.chunk):
            yield _chunk(window[..., start : start + order.chunk], order, decoder)


def _sub_kernels(block: NDArray, columns_first: bool) -> Iterator[NDArray]:
    height, width = block.shape[1:3]
    ys, xs = range(0, height, SUB_KERNEL), range(0, width, SUB_KERNEL)
    places = ((y, x) for x, y in product(xs, ys)) if columns_first else product(ys, xs)
    for y, x in places:
        yield block[:, y : y + SUB_KERNEL, x : x + SUB_KERNEL]


def _chunk(window: NDArray, order: Order, decoder: int) -> NDArray:
    """[rows, height, width, columns] -> micro-blocks, elements, feeds, rows, columns of a feed."""
    rows, height, width, columns = window.shape
    elements = height * width
    padded = -(-elements // order.elements) * order.elements
    if padded > elements:
        padded += order.extra_elements
    feeds = order.chunk // order.feed
    full = np.zeros((rows, padded, feeds * order.feed), window.dtype)
    ys, xs = _element_order(height, width, order)
    full[:, :elements, :columns] = window[:, ys, xs]
    split = full.reshape(rows // order.rows, order.rows, padded, feeds, order.feed)
    walked = split.transpose(0, 2, 3, 1, 4)
    if order.decoders > 1:
        dealt = walked.reshape(*walked.shape[:3], -1, DEALT_ROWS, order.feed)
        walked = dealt[:, :, :, decoder :: order.decoders]
    return walked.ravel()


def _element_order(
    height: int, width: int, order: Order
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(y, x) of the kernel's elements: sorted by their place in the stride, rows in turns."""
    step_y, step_x = order.stride
    places = [
        (y, x)
        for phase_y in range(min(step_y, height))
        for phase_x in range(min(step_x, width))
        for turn, y in enumerate(range(phase_y, height, step_y))
        for x in range(phase_x, width, step_x)[:: -1 if turn % 2 and order.serpentine else 1]
    ]
    ys, xs = np.array(places, dtype=np.intp).T
    return ys, xs


def _rows_padded(block: NDArray, rows: int) -> NDArray:
    missing = -len(block) % rows
    return np.pad(block, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else block
