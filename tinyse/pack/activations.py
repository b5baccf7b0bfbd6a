"""The C tables of sigmoid and tanh: `firmware_harness/src/tables.c` is this module's text.

TFLite interpolates T[|v| >> bits] linearly, v = 3 x, and puts the sign back, rounding by it.  So do
the reference and the vector kernels on `curve`, which is T less 2^15 and so fits int16.

Scalar cores look up a sum instead: with the sign, the rounding and the start of the interval in the
entries, y = (base + v * slope) >> 16 for either sign, modulo 2^32; base is, before the interval's
start times the slope is taken from it,

    sigmoid  q >= 0   512 T[q] + 512                  T[q+1] - T[q]     times 2^6
             q < 0    512 (65536 - T[u+1]) + 511      T[u+1] - T[u]     u = -q - 1
    tanh     q >= 0   256 T[q] - 2^23 + 128           T[q+1] - T[q]     times 2^8
             q < 0    2^23 - 256 T[u+1] + 127         T[u+1] - T[u]     the ends are constant
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyse.quant.tables import sigmoid_samples

SIGMOID_BELOW, TANH_BELOW = 192, 256
LONGEST = 384  # 3 * 32767 >> 8, and its neighbour
_HEAD = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* Written from tinyse/pack/activations.py; tables.h says what it is. */
#include "tables.h"

"""


def curve() -> NDArray[np.int64]:
    """T - 2^15 of q = 0 to 384; behind the 256 samples the last one, where tanh is 1."""
    samples = sigmoid_samples()
    return np.append(samples, np.full(LONGEST + 1 - len(samples), samples[-1])) - (1 << 15)


def sigmoid_entries() -> NDArray[np.int64]:
    """(base, slope) [384, 2] of v >> 9 from -192 to 191."""
    samples = sigmoid_samples()
    rows = []
    for q in range(-SIGMOID_BELOW, SIGMOID_BELOW):
        u = q if q >= 0 else -q - 1
        low, high = samples[u], samples[u + 1]
        rows.append((512 * low + 512 if q >= 0 else 512 * (65536 - high) + 511, high - low))
    return _from_zero(np.array(rows) << 6, -SIGMOID_BELOW, 9)


def tanh_entries() -> NDArray[np.int64]:
    """(base, slope) [512, 2] of v >> 8 from -256 to 255."""
    samples = sigmoid_samples()
    rows = [(255 - 65535 * 256 + (1 << 23) - 128, 0)]
    for q in range(-TANH_BELOW + 1, TANH_BELOW - 1):
        u = q if q >= 0 else -q - 1
        low, high = samples[u], samples[u + 1]
        rows.append((256 * low - 2**23 + 128 if q >= 0 else 2**23 - 256 * high + 127, high - low))
    rows.append((65535 * 256 - 2**23 + 128, 0))
    return _from_zero(np.array(rows) << 8, -TANH_BELOW, 8)


def _from_zero(entries: NDArray[np.int64], first: int, bits: int) -> NDArray[np.int64]:
    """Entries whose slope counts from v = 0, not from their own interval's start."""
    starts = (first + np.arange(len(entries))) << bits
    base = entries[:, 0] - starts * entries[:, 1]
    return np.stack([(base + 2**31) % 2**32 - 2**31, entries[:, 1]], axis=1)


def tables_c() -> str:
    """The text of tables.c."""
    arrays = (
        _array("int16_t ts_curve[TS_CURVE]", [f"{value}," for value in curve()], 12),
        _array("ts_entry ts_sigmoid_table[2 * TS_SIGMOID_BELOW]", _cells(sigmoid_entries()), 5),
        _array("ts_entry ts_tanh_table[2 * TS_TANH_BELOW]", _cells(tanh_entries()), 5),
    )
    return _HEAD + "\n".join(arrays)


def _cells(entries: NDArray[np.int64]) -> list[str]:
    return [f"{{{base}, {slope}}}," for base, slope in entries]


def _array(name: str, cells: list[str], in_a_line: int) -> str:
    starts = range(0, len(cells), in_a_line)
    lines = ["    " + " ".join(cells[at : at + in_a_line]) for at in starts]
    return "\n".join([f"const {name} = {{", *lines, "};", ""])
