"""The records of a native blob (`.tsb`): little-endian, as docs/formats.md describes them.

    header | layers | matrices | tables, biases, multipliers | index | values | 64 zeros

The C side is firmware_harness/src/format.h; `reader` reads blobs without anything of this module.
"""

from __future__ import annotations

import struct
from enum import IntEnum

MAGIC = b"TSEB"
VERSION = 1
ALIGNMENT = 16
CACHE_LINE = 64  # of hosts: where values in lanes lie, and best the blob itself
READABLE = 64  # bytes behind the values that a vector load may touch
LARGEST = 4096  # inputs or units of a layer
NO_CLIP = 32768
FEATURES = b"FBW1"  # the feature set of tinyse.features: window, warp bank, floor

HEADER = struct.Struct("<4sHBBIIHHHHffhhIII16x")
LAYER = struct.Struct("<BxHHHhhhbbIiiiii")
MATRIX = struct.Struct("<IIIIIibBBxHHII")


class Layout(IntEnum):
    """How the weights of a tile lie, and so which kernels are fast on it."""

    ROWS = (
        0  # Cortex-M55: 4 rows one after the other, of 4 columns in a block, of 16 in a dense tile
    )
    PAIRS = 1  # Cortex-M4, M7: 4 x 4, two rows to an int16, 256 * lower + upper
    LANES = 2  # hosts: 16 rows x 4 columns, a dense tile or four blocks of four rows


class Kind(IntEnum):
    """What a layer is."""

    LSTM = 1
    DENSE = 2


class Form(IntEnum):
    """Which tiles of a matrix are stored."""

    ALL = 0
    BLOCKS = 1
