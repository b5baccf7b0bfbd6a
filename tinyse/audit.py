"""Sparsity, bytes and multiply-accumulates of a `.tflite`, from the file alone.

Sparsity is the share of weights that are zero, biases not counted.  A block R x C is R outputs by
C inputs inside one gate's matrix [out, in], the grid anchored at its row 0, column 0; blocks at
the far edges may be smaller.  Each byte account has its own name:

    fp32    4 bytes per parameter
    tflite  the file
    dense   int8 weights and int32 biases
    zip     deflate, level 9, of the file
    bound   entropy of mask and values of each matrix: what no order-0 coder can beat; weights only
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant import (
    GATES,
    IntegerDense,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.tflite.check import CheckedFile, load

SCHEMA = 1
Block = tuple[int, int]
DEFAULT_BLOCK: Block = (4, 4)


def inspect(path: Path | str, blocks: tuple[Block, ...] = (DEFAULT_BLOCK,)) -> dict[str, Any]:
    """Everything that can be told of the file `path`.

    `blocks` are the block shapes to count; the first one defines live multiply-accumulates.
    """
    file = load(path)
    network = file.network
    return {
        "schema": SCHEMA,
        "model": network.name,
        "file": Path(path).name,
        **interface(file),
        "sparsity": sparsity(network, blocks),
        "bytes": byte_accounts(file),
        "macs": {"block": _block_name(blocks[0]), **macs(network, blocks[0])},
        "layers": [_layer_row(layer, blocks[0]) for layer in network.layers],
    }


def interface(file: CheckedFile) -> dict[str, Any]:
    """Input, output and operators, as the manifest and `inspect` tell them."""
    network = file.network
    return {
        "input": _end(network.input, network.layers[0].width),
        "output": _end(network.output, network.layers[-1].units),
        "operators": [{"name": o.name, "version": o.version} for o in file.model.operators],
    }


def matrices(layer: IntegerLayer) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """(name in the file, weights int8 [out, in]) of every matrix of a layer."""
    if isinstance(layer, IntegerDense):
        yield f"{layer.name}/kernel", layer.kernel
        return
    for part, arrays in (("kernel", layer.kernels), ("recurrent", layer.recurrents)):
        for gate, array in zip(GATES, arrays, strict=True):
            yield f"{layer.name}/{gate}_gate/{part}", array


def byte_accounts(file: CheckedFile) -> dict[str, int]:
    """The byte accounts by name."""
    layers = file.network.layers
    weights = sum(_weights(layer) for layer in layers)
    biases = sum(_biases(layer) for layer in layers)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "fp32": 4 * (weights + biases),
        "tflite": len(file.data),
        "dense": weights + 4 * biases,
        "zip": len(deflate.compress(file.data) + deflate.flush()),
        "bound": math.ceil(sum(_bound_bits(layer) for layer in layers) / 8),
    }


def sparsity(network: IntegerNetwork, blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Share of zero weights and of dead blocks: whole, and per matrix."""
    named = [pair for layer in network.layers for pair in matrices(layer)]
    arrays = [array for _, array in named]
    return {
        **_sparsity(arrays, blocks),
        "per_matrix": {name: _sparsity([array], blocks) for name, array in named},
    }


def macs(network: IntegerNetwork, block: Block) -> dict[str, int]:
    """Multiply-accumulates per frame: of all weights, of non-zero ones, of those in live blocks."""
    rows = [_layer_macs(layer, block) for layer in network.layers]
    return {key: sum(row[key] for row in rows) for key in ("dense", "nonzero", "live")}


def parse_block(text: str) -> Block:
    """(rows, columns) of a text like "4x4"."""
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise InputError(f"expected ROWSxCOLUMNS, got {text!r}", "--block", "for example 4x4")
    return int(rows), int(columns)


def live_blocks(weights: NDArray[np.int8], block: Block) -> NDArray[np.bool_]:
    """Which blocks hold a non-zero weight: bool [ceil(out / R), ceil(in / C)]."""
    by_rows = np.logical_or.reduceat(weights != 0, np.arange(0, weights.shape[0], block[0]), axis=0)
    return np.logical_or.reduceat(by_rows, np.arange(0, weights.shape[1], block[1]), axis=1)


def _live_weights(weights: NDArray[np.int8], block: Block) -> int:
    spread = np.repeat(np.repeat(live_blocks(weights, block), block[0], 0), block[1], 1)
    return int(spread[: weights.shape[0], : weights.shape[1]].sum())


def _sparsity(arrays: list[NDArray[np.int8]], blocks: tuple[Block, ...]) -> dict[str, Any]:
    zero = sum(int((array == 0).sum()) for array in arrays)
    by_block = {}
    for block in blocks:
        live = np.concatenate([live_blocks(array, block).ravel() for array in arrays])
        by_block[_block_name(block)] = round(float(1 - live.mean()), 6)
    return {"weights": round(zero / sum(array.size for array in arrays), 6), "blocks": by_block}


def _block_name(block: Block) -> str:
    return f"{block[0]}x{block[1]}"


def _end(quantisation: Quantisation, width: int) -> dict[str, Any]:
    return {
        "type": "int8",
        "shape": [1, 1, width],
        "scale": quantisation.scale,
        "zero_point": quantisation.zero_point,
    }


def _weights(layer: IntegerLayer) -> int:
    return sum(array.size for _, array in matrices(layer))


def _biases(layer: IntegerLayer) -> int:
    return (4 if isinstance(layer, IntegerLSTM) else 1) * layer.units


def _bound_bits(layer: IntegerLayer) -> float:
    """Mask entropy plus value entropy is the entropy of the bytes (chain rule)."""
    total = 0.0
    for _, array in matrices(layer):
        counts = np.unique(array, return_counts=True)[1]
        total -= float((counts * np.log2(counts / array.size)).sum())
    return total


def _layer_macs(layer: IntegerLayer, block: Block) -> dict[str, int]:
    arrays = [array for _, array in matrices(layer)]
    return {
        "dense": sum(array.size for array in arrays),
        "nonzero": sum(int(np.count_nonzero(array)) for array in arrays),
        "live": sum(_live_weights(array, block) for array in arrays),
    }


def _layer_row(layer: IntegerLayer, block: Block) -> dict[str, Any]:
    counts = _layer_macs(layer, block)
    weights, biases = _weights(layer), _biases(layer)
    return {
        "name": layer.name,
        "kind": "lstm" if isinstance(layer, IntegerLSTM) else "dense",
        "inputs": layer.width,
        "units": layer.units,
        "weights": weights,
        "sparsity": round(1 - counts["nonzero"] / weights, 6),
        "macs": counts,
        "bytes": {
            "fp32": 4 * (weights + biases),
            "dense": weights + 4 * biases,
            "bound": math.ceil(_bound_bits(layer) / 8),
        },
    }
