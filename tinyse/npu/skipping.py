"""Tiles of weights: how many hold anything, and what a design saves that skips the others.

A tile is R output rows by C inputs of one kernel element, the grid anchored at row 0, column 0.
Tiles at the edges are padded: an array works on whole ones, so 17 rows cost what 24 cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.npu.blocks import Block
from tinyse.npu.hardware import Skipping
from tinyse.npu.operations import Operation, up
from tinyse.npu.weights import ALIGNMENT_BYTES, Stored
from tinyse.weight_encoder import Encoded, stream_bytes

Tile = tuple[int, int]  # outputs, inputs


@dataclass(frozen=True)
class Tiles:
    """The tiles of one operation's weights.

    values : [tiles, rows, columns], padding as zeros
    live : bool [tiles], which hold a weight that is not zero
    """

    values: NDArray[np.integer]
    live: NDArray[np.bool_]

    @property
    def live_share(self) -> float:
        """Live tiles of all."""
        return float(self.live.mean())

    @property
    def weights(self) -> int:
        """Weights in all tiles, padding included."""
        return self.values.size

    @property
    def live_weights(self) -> int:
        """Weights in live tiles, padding included."""
        return int(self.live.sum()) * self.values[0].size


def own_tile(operation: Operation, block: Block) -> Tile:
    """The brick that the NPU itself works in: a micro-block of outputs by a block of inputs."""
    return block.micro[2], 1 if operation.is_depthwise else block.inputs[2]


def find_tiles(weights: NDArray[np.integer], tile: Tile) -> Tiles:
    """The tiles of `weights` [out, height, width, in]."""
    rows, columns = tile
    outputs, height, width, inputs = weights.shape
    padded = np.zeros((up(outputs, rows), height * width, up(inputs, columns)), weights.dtype)
    padded[:outputs, :, :inputs] = weights.reshape(outputs, height * width, inputs)
    split = padded.reshape(-1, rows, height * width, padded.shape[2] // columns, columns)
    values = split.transpose(0, 2, 3, 1, 4).reshape(-1, rows, columns)
    return Tiles(values, np.asarray(values.any(axis=(1, 2))))


def stored_tiles(tiles: Tiles, stored: Stored, skipping: Skipping) -> Stored:
    """The weights as a skipping design stores them: live tiles, and an index."""
    live = tiles.values[tiles.live].ravel()
    indexed = int(tiles.live.sum()) if skipping.index_of_live_tiles_only else len(tiles.live)
    index = -(-indexed * skipping.index_bits_per_tile // 8)
    if skipping.compressed:
        size, zeros = stream_bytes(live)
    else:
        size, zeros = len(live), 0
    total = up(size + index, ALIGNMENT_BYTES)
    stream = Encoded(total, max(len(live), 1), zeros, stored.stream.distinct)
    return Stored(stream, stored.scale_bytes)
