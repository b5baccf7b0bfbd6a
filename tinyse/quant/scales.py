"""Scales of 12 significant bits and the product of an accumulator with a ratio of scales.

    ratio = q * 2^(s - 31),  2^30 <= q < 2^31
    multiply(x) = round(round(x * 2^max(s,0) * q / 2^31) / 2^max(-s,0))

The two roundings differ: the first takes a half up, the second a half away from zero.  Behind
16-bit activations an accumulator has 64 bits, the multiplier only 16 and there is one rounding:

    multiply_wide(x) = round(x * q16 * 2^(s - 15)),  q16 = q rounded to its upper 16 bits

Source: `MultiplyByQuantizedMultiplier` of int32 and of int64 in
`tensorflow/lite/kernels/internal/common.cc` (built without TFLITE_SINGLE_ROUNDING),
`QuantizeMultiplier` in `quantization_util.cc`, and gemmlowp's
`SaturatingRoundingDoublingHighMul` and `RoundingDivideByPOT`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def r12(scale: float) -> float:
    """`scale` rounded to 12 significant bits.

    The product of two such scales is exact in float32, so runtimes that multiply scales in
    float32 and those that do it in float64 (TFLM changed in October 2026) give the same bytes.
    """
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(round(mantissa * 4096) / 4096, exponent)


def quantize_multiplier(ratio: float) -> tuple[int, int]:
    """(q, s) of a ratio >= 0: q Q31 in [2^30, 2^31), s a power of two; (0, 0) below 2^-32."""
    if ratio == 0:
        return 0, 0
    mantissa, shift = math.frexp(ratio)
    # C's round takes a half away from zero; a double times 2^31 may end in exactly a half.
    q = math.floor(mantissa * 2**31 + 0.5)
    if q == 2**31:
        q, shift = q // 2, shift + 1
    return (0, 0) if shift < -31 else (q, shift)


@dataclass(frozen=True)
class Multiplier:
    """One ratio per output: q int64 [n] (Q31) and the powers of two int64 [n], or scalars."""

    q: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, ratios: NDArray | float) -> Multiplier:
        """Of ratios float64 [n] or one ratio."""
        pairs = [quantize_multiplier(float(ratio)) for ratio in np.atleast_1d(ratios)]
        q, shift = np.array(pairs, dtype=np.int64).T
        if np.ndim(ratios) == 0:
            q, shift = q[0], shift[0]
        return cls(q, np.maximum(shift, 0), np.maximum(-shift, 0))


def multiply(x: NDArray[np.int64], by: Multiplier) -> NDArray[np.int64]:
    """`x` int64 [..., n] times ratios, rounded twice; |x| * 2^left must stay below 2^31."""
    # Half up for both signs: the C code's nudge and truncation toward zero amount to this floor.
    high = ((x << by.left) * by.q + (1 << 30)) >> 31
    half = (1 << by.right) >> 1
    return (high + (half - ((high < 0) & (by.right > 0)))) >> by.right


def multiply_wide(x: NDArray[np.int64], by: Multiplier) -> NDArray[np.int64]:
    """`x` int64 [..., n] of an int64 accumulator times ratios below 2^7; |x| stays below 2^47."""
    q16 = np.where(by.q < 0x7FFF0000, (by.q + (1 << 15)) >> 16, 0x7FFF)
    shift = 15 - by.left + by.right
    return (x * q16 + (1 << (shift - 1))) >> shift
