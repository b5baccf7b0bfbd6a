"""The C tables of sigmoid and tanh: `firmware_harness/src/tables.c` is this module's text.

TFLite interpolates T[|v| >> bits] linearly, v = 3 x, and puts the sign back, rounding by it.  So do
the reference and the vector kernels on `curve`, which is T less 2^15 and so fits int16.

Scalar cores look up a sum instead: with the sign, the rounding and the start of the interval in a
base, y = (base + v * slope) >> 16 for either sign, modulo 2^32.  Base and slope are, before the
interval's start times the slope is taken from the base,

    sigmoid  q >= 0   512 T[q] + 512                  T[q+1] - T[q]     times 2^6
             q < 0    512 (65536 - T[u+1]) + 511      T[u+1] - T[u]     u = -q - 1
    tanh     q >= 0   256 T[q] - 2^23 + 128           T[q+1] - T[q]     times 2^8
             q < 0    2^23 - 256 T[u+1] + 127         T[u+1] - T[u]     the ends are constant

The slopes are the same but for a factor of 4, so one table of uint16, that of sigmoid, serves both.
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


def slopes() -> NDArray[np.int64]:
    """2^6 (T[q+1] - T[q]) [512] of q from -256 to 255, mirrored at 0."""
    rising = np.diff(curve()[: TANH_BELOW + 1])
    return np.concatenate([rising[::-1], rising]) << 6


def sigmoid_bases() -> NDArray[np.int64]:
    """[384] of v >> 9 from -192 to 191."""
    q = np.arange(-SIGMOID_BELOW, SIGMOID_BELOW)
    low, high = _around(q)
    at_start = np.where(q >= 0, 512 * low + 512, 512 * (65536 - high) + 511) << 6
    return _in_int32(at_start - (q << 9) * slopes()[q + TANH_BELOW])


def tanh_bases() -> NDArray[np.int64]:
    """[512] of v >> 8 from -256 to 255."""
    q = np.arange(-TANH_BELOW, TANH_BELOW)
    low, high = _around(q)
    at_start = np.where(q >= 0, 256 * low - 2**23 + 128, 2**23 - 256 * high + 127) << 8
    return _in_int32(at_start - 4 * (q << 8) * slopes())


def _around(q: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """T of both ends of the interval of |v|."""
    samples, u = curve() + (1 << 15), np.where(q >= 0, q, -q - 1)
    return samples[u], samples[u + 1]


def _in_int32(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return (values + 2**31) % 2**32 - 2**31


def tables_c() -> str:
    """The text of tables.c."""
    arrays = (
        _array("int16_t ts_curve[TS_CURVE]", curve(), 12, TANH_BELOW + 1),
        _array("int32_t ts_sigmoid_base[2 * TS_SIGMOID_BELOW]", sigmoid_bases(), 8),
        _array("int32_t ts_tanh_base[2 * TS_TANH_BELOW]", tanh_bases(), 8),
        _array("uint16_t ts_slope[2 * TS_TANH_BELOW]", slopes(), 12),
    )
    return _HEAD + "\n".join(arrays)


def _array(name: str, values: NDArray[np.int64], in_a_line: int, needed: int | None = None) -> str:
    """`needed` is how many of the values all processors have: the others have the rest too."""
    lines = _lines(values[:needed], in_a_line)
    if needed is not None:
        size = name[name.index("[") + 1 : -1]
        rest = _lines(values[needed:], in_a_line)
        lines += [f"#if {size} > {needed}", *rest, "#endif"]
    return "\n".join([f"const {name} = {{", *lines, "};", ""])


def _lines(values: NDArray[np.int64], in_a_line: int) -> list[str]:
    starts = range(0, len(values), in_a_line)
    return ["    " + " ".join(f"{x}," for x in values[at : at + in_a_line]) for at in starts]
