"""Reads a blob back: an integer network's weights from the bytes, by another way than they went in.

It uses nothing of the writer: offsets are taken from docs/formats.md, tiles are put back one by
one.  Tests compare what it finds with the network that was packed.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.files import read_bytes

ROWS, PAIRS, LANES = range(3)
_REMEDY = "pack it again with: tinyse export --pack native"


@dataclass(frozen=True)
class StoredMatrix:
    """One matrix of a blob: weights int8 [rows, columns], bias as stored, multipliers."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32] | None
    q: NDArray[np.int64]
    shift: NDArray[np.int64]
    is_sparse: bool
    tiles: int


@dataclass(frozen=True)
class StoredModel:
    """A blob's header fields and its matrices in order."""

    layout: int
    inputs: int
    outputs: int
    kinds: tuple[int, ...]
    units: tuple[int, ...]
    matrices: tuple[StoredMatrix, ...]


def read_blob(source: Path | bytes) -> StoredModel:
    """The model in a plain blob; InputError where it is damaged or not one."""
    data = source if isinstance(source, bytes) else read_bytes(source)
    where = "blob" if isinstance(source, bytes) else source
    if len(data) < 64 or data[:4] != b"TSEB":
        raise InputError("is no tinyse blob", where, _REMEDY)
    if _u16(data, 4) != 1 or data[7] != 0:
        raise InputError("is of another version, or entropy-coded", where, _REMEDY)
    if _u32(data, 8) > len(data) or zlib.crc32(data[16 : _u32(data, 8)]) != _u32(data, 12):
        raise InputError("is cut short or damaged", where, _REMEDY)
    layout, layers, matrices = data[6], _u16(data, 16), _u16(data, 18)
    layers_at, matrices_at = _u32(data, 40), _u32(data, 44)
    ends = layers_at + 40 * layers, matrices_at + 40 * matrices
    if layout > LANES or max(ends) > len(data):
        raise InputError("holds records that lie outside of it", where, _REMEDY)
    records = [layers_at + 40 * number for number in range(layers)]
    try:
        stored = [_matrix(data, matrices_at + 40 * number, layout) for number in range(matrices)]
    # An offset, a column or a word of `pairs` that is none; or more zeros than there is memory for.
    except (IndexError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"holds a matrix that is damaged ({error})", where, _REMEDY) from error
    return StoredModel(
        layout,
        _u16(data, 20),
        _u16(data, 22),
        tuple(data[at] for at in records),
        tuple(_u16(data, at + 4) for at in records),
        tuple(stored),
    )


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _matrix(data: bytes, at: int, layout: int) -> StoredMatrix:
    values, index, bias, _, row_q = (_u32(data, at + 4 * field) for field in range(5))
    rows, columns, is_sparse = _u16(data, at + 28), _u16(data, at + 30), bool(data[at + 25])
    high = 16 if layout == LANES else 4
    wide = 16 if layout == ROWS and not is_sparse else 4
    padded = -(-rows // high) * high
    weights = np.zeros((padded, -(-columns // wide) * wide), np.int8)
    tiles, places = 0, []
    for row in range(0, padded, high):
        rows_here = [row + part for part in range(0, high, 4)]
        count = weights.shape[1] // wide
        if is_sparse:
            count, index = data[index], index + 1
            if layout == ROWS:
                count = count // 8 * 4 + count % 8
            if layout == LANES:
                rows_here = [4 * _u16(data, index + 2 * lane) for lane in range(4)]
                index += 8
        places += [first + offset for first in rows_here for offset in range(4)]
        for number in range(count):
            tile = np.frombuffer(data, np.int8, high * wide, values).reshape(high, wide)
            if layout == PAIRS:
                tile = _unpaired(data, values)
            values, tiles = values + high * wide, tiles + 1
            for part, first in enumerate(rows_here):
                place = wide * number
                if is_sparse:
                    place, index = wide * data[index], index + 1
                weights[first : first + 4, place : place + wide] += tile[4 * part : 4 * part + 4]
    q, shift = [_u32(data, at + 20)], [int.from_bytes(data[at + 24 : at + 25], signed=True)]
    if row_q:
        q = np.frombuffer(data, "<i4", padded, row_q).tolist()
        shift = np.frombuffer(data, np.int8, padded, row_q + 4 * padded).tolist()
    back = np.argsort(places)[:rows]  # rows of blocks of `lanes` come in an order of their own
    return StoredMatrix(
        weights[:rows, :columns],
        np.frombuffer(data, "<i4", padded, bias)[back] if bias else None,
        np.array(q)[back] if row_q else np.array(q),
        np.array(shift)[back] if row_q else np.array(shift),
        is_sparse,
        tiles,
    )


def _unpaired(data: bytes, at: int) -> NDArray[np.int8]:
    """A 4 x 4 tile of words 256 * w[r + 1] + w[r]: columns 0, 1 of two row pairs, then 2, 3."""
    tile = np.zeros((4, 4), np.int8)
    for number in range(8):
        word = int.from_bytes(data[at + 2 * number : at + 2 * number + 2], "little", signed=True)
        lower = (word + 128) % 256 - 128
        row, column = 2 * (number // 2 % 2), 2 * (number // 4) + number % 2
        tile[row, column], tile[row + 1, column] = lower, (word - lower) // 256
    return tile
