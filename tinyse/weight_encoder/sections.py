"""How many bits the weight stream of an Ethos-U takes, without writing the stream.

A stream is cut into sections of 131,072 values.  Each section has a palette of its most frequent
values and is written as Golomb-Rice codes; where zeros prevail they are left out and the length
of the run of zeros before every other value is written instead:

    index i of a value   (i >> d) + 1 + d bits, d = 0..5
    run r of zeros       (r >> k) + 1 + k bits, k = 0..3: a zero never costs less than 1/8 bit

d and k may change from slice to slice (`spans`), which pays where a matrix has quiet parts: the
zeros that pad a row, for one.

Source: `ethosu/regor/dependencies/mlw_codec/source/mlw_encode.cpp` of ethos-u-vela 5.2.0, whose
terms (palette, direct offset, slice) are used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tinyse.weight_encoder.spans import UNFIT_BITS, cheapest_spans

SECTION_VALUES = 1 << 17
SLICE_VALUES = (1 << 15) - 1
SLICE_HEADER_BITS = 23  # run divisor 3, length 15, divisor 3, truncated 1, new palette 1
PALETTE_HEADER_BITS = 13  # direct offset 5, entries 5, bits an entry 3
END_BITS = 3
ALIGNMENT_BITS = 128

CODES = 512  # a value's code is 2|value| + (value < 0)
PALETTE_ENTRIES = 32
LARGEST_QUOTIENT = 31
LARGEST_TRUNCATED = 2
DIVISORS = range(6)
RUN_DIVISORS = range(4)
UNARY_CHUNK_BITS = 12
LONG_RUN_CHUNK_BITS = 8  # with k = 3


def stream_bytes(values: NDArray[np.integer]) -> tuple[int, int]:
    """(bytes, zeros left out) of one stream of `values` [n], each in -255..255, in their order."""
    bits, left_out = END_BITS, 0
    for start in range(0, len(values), SECTION_VALUES):
        more_bits, more_zeros = _section(values[start : start + SECTION_VALUES])
        bits, left_out = bits + more_bits, left_out + more_zeros
    return -(-bits // ALIGNMENT_BITS) * (ALIGNMENT_BITS // 8), left_out


def _section(values: NDArray[np.integer]) -> tuple[int, int]:
    """(bits, zeros left out) of a section: header, palette, values and runs of zeros."""
    codes = _codes(values)
    frequencies = np.bincount(codes, minlength=CODES)
    runs = _zero_runs(codes)
    zeros = int(frequencies[0]) if _zeros_prevail(frequencies, runs) else 0
    if zeros == len(values):
        return _empty_section_bits(len(values)), zeros - 1
    if zeros:
        frequencies[0] = 0
        codes = codes[codes != 0]
    palette = Palette.of(frequencies)
    return palette.bits + _slice_bits(palette, codes, runs if zeros else None), zeros


@dataclass(frozen=True)
class Palette:
    """The most frequent codes of a section and how the others are numbered behind them.

    entries : codes, the most frequent first
    entry_bits : bits of an entry in the header
    direct_offset : the first code in use; the numbering of others starts there
    holds_all : no value lies outside the palette
    """

    entries: NDArray[np.int64]
    entry_bits: int
    direct_offset: int
    holds_all: bool

    @classmethod
    def of(cls, frequencies: NDArray[np.int64]) -> Palette:
        """The palette for codes that occur `frequencies` [512] times."""
        used = np.flatnonzero(frequencies)
        # Descending by frequency, and the higher code first among equals.
        by_frequency = used[np.lexsort((-used, -frequencies[used]))]
        holds_all = len(used) <= PALETTE_ENTRIES
        room = PALETTE_ENTRIES if holds_all else min(PALETTE_ENTRIES, CODES - 1 - int(used[-1]))
        entries = by_frequency[: 0 if room == 1 else room]
        if len(entries) == 1:  # a palette of one does not exist
            entries = np.append(entries, 0)
        if frequencies[entries].sum() < frequencies.sum() // 2:
            entries = entries[:0]
        largest = int(entries.max() if len(entries) else used[-1])
        offset = min(int(used[0]), 31)
        return cls(entries, max(2, largest.bit_length()), offset, holds_all)

    @property
    def bits(self) -> int:
        """Size of the palette in the stream."""
        return PALETTE_HEADER_BITS + len(self.entries) * self.entry_bits

    @property
    def raw_bits(self) -> int | None:
        """Bits of a value that is written as it is; None where that is not possible."""
        if self.holds_all and len(self.entries):
            return (len(self.entries) - 1).bit_length()
        return None if len(self.entries) else self.entry_bits

    def indices(self) -> NDArray[np.int64]:
        """int64 [512]: the index that stands for each code."""
        table = np.arange(CODES) + len(self.entries) - self.direct_offset
        # The code 1 would be minus zero, so negative values are numbered from 2 on: zero's
        # own number is one higher than its code says.
        table[0] += 1
        table[self.entries[::-1]] = np.arange(len(self.entries))[::-1]
        return table


def _codes(values: NDArray[np.integer]) -> NDArray[np.int16]:
    wide = values.astype(np.int16)
    return (np.abs(wide) << 1) | (wide < 0)


def _zero_runs(codes: NDArray[np.int16]) -> NDArray[np.int64]:
    """Length of the run of zeros before each other value, and of the one at the end."""
    places = np.flatnonzero(codes)
    return np.diff(places, prepend=-1, append=len(codes)) - 1


def _zeros_prevail(frequencies: NDArray[np.int64], runs: NDArray[np.int64]) -> bool:
    zeros = int(frequencies[0])
    in_runs = int(runs[runs >= 2].sum())
    return in_runs >= zeros // 2 and zeros > 5 * int(frequencies[1:].max())


def _empty_section_bits(length: int) -> int:
    """A section of zeros alone: one zero is coded, and the run behind it with k = 0."""
    unary_zero = UNARY_CHUNK_BITS + 1  # index 1: a chunk, and the second unary bit
    runs = _padded(1 + length, UNARY_CHUNK_BITS)
    return SLICE_HEADER_BITS + PALETTE_HEADER_BITS + unary_zero + runs


def _slice_bits(palette: Palette, codes: NDArray[np.int16], runs: NDArray[np.int64] | None) -> int:
    """All slices of a section: `codes` [n] and, where zeros are left out, `runs` [n + 1]."""
    values = _value_ways(palette)
    numbers = codes.astype(np.intp)
    value_spans, bits = cheapest_spans(values.costs, numbers)
    ends = [end for _, end in value_spans]
    if runs is not None:
        lengths = _run_ways(int(runs.max()))
        run_spans, more = cheapest_spans(lengths.costs, runs)
        ends, bits = ends + [end for _, end in run_spans], bits + more
    cuts = _cuts(len(codes), ends)
    bits += SLICE_HEADER_BITS * (len(cuts) - 1)
    bits += sum(values.bits(way, numbers[a:b]) for way, a, b in _walk(value_spans, cuts))
    if runs is not None:
        # The first slice holds one more run: the one in front of its first value.
        slices = [(way, a + (a > 0), b + 1) for way, a, b in _walk(run_spans, cuts)]
        bits += sum(lengths.bits(way, runs[a:b]) for way, a, b in slices)
    return bits


def _cuts(length: int, ends: list[int]) -> list[int]:
    """Where slices begin and end: wherever a way of writing changes, and when they are full."""
    cuts = [0]
    for end in sorted({min(end, length) for end in ends} - {0}):
        while end - cuts[-1] > SLICE_VALUES:
            cuts.append(cuts[-1] + SLICE_VALUES)
        cuts.append(end)
    return cuts


def _walk(spans: list[tuple[int, int]], cuts: list[int]) -> Iterator[tuple[int, int, int]]:
    """(way, begin, end) of each slice."""
    remaining = iter(spans)
    way, until = next(remaining)
    for begin, end in pairwise(cuts):
        while begin >= until:
            way, until = next(remaining)
        yield way, begin, end


@dataclass(frozen=True)
class Ways:
    """How numbers can be written: Golomb-Rice by divisor, truncated, or as they are.

    costs : int32 [ways, numbers], bits without padding
    unary : int32 [ways, numbers], those of them that are padded by the slice
    chunks : bits that they are padded to
    """

    costs: NDArray[np.int32]
    unary: NDArray[np.int32]
    chunks: tuple[int, ...]

    def bits(self, way: int, numbers: NDArray[np.intp]) -> int:
        """Bits of a slice of `numbers`, padding included."""
        unary = int(self.unary[way][numbers].sum())
        return int(self.costs[way][numbers].sum()) + _padded(unary, self.chunks[way]) - unary


def _value_ways(palette: Palette) -> Ways:
    """The thirteen ways to write a code; half of a quotient goes into the padded chunks."""
    index = palette.indices()
    costs, unary = [], []
    for divisor in DIVISORS:
        quotient = index >> divisor
        fits = quotient <= LARGEST_QUOTIENT
        costs.append(np.where(fits, quotient + 1 + divisor, UNFIT_BITS))
        unary.append(quotient // 2 + 1)
    for divisor in DIVISORS:
        quotient = index >> divisor
        fits = quotient <= LARGEST_TRUNCATED
        costs.append(np.where(fits, np.minimum(quotient + 1, 2) + divisor, UNFIT_BITS))
        unary.append(quotient // 3 + 1)
    if palette.raw_bits is not None:
        costs.append(np.full(CODES, palette.raw_bits))
        unary.append(np.zeros(CODES, np.int64))
    chunks = (UNARY_CHUNK_BITS,) * len(costs)
    return Ways(np.array(costs, np.int32), np.array(unary, np.int32), chunks)


def _run_ways(longest: int) -> Ways:
    """The four ways to write the length of a run of zeros."""
    unary = np.array([(np.arange(longest + 1) >> divisor) + 1 for divisor in RUN_DIVISORS])
    costs = unary + np.array(RUN_DIVISORS)[:, None]
    chunks = (UNARY_CHUNK_BITS,) * 3 + (LONG_RUN_CHUNK_BITS,)
    return Ways(costs.astype(np.int32), unary.astype(np.int32), chunks)


def _padded(bits: int, chunk: int) -> int:
    return -(-bits // chunk) * chunk
