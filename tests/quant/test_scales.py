"""Scales and requantisation against the C code, written out in plain integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tinyse.quant import Multiplier, multiply, multiply_wide, quantize_multiplier, r12

positive = st.floats(2.0**-30, 2.0**20, allow_subnormal=False)


def high_product(a: int, b: int) -> int:
    """gemmlowp SaturatingRoundingDoublingHighMul: nudge, then C's division toward zero."""
    product = a * b
    nudge = (1 << 30) if product >= 0 else 1 - (1 << 30)
    quotient = abs(product + nudge) // (1 << 31)
    return quotient if product + nudge >= 0 else -quotient


def divide_by_power(x: int, exponent: int) -> int:
    """gemmlowp RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def multiply_scalar(x: int, q: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier without TFLITE_SINGLE_ROUNDING."""
    return divide_by_power(high_product(x << max(shift, 0), q), max(-shift, 0))


@given(st.data(), st.integers(2**30, 2**31 - 1), st.integers(-31, 12))
def test_multiply_equals_the_c_code(data, q, shift):
    bound = (2**31 - 1) >> max(shift, 0)
    values = data.draw(st.lists(st.integers(-bound, bound), min_size=1, max_size=8))
    by = Multiplier(np.int64(q), np.int64(max(shift, 0)), np.int64(max(-shift, 0)))
    expected = [multiply_scalar(x, q, shift) for x in values]
    assert multiply(np.array(values, dtype=np.int64), by).tolist() == expected


@given(st.integers(-(2**20), 2**20), st.sampled_from([2.0**-15, 2.0**-23, 0.5, 1.0, 3.0]))
def test_ties_of_powers_of_two(x, ratio):
    """Exact halves are where the two roundings differ."""
    q, shift = quantize_multiplier(ratio)
    got = multiply(np.array([x], dtype=np.int64), Multiplier.of(ratio))
    assert got.tolist() == [multiply_scalar(x, q, shift)]


def test_multipliers_of_vectors_hold_one_ratio_an_output():
    ratios = np.array([0.3, 1e-4, 5.0, 0.0])
    x = np.array([[1000, -1000, 77, 99], [-1, 123456, -3, 5]], dtype=np.int64)
    expected = [
        [multiply_scalar(int(v), *quantize_multiplier(r)) for v, r in zip(row, ratios, strict=True)]
        for row in x
    ]
    assert multiply(x, Multiplier.of(ratios)).tolist() == expected


@given(positive)
@example(1.0)
@example(np.nextafter(1.0, 0.0))
def test_quantize_multiplier_is_the_nearest_31_bit_ratio(ratio):
    q, shift = quantize_multiplier(ratio)
    assert 2**30 <= q < 2**31
    error = abs(Fraction(q) * Fraction(2) ** (shift - 31) - Fraction(ratio))
    assert error <= Fraction(2) ** (shift - 32)


def test_quantize_multiplier_vanishes_below_its_range():
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)


@given(positive, positive)
def test_products_of_rounded_scales_are_exact_in_float32(a, b):
    a, b = r12(a), r12(b)
    assert float(np.float32(a) * np.float32(b)) == a * b


@given(positive)
def test_r12_keeps_twelve_bits_and_is_idempotent(scale):
    assert r12(r12(scale)) == r12(scale)
    assert abs(r12(scale) / scale - 1) <= 2.0**-12


@given(
    st.integers(-(2**46), 2**46),
    st.floats(2.0**-30, 2.0**6, exclude_min=True),
)
def test_the_wide_product_is_one_rounding_of_16_bits(x, ratio):
    """`MultiplyByQuantizedMultiplier` of int64, told with Python's integers."""
    q, shift = quantize_multiplier(ratio)
    q16 = (q + (1 << 15)) >> 16 if q < 0x7FFF0000 else 0x7FFF
    expected = (x * q16 + (1 << (14 - shift))) >> (15 - shift)
    assert int(multiply_wide(np.array([x]), Multiplier.of(np.array([ratio])))[0]) == expected
    assert abs(expected - x * ratio) <= 1 + abs(x * ratio) * 2.0**-14
