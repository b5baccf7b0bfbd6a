"""Sigmoid and tanh as the exported operators compute them, each as a table over its whole input.

    sigmoid_samples()    the 256 samples that the next two interpolate
    sigmoid_table()      int16 Q3.12 [65536] -> Q0.15       gates i, f, o
    tanh_table(e)        int16, scale 2^e [65536] -> Q0.15  gate c (e = -12) and the cell state
    logistic_table(x)    int8 [256] -> int8, scale 1/256, zero point -128
    tanh8_table(x)       int8 [256] -> int8, scale 1/128, zero point 0

Tables are indexed by value - minimum.  Sources: the int16 `Logistic` and `Tanh` of
`tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h` over
`sigmoid_table_uint16` of `internal/common.h`; int8 LOGISTIC and TANH are gemmlowp's fixed-point
`logistic` and `tanh` (`fixedpoint/fixedpoint.h`) with the constants of
`micro/kernels/logistic_common.cc` and `tanh.cc`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tinyse.quant.scales import Multiplier, multiply

INT16 = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
INT8 = np.arange(-128, 128, dtype=np.int64)
INTEGER_BITS = 4  # of the fixed-point input of int8 LOGISTIC and TANH


# Entries of TFLite's table that lie one above the rounded sigmoid(i / 24).
RAISED = [
    *(4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39),
    *(40, 41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255),
]


@cache
def sigmoid_samples() -> NDArray[np.int64]:
    """`sigmoid_table_uint16`: sigmoid(i / 24) in Q0.16 [256]."""
    samples = np.floor(65536 / (1 + np.exp(-np.arange(256) / 24)) + 0.5).astype(np.int64)
    samples[RAISED] += 1
    return samples


def _interpolated(x: NDArray[np.int64], step_bits: int) -> NDArray[np.int64]:
    """The samples at |x| / 2^step_bits, linear in between, with step_bits fraction bits more."""
    magnitude = np.abs(x)
    index = magnitude >> step_bits
    inside = np.minimum(index, 254)
    low, high = sigmoid_samples()[inside], sigmoid_samples()[inside + 1]
    value = (low << step_bits) + (magnitude & ((1 << step_bits) - 1)) * (high - low)
    saturated = 0x7FFF << 10 if step_bits == 9 else 0xFFFF << 8
    return np.where(index >= 255, saturated, value)


@cache
def sigmoid_table() -> NDArray[np.int64]:
    """Q0.15 [65536] of every Q3.12 value: the samples reach 10.7, hence the factor 3."""
    x = 3 * INT16
    y = _interpolated(x, 9)
    return np.where(x >= 0, (y + 512) >> 10, ((1 << 25) - y + 511) >> 10)


@cache
def tanh_table(exponent: int) -> NDArray[np.int64]:
    """Q0.15 [65536] of every int16 value of scale 2^exponent."""
    shift = 12 + exponent
    x = INT16 * (3 << max(shift, 0))
    if shift < 0:
        x = (x + (1 << (-shift - 1))) >> -shift
    y = _interpolated(x, 8) - (1 << 23)
    return np.where(x >= 0, (y + 128) >> 8, (-y + 127) >> 8)


@cache
def logistic_table(scale: float, zero_point: int) -> NDArray[np.int64]:
    """Output byte int8 values [256] of every input byte of that scale and zero point."""
    y = _fixed_point(scale, zero_point, _fixed_logistic)
    rounded = ((y + (1 << 22)) >> 23) - 128  # y > 0: half up is half away
    return _saturated_outside(rounded, scale, zero_point)


@cache
def tanh8_table(scale: float, zero_point: int) -> NDArray[np.int64]:
    """The same of TANH: scale 1/128, zero point 0."""
    y = _fixed_point(scale, zero_point, _fixed_tanh)
    rounded = (y + (1 << 23) - (y < 0)) >> 24
    return _saturated_outside(rounded, scale, zero_point)


def _fixed_point(
    scale: float, zero_point: int, function: Callable[[int], int]
) -> NDArray[np.int64]:
    """`function` of every input byte in Q4.27; bytes beyond the radius count as at it."""
    ratio, radius = _radius(scale)
    inside = np.clip(INT8 - zero_point, -radius, radius)
    fixed = multiply(inside, Multiplier.of(ratio))
    return np.array([function(int(value)) for value in fixed], dtype=np.int64)


def _saturated_outside(
    values: NDArray[np.int64], scale: float, zero_point: int
) -> NDArray[np.int64]:
    radius, centred = _radius(scale)[1], INT8 - zero_point
    within = np.clip(values, -128, 127)
    return np.where(centred <= -radius, -128, np.where(centred >= radius, 127, within))


def _radius(scale: float) -> tuple[float, int]:
    """Steps of Q4.27 in one step of the input, and the steps from which on the output saturates."""
    ratio = scale * 2 ** (31 - INTEGER_BITS)
    limit = ((1 << INTEGER_BITS) - 1) * 2 ** (31 - INTEGER_BITS)
    return ratio, math.floor(limit / 2 ** math.frexp(ratio)[1])


def _high_product(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul of two int32."""
    if a == b == -(1 << 31):
        return (1 << 31) - 1
    return (a * b + (1 << 30)) >> 31


def _divide_by_power(x: int, exponent: int) -> int:
    """RoundingDivideByPOT: half away from zero."""
    if exponent == 0:
        return x
    return (x + (1 << (exponent - 1)) - (x < 0)) >> exponent


def _saturated_shift(x: int, exponent: int) -> int:
    return max(-(1 << 31), min((1 << 31) - 1, x << exponent))


def _fixed_logistic(x: int) -> int:
    """sigmoid of x (Q4.27) in Q0.31: gemmlowp's `logistic`."""
    if x == 0:
        return 1 << 30
    positive = _one_over_one_plus(_exp_of_negative(-abs(x), INTEGER_BITS))
    return positive if x > 0 else (1 << 31) - 1 - positive


def _fixed_tanh(x: int) -> int:
    """tanh of x (Q4.27) in Q0.31: gemmlowp's `tanh`, (1 - e) / (1 + e) of e = exp(-2 |x|)."""
    if x == 0:
        return 0
    # The same bits read as Q5.26 are twice the value.
    positive = _one_minus_over_one_plus(_exp_of_negative(-abs(x), INTEGER_BITS + 1))
    return positive if x > 0 else -positive


def _exp_of_negative(x: int, integer_bits: int) -> int:
    """exp of x <= 0 in Q0.31: a polynomial on [-1/4, 0), then one factor for each bit."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    remainder = (x & (quarter - 1)) - quarter
    result = _exp_near_zero(remainder << integer_bits)
    above = remainder - x
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, factor in zip(range(-2, 5), factors, strict=True):
        if exponent < integer_bits and above & (1 << (fraction_bits + exponent)):
            result = _high_product(result, factor)
    return (1 << 31) - 1 if x == 0 else result


def _exp_near_zero(a: int) -> int:
    """exp of a (Q0.31) in [-1/4, 0): a series around -1/8."""
    constant, third = 1895147668, 715827883  # exp(-1/8), 1/3
    x = a + (1 << 28)
    x2 = _high_product(x, x)
    x3 = _high_product(x2, x)
    x4 = _high_product(x2, x2)
    x4_over_4 = _divide_by_power(x4, 2)
    series = _divide_by_power(_high_product(x4_over_4 + x3, third) + x2, 1)
    return constant + _high_product(constant, x + series)


def _one_over_one_plus(a: int) -> int:
    """1 / (1 + a) of a in [0, 1) (Q0.31)."""
    return _saturated_shift(_inverse_of_half(a), 1)


def _one_minus_over_one_plus(a: int) -> int:
    """(1 - a) / (1 + a) of a in [0, 1) (Q0.31)."""
    return _saturated_shift(_inverse_of_half(a) - (1 << 29), 2)


def _inverse_of_half(a: int) -> int:
    """2 / (1 + a) of a in [0, 1) (Q0.31): three Newton steps in Q2.29 on (1 + a) / 2."""
    total = a + (1 << 31) - 1
    half = (total + 1) // 2 if total >= 0 else -((1 - total) // 2)
    x = 1515870810 + _high_product(half, -1010580540)  # 48/17 - 32/17 * half
    for _ in range(3):
        error = (1 << 29) - _high_product(half, x)
        x += _saturated_shift(_high_product(x, error), 2)
    return x
