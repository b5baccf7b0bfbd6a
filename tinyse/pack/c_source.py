"""A blob as C: `model.h` with its sizes and `model.c` with its bytes."""

from __future__ import annotations

import re

import numpy as np

from tinyse.pack.coded import CODED_HEADER
from tinyse.pack.format import ALIGNMENT, CACHE_LINE, HEADER, LAYER, Kind, Layout

_LINE = 16


def arena_bytes(data: bytes, pointer_bytes: int) -> int:
    """Arena that a plain blob needs: what tinyse_arena_bytes says where a pointer is so wide."""
    header = HEADER.unpack_from(data)
    layout, layers, matrices, inputs = header[2], *header[6:9]
    # The structs of firmware_harness/src/internal.h.
    a_model, a_layer, a_matrix = 8 * pointer_bytes, 4 * pointer_bytes, 6 * pointer_bytes + 16
    total = _padded(a_model) + _padded(layers * a_layer) + _padded(matrices * a_matrix)
    width, sums = _padded(inputs), 0
    for number in range(layers):
        kind, _, units, *_ = LAYER.unpack_from(data, header[15] + number * LAYER.size)
        units = _padded(units)
        is_lstm = kind == Kind.LSTM
        total += is_lstm * (units + 2 * units)
        width, sums = max(width, units), max(sums, (4 if is_lstm else 1) * units)
    prepared = 0 if layout == Layout.ROWS else 2 * width
    return total + 2 * sums + prepared + 2 * width


def _padded(count: int) -> int:
    return -(-count // 16) * 16


def unpacked_bytes(coded: bytes) -> int:
    """Bytes of the plain blob that a coded one unpacks to: what tinyse_plain_bytes says."""
    return CODED_HEADER.unpack_from(coded)[6]


def _literal(value: float) -> str:
    """A float32 in C: the fewest decimal digits that are this number and no other."""
    return f"{np.float32(value)}f"


def model_h(data: bytes, name: str, coded: bytes | None = None) -> str:
    """The header of a plain blob's array, and of its coded form where there is one.

    A name may come from a file of others; what could end the comment is left out.
    """
    inputs, outputs, *scales, input_zero, output_zero = HEADER.unpack_from(data)[8:14]
    input_scale, output_scale = map(_literal, scales)
    layout, title = Layout(data[6]).name.lower(), re.sub(r"[^A-Za-z0-9_.+ -]", "_", name)
    sizes = ""
    if coded is not None:
        sizes = f"""
/* Of model_coded.tsb, and of what tinyse_unpack makes of it. */
#define MODEL_CODED_BYTES {len(coded)}u
#define MODEL_UNPACKED_BYTES {unpacked_bytes(coded)}u
"""
    return f"""\
/* {title}, packed for layout `{layout}`.  Written by tinyse export --pack native. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_BYTES {len(data)}u
#define MODEL_INPUTS {inputs}u
#define MODEL_OUTPUTS {outputs}u
/* value = scale * (byte - zero), of a feature and of a gain of the mask. */
#define MODEL_INPUT_SCALE {input_scale}
#define MODEL_INPUT_ZERO ({input_zero})
#define MODEL_OUTPUT_SCALE {output_scale}
#define MODEL_OUTPUT_ZERO ({output_zero})
#if UINTPTR_MAX > 0xffffffffu
#define MODEL_ARENA_BYTES {arena_bytes(data, 8)}u
#else
#define MODEL_ARENA_BYTES {arena_bytes(data, 4)}u
#endif
{sizes}
extern const uint8_t model_tsb[MODEL_BYTES];

#endif
"""


def model_c(data: bytes) -> str:
    """The array of a plain blob: on the 16 bytes of tinyse_create, for hosts on a cache line."""
    alignment = CACHE_LINE if data[6] == Layout.LANES else ALIGNMENT
    rows = (data[at : at + _LINE] for at in range(0, len(data), _LINE))
    lines = "\n".join("    " + ",".join(map(str, row)) + "," for row in rows)
    return f"""\
#include "model.h"

__attribute__((aligned({alignment}))) const uint8_t model_tsb[MODEL_BYTES] = {{
{lines}
}};
"""
