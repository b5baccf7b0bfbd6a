"""Zeros, dead blocks, empty rows and columns, and multiply-accumulates of integer matrices.

Sparsity is the share of weights that are zero, biases not counted.  A block R x C is R outputs by
C inputs inside one gate's matrix [out, in], the grid anchored at its row 0, column 0; blocks at
the far edges may be smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant import (
    GATES,
    GRU_GATES,
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerNetwork,
)
from tinyse.sparsity.groups import Structure, group_sizes, live_groups, parse_structure

Block = tuple[int, int]
DEFAULT_BLOCK: Block = (4, 4)
Arrays = list[NDArray[np.int8]]


def parse_block(text: str) -> Block:
    """(rows, columns) of a text like "4x4"."""
    try:
        found = parse_structure(f"block:{text}")
    except InputError as error:
        what = f"expected ROWSxCOLUMNS, of at most 4 digits, got {text!r}"
        raise InputError(what, "--block", "for example 4x4") from error
    return found.rows, found.columns


def block_name(block: Block) -> str:
    """ "4x4" of (4, 4)."""
    return f"{block[0]}x{block[1]}"


def matrices(layer: IntegerLayer) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """(name in the file, weights int8 [out, in]) of every matrix of a layer."""
    if isinstance(layer, IntegerDense):
        yield f"{layer.name}/kernel", layer.kernel
        return
    gates = GRU_GATES if isinstance(layer, IntegerGRU) else GATES
    for part, arrays in (("kernel", layer.kernels), ("recurrent", layer.recurrents)):
        for gate, array in zip(gates, arrays, strict=True):
            yield f"{layer.name}/{gate}_gate/{part}", array


def sparsity(network: IntegerNetwork, blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Share of zero weights and of dead blocks: whole, and per matrix."""
    named = [pair for layer in network.layers for pair in matrices(layer)]
    return {
        **_sparsity([array for _, array in named], blocks),
        "per_matrix": {name: _sparsity([array], blocks) for name, array in named},
    }


def _sparsity(arrays: Arrays, blocks: tuple[Block, ...]) -> dict[str, Any]:
    zero = sum(array.size - np.count_nonzero(array) for array in arrays)
    share = round(zero / sum(array.size for array in arrays), 6)
    return {"weights": share, "blocks": block_sparsities(arrays, blocks)}


def block_sparsities(arrays: Arrays, blocks: tuple[Block, ...]) -> dict[str, float]:
    """Share of dead blocks of each shape, over all of the arrays."""
    found = {}
    for block in blocks:
        live = [live_groups(Structure("block", *block), array) for array in arrays]
        dead = 1 - sum(int(groups.sum()) for groups in live) / sum(groups.size for groups in live)
        found[block_name(block)] = round(dead, 6)
    return found


def empty_lines(arrays: Arrays) -> dict[str, int]:
    """Rows (outputs) and columns (inputs) of the arrays without a non-zero weight."""
    return {
        "empty_rows": sum(int((~array.any(axis=1)).sum()) for array in arrays),
        "empty_columns": sum(int((~array.any(axis=0)).sum()) for array in arrays),
    }


def macs(network: IntegerNetwork, block: Block) -> dict[str, int]:
    """Multiply-accumulates per frame: of all weights, of non-zero ones, of those in live blocks."""
    return macs_of([array for layer in network.layers for _, array in matrices(layer)], block)


def macs_of(arrays: Arrays, block: Block) -> dict[str, int]:
    """The same of some matrices."""
    structure = Structure("block", *block)
    return {
        "dense": sum(array.size for array in arrays),
        "nonzero": sum(int(np.count_nonzero(array)) for array in arrays),
        "live": sum(
            int(group_sizes(structure, array.shape)[live_groups(structure, array)].sum())
            for array in arrays
        ),
    }
