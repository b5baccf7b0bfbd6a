"""The lookup tables against scalar forms of the C code and against real functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinyse.quant import logistic_table, sigmoid_table, tanh_table
from tinyse.quant.tables import sigmoid_samples

INT16 = np.arange(-32768, 32768)


def sigmoid_scalar(p: int) -> int:
    """`Logistic` of integer_ops/logistic.h with input_multiplier 3."""
    table = sigmoid_samples().tolist()
    x = 3 * p
    a = abs(x)
    k = a >> 9
    result = 0x7FFF << 10
    if k < 255:
        result = (table[k] << 9) + (a & 511) * (table[k + 1] - table[k])
    return (result + 512) >> 10 if x >= 0 else ((1 << 25) - result + 511) >> 10


def tanh_scalar(p: int, exponent: int) -> int:
    """`Tanh` of integer_ops/tanh.h: multiplier 3 << shift, or 3 and a rounding right shift."""
    table = sigmoid_samples().tolist()
    shift = 12 + exponent
    x = p * (3 << shift) if shift >= 0 else (3 * p + (1 << (-shift - 1))) >> -shift
    a = abs(x)
    k = a >> 8
    result = 0xFFFF << 8
    if k < 255:
        result = (table[k] << 8) + (a & 255) * (table[k + 1] - table[k])
    if x >= 0:
        return (result - (1 << 23) + (1 << 7)) >> 8
    return (-result + (1 << 23) + (1 << 7) - 1) >> 8


def test_samples_are_those_of_tflite():
    """Entries from both ends and the middle of `sigmoid_table_uint16`, and its sum."""
    samples = sigmoid_samples()
    assert samples[:8].tolist() == [32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513]
    assert samples[128:132].tolist() == [65221, 65234, 65246, 65258]
    assert samples[-3:].tolist() == [65534, 65534, 65535]
    assert samples.sum() == 15_670_629


def test_sigmoid_equals_the_c_code():
    rows = [*range(-32768, 32768, 37), -1, 0, 1, 32767]
    assert [int(sigmoid_table()[p + 32768]) for p in rows] == [sigmoid_scalar(p) for p in rows]


@pytest.mark.parametrize("exponent", [-18, -15, -13, -12, -11, -8, 0])
def test_tanh_equals_the_c_code(exponent):
    rows = [*range(-32768, 32768, 97), -1, 0, 1, 32767]
    table = tanh_table(exponent)
    assert [int(table[p + 32768]) for p in rows] == [tanh_scalar(p, exponent) for p in rows]


def test_tables_follow_the_real_functions():
    assert np.abs(sigmoid_table() / 32768 - 1 / (1 + np.exp(-INT16 / 4096))).max() < 5e-5
    assert np.abs(tanh_table(-12) / 32768 - np.tanh(INT16 / 4096)).max() < 1e-4
    assert np.abs(tanh_table(-11) / 32768 - np.tanh(INT16 / 2048)).max() < 1e-4


@pytest.mark.parametrize(("scale", "zero_point"), [(0.05, 0), (0.02, -128), (0.09, 40), (1e-3, 0)])
def test_logistic_is_the_rounded_sigmoid(scale, zero_point):
    x = (np.arange(-128, 128) - zero_point) * scale
    exact = 256 / (1 + np.exp(-x)) - 128
    found = logistic_table(scale, zero_point)
    assert np.abs(found - np.clip(exact, -128, 127)).max() < 0.51
    assert found.min() >= -128 and found.max() <= 127


def test_logits_beyond_the_bound_no_longer_change_the_byte():
    assert round(256 / (1 + math.exp(-6.24))) == 256 and round(256 / (1 + math.exp(6.24))) == 0
