"""The C tables are those that the arithmetic asks for, on all 65,536 inputs."""

from __future__ import annotations

import numpy as np

from tinyse.files import packaged
from tinyse.pack.activations import curve, sigmoid_bases, slopes, tables_c, tanh_bases
from tinyse.quant import sigmoid_table, tanh_table

V = 3 * np.arange(-(1 << 15), 1 << 15)


def upper_half(sums):
    return ((sums + 2**31) % 2**32 - 2**31) >> 16


def test_sigmoid_is_exact():
    q = V >> 9
    found = upper_half(sigmoid_bases()[q + 192] + V * slopes()[q + 256])
    assert np.array_equal(found, sigmoid_table())


def test_tanh_is_exact():
    q = np.clip(V >> 8, -256, 255)
    found = upper_half(tanh_bases()[q + 256] + 4 * V * slopes()[q + 256])
    assert np.array_equal(found, tanh_table(-12))


def test_slopes_fit_what_holds_them():
    assert slopes().min() >= 0 and slopes().max() < 2**16


def on_curve(v, bits):
    samples, rest = curve(), v & ((1 << bits) - 1)
    return samples[v >> bits] * ((1 << bits) - rest) + samples[(v >> bits) + 1] * rest


def test_both_are_exact_on_the_curve():
    """As tables.h computes them, for the reference and the vector kernels."""
    d = (on_curve(np.abs(V), 9) + 512) >> 10
    assert np.array_equal((1 << 14) + np.where(V < 0, -d, d), sigmoid_table())
    p = (on_curve(np.minimum(np.abs(V), 255 << 8), 8) + 128) >> 8
    assert np.array_equal(np.where(V < 0, -p, p), tanh_table(-12))


def test_in_16_bit_lanes_the_least_number_counts_as_its_neighbour():
    assert sigmoid_table()[0] == sigmoid_table()[1]
    assert tanh_table(-12)[0] == tanh_table(-12)[1]
    assert len(curve()) == (3 * 32767 >> 8) + 2


def test_the_written_file_is_current():
    assert packaged("firmware_harness", "src", "tables.c").read_text() == tables_c()
