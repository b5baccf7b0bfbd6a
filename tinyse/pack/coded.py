"""The entropy-coded form of a blob, for flash-tight parts with memory to unpack it into, once.

    header 32 bytes | tables | segment | segment ..      unpacked, the very bytes of the plain blob

A segment is a header of 8 bytes and a stream of bits from the highest of each byte down:

    RAW    bytes as they are
    BYTES  every weight: its magnitude in a canonical Huffman code, then its sign
    GAPS   every weight that is not zero: the zeros before it in a Golomb code, then the weight
    INDEX  the stored tiles of a matrix in order: the tiles left out before each, in a Golomb code

The gap behind the last weight or tile leads to the end, so nothing else says how many there are.
Tables cost more than they gain where each matrix brings its own, so matrices of like weights share
one; and weights are as often below zero as above, so half a table does.

In layout `pairs` values are coded as the weights they stand for, not as words with a borrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.pack.codes import (
    Bits,
    canonical_codes,
    code_lengths,
    gaps_between,
    golomb_code,
    in_turns,
    joined,
    length_bits,
)
from tinyse.pack.format import HEADER, MAGIC, MATRIX, VERSION, Form, Layout
from tinyse.pack.native import Blob, with_checksum

CODED_HEADER = struct.Struct("<4sHBBIIIII4x")
SEGMENT = struct.Struct("<BBBxI")
MAGNITUDES = 128  # 0 to 127: there is no weight of -128
MOST_TABLES = 256  # a segment names its table in a byte


class Segment(IntEnum):
    """How a stretch of the blob is coded."""

    RAW = 0
    BYTES = 1
    GAPS = 2
    INDEX = 3


@dataclass(frozen=True)
class _Weights:
    """Weights int64 [n] of a matrix, how to code them, and how many magnitudes to code [128]."""

    values: NDArray[np.int64]
    kind: Segment
    counts: NDArray[np.int64]


def code(blob: Blob) -> bytes:
    """The coded form of a blob in layout `rows` or `pairs`."""
    if blob.layout is Layout.LANES:
        raise InputError("the layout for hosts has no coded form", "lanes", "use rows or pairs")
    stretches = list(_stretches(blob.data, blob.layout))
    values = [data for data, kind, _ in stretches if kind is Segment.BYTES]
    matrices = [_counted(_weights(data, blob.layout)) for data in values]
    tables, numbers = _shared_tables([matrix.counts for matrix in matrices])
    table_of = iter(zip(matrices, numbers, strict=True))
    segments = []
    for data, kind, columns in stretches:
        if kind is Segment.RAW:
            segments.append(SEGMENT.pack(kind, 0, 0, len(data)) + data)
        elif kind is Segment.INDEX:
            segments.append(_index_segment(data, columns, blob.layout))
        else:
            matrix, number = next(table_of)
            segments.append(_value_segment(matrix, tables[number], number, len(data)))
    body = joined([length_bits(table) for table in tables]).data() + b"".join(segments)
    counts = (CODED_HEADER.size + len(body), 0, len(blob.data), len(segments), len(tables))
    header = CODED_HEADER.pack(MAGIC, VERSION, blob.layout, 1, *counts)
    return with_checksum(header + body)


def _stretches(data: bytes, layout: Layout) -> Iterator[tuple[bytes, Segment, int]]:
    """The blob from its start to its end, cut where values and indexes begin and end.

    With each stretch stands its matrix's columns of tiles.
    """
    header = HEADER.unpack_from(data)
    matrices, first = header[7], header[16]
    cuts = []
    for number in range(matrices):
        record = MATRIX.unpack_from(data, first + number * MATRIX.size)
        values, index, form = record[0], record[1], record[7]
        columns, tiles, index_bytes = record[10:]
        if tiles:
            a_tile = 64 if layout is Layout.ROWS and form == Form.ALL else 16
            cuts.append((values, values + a_tile * tiles, Segment.BYTES, 0))
        if index_bytes:
            cuts.append((index, index + index_bytes, Segment.INDEX, -(-columns // 4)))
    at = 0
    for start, end, kind, columns in sorted(cuts):
        if start > at:
            yield data[at:start], Segment.RAW, 0
        yield data[start:end], kind, columns
        at = end
    yield data[at:], Segment.RAW, 0


def _weights(data: bytes, layout: Layout) -> NDArray[np.int64]:
    """The weights in the order of the blob; of pairs both, without the borrow."""
    if layout is not Layout.PAIRS:
        return np.frombuffer(data, np.int8).astype(np.int64)
    pairs = np.frombuffer(data, "<i2").astype(np.int64)
    lower = (pairs + 128) % 256 - 128
    return np.stack([lower, (pairs - lower) >> 8], axis=1).reshape(-1)


def _counted(values: NDArray[np.int64]) -> _Weights:
    """The weights in the kind that is shorter for them."""
    every = np.bincount(np.abs(values), minlength=MAGNITUDES)
    live = np.where(np.arange(MAGNITUDES) > 0, every, 0)
    gaps, _ = golomb_code(gaps_between(np.flatnonzero(values), len(values)))
    if _coded_bits(every) <= _coded_bits(live) + gaps.count:
        return _Weights(values, Segment.BYTES, every)
    return _Weights(values, Segment.GAPS, live)


def _coded_bits(counts: NDArray[np.int64]) -> int:
    """Bits of so many magnitudes in a Huffman code of their own, and of its table."""
    lengths = code_lengths(counts)
    return int((counts * lengths).sum()) + length_bits(lengths).count


def _shared_tables(
    counts: list[NDArray[np.int64]],
) -> tuple[list[NDArray[np.int64]], list[int]]:
    """Tables of code lengths [128], and which one each matrix takes.

    Every matrix begins with its own; the two tables whose union costs least are united as long as
    that saves bits.
    """
    united = list(counts)  # of every table there ever was
    takers = {number: [number] for number in range(len(counts))}

    @cache
    def bits(number: int) -> int:
        return _coded_bits(united[number])

    @cache
    def cost(first: int, second: int) -> int:
        return _coded_bits(united[first] + united[second]) - bits(first) - bits(second)

    while len(takers) > 1:
        first, second = min(combinations(takers, 2), key=lambda pair: cost(*pair))
        if cost(first, second) >= 0 and len(takers) <= MOST_TABLES:
            break
        takers[len(united)] = takers.pop(first) + takers.pop(second)
        united.append(united[first] + united[second])
    found = {matrix: at for at, matrices in enumerate(takers.values()) for matrix in matrices}
    return [code_lengths(united[number]) for number in takers], [
        found[matrix] for matrix in range(len(counts))
    ]


def _value_segment(matrix: _Weights, table: NDArray, number: int, size: int) -> bytes:
    if matrix.kind is Segment.BYTES:
        bits, divisor = _weight_bits(matrix.values, table), 0
    else:
        places = np.flatnonzero(matrix.values)
        gaps, divisor = golomb_code(gaps_between(places, len(matrix.values)))
        bits = in_turns(gaps, _weight_bits(matrix.values[places], table))
    return SEGMENT.pack(matrix.kind, divisor, number, size) + bits.data()


def _weight_bits(values: NDArray[np.int64], table: NDArray[np.int64]) -> Bits:
    """The code of each magnitude, and 1 behind it for a weight below zero, 0 above."""
    magnitudes, signed = np.abs(values), values != 0
    codes = canonical_codes(table)[magnitudes]
    return Bits(np.where(signed, codes << 1 | (values < 0), codes), table[magnitudes] + signed)


def _index_segment(data: bytes, columns: int, layout: Layout) -> bytes:
    places, at, row = [], 0, 0
    while at < len(data):
        stored = data[at]
        count = (stored >> 3) * 4 + (stored & 7) if layout is Layout.ROWS else stored
        here = np.frombuffer(data, np.uint8, count, at + 1).astype(np.int64)
        places.append(row * columns + here)
        at, row = at + 1 + count, row + 1
    bits, divisor = golomb_code(gaps_between(np.concatenate(places), row * columns))
    return SEGMENT.pack(Segment.INDEX, divisor, columns, len(data)) + bits.data()
