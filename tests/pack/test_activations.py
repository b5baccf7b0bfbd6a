"""The C tables are those that the arithmetic asks for, on all 65,536 inputs."""

from __future__ import annotations

import numpy as np

from tinyse.files import packaged
from tinyse.pack.activations import sigmoid_entries, tables_c, tanh_entries
from tinyse.quant import sigmoid_table, tanh_table

V = 3 * np.arange(-(1 << 15), 1 << 15)


def interpolated(entries, index):
    value = entries[index, 0] + V * entries[index, 1]
    return ((value + 2**31) % 2**32 - 2**31) >> 16


def test_sigmoid_is_exact():
    assert np.array_equal(interpolated(sigmoid_entries(), (V >> 9) + 192), sigmoid_table())


def test_tanh_is_exact():
    index = np.clip(V >> 8, -256, 255) + 256
    assert np.array_equal(interpolated(tanh_entries(), index), tanh_table(-12))


def test_the_written_file_is_current():
    assert packaged("firmware_harness", "src", "tables.c").read_text() == tables_c()
