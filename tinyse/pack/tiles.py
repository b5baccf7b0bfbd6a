"""Weights int8 [rows, columns] to tiles and an index, in the three layouts.

A dense matrix is all of its tiles; a sparse one those with a weight that is not zero, and before
the tiles of each row of tiles, in the index, how many they are and at which column each one stands.

A fast kernel may run where its arithmetic is proven not to wrap; `fits` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.pack.format import Form, Layout

# A block costs a load of its index and of its inputs more than a dense tile: measured 8 to 20 %.
DENSE_FROM = 0.85
# The index holds one byte a tile, and the count of a row of tiles is a byte as well.
MOST_COLUMNS = {Layout.ROWS: 512, Layout.PAIRS: 1020, Layout.LANES: 1020}


@dataclass(frozen=True)
class Tiles:
    """A packed matrix: its form, the bytes of its tiles and of its index, and how many tiles.

    order : rows of blocks as the lanes take them, where that is not their own order
    """

    form: Form
    values: bytes
    index: bytes
    count: int
    order: NDArray[np.int64] | None = None

    def ordered(self, rows: NDArray) -> NDArray:
        """Values of each row, padded to whole tiles, in the order in which kernels come to them."""
        return rows if self.order is None else rows.reshape(-1, 4)[self.order].reshape(-1)


def tile_shape(layout: Layout, form: Form) -> tuple[int, int]:
    """Rows and columns of a tile."""
    if layout is Layout.LANES:
        return 16, 4
    return (4, 16) if layout is Layout.ROWS and form is Form.ALL else (4, 4)


def pack_matrix(weights: NDArray[np.int8], layout: Layout, blocks: bool = True) -> Tiles:
    """The tiles of `weights` int8 [rows, columns], in blocks of 4 x 4 where that is less work.

    Without `blocks` all tiles are stored.
    """
    live = np.count_nonzero(_tiled(weights, 4, 4), axis=(2, 3)) > 0
    too_wide = weights.shape[1] > MOST_COLUMNS[layout]
    if not blocks or too_wide or live.mean() >= DENSE_FROM:
        tiles = _tiled(weights, *tile_shape(layout, Form.ALL))
        flat = tiles.reshape(-1, *tiles.shape[2:])
        return Tiles(Form.ALL, _tile_bytes(flat, layout), b"", len(flat))
    return _lanes(weights, live) if layout is Layout.LANES else _blocks(weights, live, layout)


def _tiled(weights: NDArray[np.int8], high: int, wide: int) -> NDArray[np.int16]:
    """Tiles int16 [tile rows, tile columns, high, wide], padded with zeros."""
    rows, columns = weights.shape
    padded = np.pad(weights.astype(np.int16), ((0, -rows % high), (0, -columns % wide)))
    return padded.reshape(len(padded) // high, high, -1, wide).transpose(0, 2, 1, 3)


def _tile_bytes(tiles: NDArray[np.int16], layout: Layout) -> bytes:
    """The bytes of tiles int16 [n, high, wide]."""
    if layout is not Layout.PAIRS:
        return tiles.astype(np.int8).tobytes()
    pairs = 256 * tiles[:, 1::2] + tiles[:, 0::2]  # [n, 2 row pairs, 4 columns]
    words = pairs.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3)  # column pair, row pair, column
    return words.astype("<i2").tobytes()


def _blocks(weights: NDArray[np.int8], live: NDArray[np.bool_], layout: Layout) -> Tiles:
    index = bytearray()
    for row in live:
        columns = np.flatnonzero(row)
        index.append(_stored_count(len(columns), layout))
        index += columns.astype(np.uint8).tobytes()
    values = _tile_bytes(_tiled(weights, 4, 4)[live], layout)
    return Tiles(Form.BLOCKS, values, bytes(index), int(live.sum()))


def _stored_count(count: int, layout: Layout) -> int:
    """Rows count in vectors of four tiles, the first of them with what is left over (1..4)."""
    if layout is not Layout.ROWS or not count:
        return count
    first = (count - 1) % 4 + 1
    return (count - first) // 4 << 3 | first


def _lanes(weights: NDArray[np.int8], live: NDArray[np.bool_]) -> Tiles:
    """Four rows of blocks side by side, each with its own columns; the shorter ones get zeros.

    Rows of about equal length come together, or half of what is stored would be zeros; so each
    four also say which rows they are.
    """
    missing = -len(live) % 4
    tiles = np.pad(_tiled(weights, 4, 4), ((0, missing), (0, 0), (0, 0), (0, 0)))
    live = np.pad(live, ((0, missing), (0, 0)))
    order = np.argsort(-live.sum(axis=1), kind="stable")
    index, values, count = bytearray(), [], 0
    for rows in order.reshape(-1, 4):
        columns = [np.flatnonzero(live[row]) for row in rows]
        steps = max(map(len, columns))
        places = np.zeros((steps, 4), np.uint8)
        group = np.zeros((steps, 4, 4, 4), np.int8)
        for lane, (row, found) in enumerate(zip(rows, columns, strict=True)):
            places[: len(found), lane] = found
            group[: len(found), lane] = tiles[row, found]
        index += bytes([steps]) + rows.astype("<u2").tobytes() + places.tobytes()
        values.append(group.tobytes())
        count += steps
    return Tiles(Form.BLOCKS, b"".join(values), bytes(index), count, order)


def fits(weights: NDArray[np.int8], bias: NDArray, zero: int, left: NDArray) -> bool:
    """Whether every sum, doubled and shifted, stays in int32 and every pair of sums apart.

    weights int8 [rows, columns], bias [rows], the input's zero point, left shifts [rows] or one.
    Two sums share a word as 256 * b + a, which is exact below 2^23 (Cortex-M4, M7).
    """
    furthest = max(127 - zero, 128 + zero)
    products = np.abs(weights.astype(np.int64)).sum(axis=1) * furthest
    largest = (products + np.abs(bias.astype(np.int64))) << (np.asarray(left) + 1)
    return bool((products < 1 << 23).all() and (largest < 1 << 31).all())
