"""A checked `.tflite` -> the native blob (`.tsb`) that firmware_harness/ runs.

One layout is fast on one kind of processor, and right on all of them:

    rows   Cortex-M55        pairs  Cortex-M4 and M7        lanes  x86 hosts

Matrices whose 4 x 4 tiles are mostly zero keep the live ones only; coarser blocks (8 x 4, 16 x 4)
are unions of these and cost what they hold.  Unit-pruned networks are dense, and smaller.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.pack.format import (
    ALIGNMENT,
    CACHE_LINE,
    HEADER,
    LARGEST,
    LAYER,
    MAGIC,
    MATRIX,
    NO_CLIP,
    READABLE,
    VERSION,
    Kind,
    Layout,
)
from tinyse.pack.frontend import frontend_tables
from tinyse.pack.tiles import Tiles, fits, pack_matrix, tile_shape
from tinyse.quant import (
    GATES,
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Multiplier,
    logistic_table,
    quantize_multiplier,
)

_Layer = IntegerLSTM | IntegerDense  # what the C kernels compute

GATE_SCALE = 2.0**-12  # Q3.12, what the gates' pre-activations are computed in
MOST_LEFT, MOST_RIGHT = 15, 31  # shifts that the C code takes
MOST_LEFT_OF_PAIRS = 6  # that smlad.c takes


@dataclass
class _Part:
    """A matrix on its way into the blob."""

    name: str
    tiles: Tiles
    rows: int
    columns: int
    bias: NDArray[np.int32] | None
    sums: NDArray[np.int32] | None
    q: NDArray[np.int64]
    shift: NDArray[np.int64]
    fast: bool
    slow: bool


@dataclass
class Blob:
    """A blob and what each part of it takes.

    accounts : layer -> part (values, index, biases, multipliers, table, records) -> bytes; the keys
               "header" and "front end" stand beside the layers; all of them add up to len(data)
    slow : names of the matrices that no fast loop takes whole
    """

    data: bytes
    layout: Layout
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)
    slow: list[str] = field(default_factory=list)


def pack(
    network: IntegerNetwork, layout: Layout, frontend: bool = True, blocks: bool = True
) -> Blob:
    """The blob of a network; with `frontend` also the tables of tinyse_process, where they fit.

    Without `blocks` every tile is stored: what an unstructured network is best unpacked to.

    Raises InputError where a kernel could not run a layer: a weight of -128, more than 4096 inputs
    or units, a multiplier out of range.
    """
    layers = [_accepted(layer) for layer in network.layers]
    writer = _Writer(layout)
    parts = [(layer, _parts(layer, layout, blocks)) for layer in layers]
    writer.reserve(parts)
    for layer, matrices in parts:
        writer.constants(layer, matrices)
    tables = frontend_tables(network) if frontend else None
    frontend_at = writer.add("front end", "tables", tables) if tables else 0
    for kind in ("index", "values"):
        for layer, matrices in parts:
            writer.tiles(layer, matrices, kind)
    return writer.finish(network, frontend_at)


def _accepted(layer: IntegerLayer) -> _Layer:
    """`layer`, where it is one that the C kernels compute."""
    if isinstance(layer, IntegerGRU) or (isinstance(layer, IntegerLSTM) and layer.gate_bits != 16):
        what = f"{type(layer).__name__.removeprefix('Integer')} in basic operators"
    elif layer.input.bits != 8 or layer.output.bits != 8:
        what = "activations of 16 bits"
    else:
        return layer
    remedy = "the C kernels take LSTM and dense layers of profile fused"
    raise InputError(what, layer.name, remedy)


def _parts(layer: _Layer, layout: Layout, blocks: bool) -> list[_Part]:
    if max(layer.width, layer.units) > LARGEST:
        what = f"{layer.width} inputs and {layer.units} units"
        raise InputError(f"{what}, the kernels take {LARGEST}", layer.name, "use smaller layers")
    if isinstance(layer, IntegerDense):
        scales = np.broadcast_to(layer.kernel_scales, layer.units)
        ratios = layer.input.scale * scales / layer.accumulated.scale
        zero = layer.input.zero_point
        name = f"{layer.name}/kernel"
        return [_part(name, layer.kernel, layer.bias, zero, ratios, layout, blocks, False)]
    parts = []
    for half, arriving in (("kernel", layer.input), ("recurrent", layer.hidden)):
        added = half == "recurrent"
        for gate, name in enumerate(GATES):
            weights = (layer.kernels if half == "kernel" else layer.recurrents)[gate]
            bias = layer.biases[gate] if half == "kernel" else np.zeros(layer.units, np.int32)
            of_gates = layer.kernel_scales if half == "kernel" else layer.recurrent_scales
            ratio = np.array([arriving.scale * of_gates[gate] / GATE_SCALE])
            full = f"{layer.name}/{name}_gate/{half}"
            zero = arriving.zero_point
            parts.append(_part(full, weights, bias, zero, ratio, layout, blocks, added))
    return parts


def _part(
    name: str,
    weights: NDArray[np.int8],
    bias: NDArray[np.integer],
    zero: int,
    ratios: NDArray[np.float64],
    layout: Layout,
    blocks: bool,
    added: bool,
) -> _Part:
    """A matrix packed; `added` where its products come on top of others."""
    if (weights == -128).any():
        raise InputError("a weight is -128", name, "quantise to -127..127")
    by = Multiplier.of(ratios[:1] if (ratios == ratios[0]).all() else ratios)
    if by.left.max() > MOST_LEFT or by.right.max() > MOST_RIGHT:
        raise InputError("a multiplier is out of range", name, "check the scales of its tensors")
    fast = fits(weights, bias, zero, by.left)
    if len(by.q) > 1:
        fast = fast and bool((by.right >= 1).all())
    tiles = pack_matrix(weights, layout, blocks)
    high = tile_shape(layout, tiles.form)[0]
    sums = weights.astype(np.int64).sum(axis=1)
    offset = None
    if layout is Layout.PAIRS:
        # The kernels see x - zero point, and add biases to sums that are doubled and shifted.
        whole = bias.astype(np.int64) << (by.left + 1)
        if np.abs(whole).max(initial=0) >= 1 << 31:
            raise InputError("a bias leaves int32", name, "check the scales of its tensors")
    else:
        whole = bias.astype(np.int64) - zero * sums
    if layout is Layout.LANES:
        offset = tiles.ordered(_padded(-128 * sums, high))
    # Without one the kernels add to zeros, which has no fast loop for multipliers by row.
    has_bias = bool(whole.any()) or len(by.q) > 1
    # What smlad.c and mve.c hand to the reference.
    slow = not fast or (layout is Layout.ROWS and added and has_bias)
    if layout is Layout.PAIRS and len(by.q) == 1:
        slow = slow or bool(by.left[0] > MOST_LEFT_OF_PAIRS)
    return _Part(
        name,
        tiles,
        weights.shape[0],
        weights.shape[1],
        tiles.ordered(_padded(whole, high)) if has_bias else None,
        offset,
        by.q,
        by.left - by.right,
        fast,
        slow,
    )


def _padded(values: NDArray, high: int) -> NDArray[np.int32]:
    return np.pad(values, (0, -len(values) % high)).astype("<i4")


class _Writer:
    """Puts parts behind one another, remembers where, and accounts for every byte."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        # A vector of 64 bytes that straddles cache lines takes two loads: half as long again.
        self.values_alignment = CACHE_LINE if layout is Layout.LANES else ALIGNMENT
        self.data = bytearray(HEADER.size)
        self.accounts: dict[str, dict[str, int]] = {"header": {"header": HEADER.size}}
        self.matrices: list[dict[str, int]] = []
        self.records: list[tuple[_Layer, list[_Part], int]] = []

    def add(self, owner: str, kind: str, data: bytes, alignment: int = 4) -> int:
        """Appends and returns the offset; padding counts for what comes after it."""
        before = len(self.data)
        self.data += bytes(-before % alignment)
        at = len(self.data)
        self.data += data
        account = self.accounts.setdefault(owner, {})
        account[kind] = account.get(kind, 0) + len(self.data) - before
        return at

    def reserve(self, parts: list[tuple[_Layer, list[_Part]]]) -> None:
        """Room for the records, which hold offsets of what follows."""
        self.layers_at = len(self.data)
        for layer, _ in parts:
            self.add(layer.name, "records", bytes(LAYER.size))
        self.matrices_at = len(self.data)
        for layer, matrices in parts:
            self.records.append((layer, matrices, len(self.matrices)))
            for _ in matrices:
                self.add(layer.name, "records", bytes(MATRIX.size))
                self.matrices.append({"index": 0, "bias": 0, "sums": 0, "row_q": 0, "table": 0})

    def _slot(self, layer: _Layer, number: int) -> dict[str, int]:
        first = next(first for owner, _, first in self.records if owner is layer)
        return self.matrices[first + number]

    def constants(self, layer: _Layer, matrices: list[_Part]) -> None:
        """Biases, row multipliers and the LOGISTIC table of a layer."""
        for number, part in enumerate(matrices):
            slot = self._slot(layer, number)
            if part.bias is not None:
                slot["bias"] = self.add(layer.name, "biases", part.bias.tobytes())
            if part.sums is not None:
                slot["sums"] = self.add(layer.name, "biases", part.sums.tobytes())
            if len(part.q) > 1:
                high = tile_shape(self.layout, part.tiles.form)[0]
                shifts = np.pad(part.shift, (0, -part.rows % high)).astype(np.int8)
                q = part.tiles.ordered(_padded(part.q, high))
                data = q.tobytes() + part.tiles.ordered(shifts).tobytes()
                slot["row_q"] = self.add(layer.name, "multipliers", data)
        if isinstance(layer, IntegerDense) and layer.logistic:
            table = logistic_table(layer.accumulated.scale, layer.accumulated.zero_point)
            data = table.astype(np.int8).tobytes()
            self._slot(layer, 0)["table"] = self.add(layer.name, "table", data)

    def tiles(self, layer: _Layer, matrices: list[_Part], kind: str) -> None:
        """The index or the values of a layer's matrices."""
        for number, part in enumerate(matrices):
            data = getattr(part.tiles, kind)
            if data or kind == "values":
                alignment = self.values_alignment if kind == "values" else 1
                self._slot(layer, number)[kind] = self.add(layer.name, kind, data, alignment)

    def finish(self, network: IntegerNetwork, frontend_at: int) -> Blob:
        """Writes the records and the header."""
        self.add("header", "readable", bytes(READABLE), 1)
        self.add("header", "readable", b"", ALIGNMENT)
        for number, (layer, matrices, first) in enumerate(self.records):
            record = _layer_record(layer, first, self.matrices[first]["table"])
            LAYER.pack_into(self.data, self.layers_at + number * LAYER.size, *record)
            for offset, part in enumerate(matrices):
                at = self.matrices_at + (first + offset) * MATRIX.size
                MATRIX.pack_into(
                    self.data, at, *_matrix_record(part, self.matrices[first + offset])
                )
        header = (
            MAGIC,
            VERSION,
            self.layout,
            0,
            len(self.data),
            0,
            len(self.records),
            len(self.matrices),
            network.layers[0].width,
            network.layers[-1].units,
            network.input.scale,
            network.output.scale,
            network.input.zero_point,
            network.output.zero_point,
            frontend_at,
            self.layers_at,
            self.matrices_at,
        )
        HEADER.pack_into(self.data, 0, *header)
        slow = [part.name for _, matrices, _ in self.records for part in matrices if part.slow]
        return Blob(with_checksum(bytes(self.data)), self.layout, self.accounts, slow)


def with_checksum(data: bytes) -> bytes:
    """The blob with the CRC-32 of everything behind the field, in the field."""
    return data[:12] + zlib.crc32(data[16:]).to_bytes(4, "little") + data[16:]


def _matrix_record(part: _Part, slot: dict[str, int]) -> tuple[int, ...]:
    single = len(part.q) == 1
    return (
        slot["values"],
        slot["index"],
        slot["bias"],
        slot["sums"],
        slot["row_q"],
        int(part.q[0]) if single else 0,
        int(part.shift[0]) if single else 0,
        part.tiles.form,
        part.fast,
        part.rows,
        part.columns,
        part.tiles.count,
        len(part.tiles.index),
    )


def _layer_record(layer: _Layer, first: int, table: int) -> tuple[int, ...]:
    kind = Kind.LSTM if isinstance(layer, IntegerLSTM) else Kind.DENSE
    shape = (kind, layer.width, layer.units, first)
    if isinstance(layer, IntegerDense):
        zero = layer.accumulated.zero_point
        low = zero if layer.relu else -128
        return (*shape, layer.input.zero_point, zero, low, 0, 0, table, 0, 0, 0, 0, 0)
    enter_q, enter_shift = _multiplier(layer, 2.0**-30 / layer.cell_scale)
    leave_q, leave_shift = _multiplier(layer, 2.0**-30 / layer.hidden.scale)
    clip = int(min(layer.cell_clip / layer.cell_scale, 32767)) if layer.cell_clip > 0 else NO_CLIP
    up = 12 + layer.cell_exponent
    zeros = (layer.input.zero_point, layer.hidden.zero_point)
    tanh = (3 << max(up, 0), max(-up, 0))
    return (*shape, *zeros, 0, enter_shift, leave_shift, 0, clip, *tanh, enter_q, leave_q)


def _multiplier(layer: IntegerLSTM, ratio: float) -> tuple[int, int]:
    q, shift = quantize_multiplier(ratio)
    if not -MOST_RIGHT <= shift <= MOST_LEFT:
        raise InputError(
            "a multiplier is out of range", layer.name, "check the scales of its states"
        )
    return q, shift
