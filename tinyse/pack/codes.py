"""Bits and the codes of the entropy-coded form: Huffman codes of magnitudes, Golomb codes of gaps.

firmware_harness/src/unpack.c is the other side.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_CODE = 15
ESCAPE = 24  # ones in a row: the gap follows in ESCAPED bits
ESCAPED = 32
FIRST_LENGTH = 8  # what the first code length is a difference to
_MOST_DIVISOR = 255


@dataclass(frozen=True)
class Bits:
    """Codes int64 [n] and how many bits each has, highest first."""

    codes: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many bits all of them are."""
        return int(self.lengths.sum())

    def data(self) -> bytes:
        """The bits one after the other, with zeros up to a whole byte."""
        ends = np.cumsum(self.lengths)
        bits = np.zeros(self.count, np.uint8)
        for bit in range(int(self.lengths.max(initial=0))):
            there = self.lengths > bit
            bits[ends[there] - 1 - bit] = self.codes[there] >> bit & 1
        return np.packbits(bits).tobytes()


def joined(parts: list[Bits]) -> Bits:
    """One behind the other."""
    none = np.zeros(0, np.int64)
    codes = np.concatenate([none, *(part.codes for part in parts)])
    return Bits(codes, np.concatenate([none, *(part.lengths for part in parts)]))


def in_turns(first: Bits, second: Bits) -> Bits:
    """A code of the first, one of the second, and so on; what is left of the first at the end."""
    places = np.arange(1, len(second.codes) + 1)
    codes = np.insert(first.codes, places, second.codes)
    return Bits(codes, np.insert(first.lengths, places, second.lengths))


def gaps_between(places: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """How many lie between one place and the next, before the first and behind the last."""
    return np.diff(places, prepend=-1, append=end) - 1


def golomb_code(gaps: NDArray[np.int64]) -> tuple[Bits, int]:
    """The gaps in the Golomb code that is shortest for them, and its divisor."""
    different, counts = np.unique(gaps, return_counts=True)
    divisor = min(
        range(1, _MOST_DIVISOR + 1),
        key=lambda divisor: counts @ _golomb_bits(different, divisor).lengths,
    )
    return _golomb_bits(gaps, divisor), divisor


def _golomb_bits(gaps: NDArray[np.int64], divisor: int) -> Bits:
    """The quotient in ones and a zero, then the rest; the lower rests have a bit less."""
    quotients, rests = np.divmod(gaps, divisor)
    escaped = quotients >= ESCAPE
    ones = np.where(escaped, ESCAPE, quotients)
    width = (divisor - 1).bit_length()
    shorter = (1 << width) - divisor
    widths = np.where(rests < shorter, width - 1, width)
    rests = np.where(rests < shorter, rests, rests + shorter)
    plain = ((1 << ones) - 1) << 1 + widths | rests
    long = ((1 << ESCAPE) - 1) << ESCAPED | gaps
    lengths = np.where(escaped, ESCAPE + ESCAPED, ones + 1 + widths)
    return Bits(np.where(escaped, long, plain), lengths)


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Huffman code lengths [n] of n symbols, 0 of one that does not occur, at most 15."""
    floor = 0
    while True:
        lengths = _huffman(np.where(counts > 0, np.maximum(counts, floor), 0))
        if lengths.max(initial=0) <= LONGEST_CODE:
            return lengths
        floor = 2 * floor or 2


def _huffman(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    symbols = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), np.int64)
    if len(symbols) == 1:
        lengths[symbols] = 1
        return lengths
    heap = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in symbols]
    heapq.heapify(heap)
    while len(heap) > 1:
        low, order, first = heapq.heappop(heap)
        high, _, second = heapq.heappop(heap)
        lengths[first + second] += 1
        heapq.heappush(heap, (low + high, order, first + second))
    return lengths


def canonical_codes(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The codes [n] of those lengths: by length, then by symbol."""
    codes = np.zeros(len(lengths), np.int64)
    code = 0
    for length in range(1, LONGEST_CODE + 1):
        code <<= 1
        for symbol in np.flatnonzero(lengths == length):
            codes[symbol] = code
            code += 1
    return codes


def length_bits(lengths: NDArray[np.int64]) -> Bits:
    """Code lengths as differences, each in ones, a zero, and a sign where it is not 0."""
    steps = np.diff(lengths, prepend=FIRST_LENGTH)
    ones = np.abs(steps)
    unary = ((1 << ones) - 1) << 1
    signed = unary << 1 | (steps < 0)
    return Bits(np.where(ones > 0, signed, unary), ones + 1 + (ones > 0))
