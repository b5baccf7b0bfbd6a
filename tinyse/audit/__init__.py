"""Sparsity, bytes and multiply-accumulates of a `.tflite`, from the file alone.

counts     zeros, dead blocks, empty rows and columns, multiply-accumulates of matrices
accounts   bytes, each account under its own name

A file in TFLM's DECODE form is told as the network that it decodes to; `tflite` and `zip` are
those of the file as it lies there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinyse.audit.accounts import (
    ACCELERATOR,
    ACCOUNTS,
    account_bytes,
    all_accounts,
    byte_accounts,
    layer_accounts,
    matrix_accounts,
)
from tinyse.audit.counts import (
    DEFAULT_BLOCK,
    Block,
    block_name,
    block_sparsities,
    empty_lines,
    macs,
    macs_of,
    matrices,
    parse_block,
    sparsity,
)
from tinyse.files import read_bytes
from tinyse.pack.decode import check_decode, is_decode
from tinyse.quant import IntegerLayer, Quantisation
from tinyse.sparsity.dead import living_units
from tinyse.sparsity.offline import weights_of
from tinyse.tflite.check import CheckedFile, check_bytes
from tinyse.tflite.read import Tensor, parse_model

SCHEMA = 1

__all__ = [
    "ACCELERATOR",
    "ACCOUNTS",
    "DEFAULT_BLOCK",
    "account_bytes",
    "all_accounts",
    "byte_accounts",
    "inspect",
    "interface",
    "macs",
    "matrices",
    "parse_block",
    "read_any_form",
    "sparsity",
]


def inspect(
    path: Path | str, blocks: tuple[Block, ...] = (DEFAULT_BLOCK,), accelerator: str = ACCELERATOR
) -> dict[str, Any]:
    """Everything that can be told of the file `path`.

    `blocks` are the block shapes to count; the first one defines live multiply-accumulates.
    `accelerator` is the microNPU whose weight encoder the account `npu_weights` counts for.
    """
    file = read_any_form(path)
    network = file.network
    living = living_units(weights_of(network))
    dead = {name: int((~units).sum()) for name, units in living.items()}
    return {
        "schema": SCHEMA,
        "model": network.name,
        "file": Path(path).name,
        **interface(file),
        "sparsity": sparsity(network, blocks),
        "bytes": all_accounts(file, accelerator),
        "npu_accelerator": accelerator,
        "macs": {"block": block_name(blocks[0]), **macs(network, blocks[0])},
        "layers": [
            _layer_row(layer, dead.get(layer.name, 0), blocks, accelerator)
            for layer in network.layers
        ],
    }


def read_any_form(path: Path | str) -> CheckedFile:
    """The checked file `path`, its weights plain or in the DECODE form."""
    path = Path(path)
    data = read_bytes(path)
    is_packed = is_decode(parse_model(data, path))
    return check_decode(data, path) if is_packed else check_bytes(data, path)


def interface(file: CheckedFile) -> dict[str, Any]:
    """Input, output and operators, as the manifest and `inspect` tell them."""
    network, model = file.network, file.model
    return {
        "input": _end(network.input, model.tensors[model.inputs[0]]),
        "output": _end(network.output, model.tensors[model.outputs[0]]),
        "operators": [{"name": o.name, "version": o.version} for o in file.model.operators],
    }


def _end(quantisation: Quantisation, tensor: Tensor) -> dict[str, Any]:
    return {
        "type": tensor.type,
        "shape": list(tensor.shape),
        "scale": quantisation.scale,
        "zero_point": quantisation.zero_point,
    }


def _layer_row(
    layer: IntegerLayer, dead: int, blocks: tuple[Block, ...], accelerator: str
) -> dict[str, Any]:
    arrays = [array for _, array in matrices(layer)]
    return {
        "name": layer.name,
        "kind": type(layer).__name__.removeprefix("Integer").lower(),
        "inputs": layer.width,
        "units": layer.units,
        "dead_units": dead,
        "weights": sum(array.size for array in arrays),
        **_measured(arrays, blocks),
        "bytes": layer_accounts(layer, accelerator),
        "matrices": [
            {
                "name": name,
                "shape": list(array.shape),
                **_measured([array], blocks),
                "bytes": matrix_accounts(array, accelerator),
            }
            for name, array in matrices(layer)
        ],
    }


def _measured(arrays: list, blocks: tuple[Block, ...]) -> dict[str, Any]:
    counts = macs_of(arrays, blocks[0])
    return {
        "sparsity": round(1 - counts["nonzero"] / counts["dense"], 6),
        "blocks": block_sparsities(arrays, blocks),
        **empty_lines(arrays),
        "macs": counts,
    }
