"""A blob as C: `model.h` with its sizes and `model.c` with its bytes."""

from __future__ import annotations

from tinyse.pack.format import ALIGNMENT, CACHE_LINE, HEADER, LAYER, Kind, Layout

_POINTER = 4  # bytes, on the microcontrollers that model.h is for
_MODEL, _LAYER, _MATRIX = 8 * _POINTER, 4 * _POINTER, 6 * _POINTER + 16  # structs of model.h
_LINE = 16


def arena_bytes(data: bytes) -> int:
    """Arena that a plain blob needs on a 32-bit processor: what tinyse_arena_bytes says there."""
    header = HEADER.unpack_from(data)
    layout, layers, matrices, inputs = header[2], *header[6:9]
    total = _padded(_MODEL) + _padded(layers * _LAYER) + _padded(matrices * _MATRIX)
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


def model_h(data: bytes, name: str) -> str:
    """The header of a plain blob's array."""
    layout = Layout(data[6]).name.lower()
    return f"""\
/* {name}, packed for layout `{layout}`.  Written by tinyse export --pack native. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_BYTES {len(data)}u
#define MODEL_ARENA_BYTES {arena_bytes(data)}u /* on a 32-bit processor */

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
