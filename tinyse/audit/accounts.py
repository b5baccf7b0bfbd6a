"""Byte accounts; there is no bare "size".

fp32         4 bytes per parameter
tflite       the file
dense        int8 weights and int32 biases
zip          deflate, level 9, of the file
decode       the file in TFLM's DECODE form, pruned matrices as bitmap and values
npu_weights  what the weight encoder of a named microNPU makes of all matrices; weights only
bound        entropy of mask and values of each matrix: what no order-0 coder can beat; weights
             only
"""

from __future__ import annotations

import contextlib
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from tinyse.audit.counts import matrices
from tinyse.errors import InputError, MissingExtra
from tinyse.pack.decode import encoded_size, write_decode
from tinyse.quant import IntegerDense, IntegerGRU, IntegerLayer, IntegerNetwork
from tinyse.tflite.check import CheckedFile, check_bytes
from tinyse.weight_encoder import encoded_bytes

ACCELERATOR = "ethos-u55-128"
ACCOUNTS = ("fp32", "tflite", "dense", "zip", "decode", "npu_weights", "bound")


def byte_accounts(file: CheckedFile) -> dict[str, int]:
    """The accounts of a file that need nothing but its bytes: those of the manifest."""
    plain = _plain_accounts(file.network.layers)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "fp32": plain["fp32"],
        "tflite": len(file.data),
        "dense": plain["dense"],
        "zip": len(deflate.compress(file.data) + deflate.flush()),
        "bound": plain["bound"],
    }


def _plain_accounts(layers: tuple[IntegerLayer, ...]) -> dict[str, int]:
    """The accounts that follow from the weights and biases alone."""
    weights = sum(_weights(layer) for layer in layers)
    biases = sum(_biases(layer) for layer in layers)
    return {
        "fp32": 4 * (weights + biases),
        "dense": weights + 4 * biases,
        "bound": math.ceil(sum(map(_bound_bits, _arrays(layers))) / 8),
    }


def all_accounts(file: CheckedFile, accelerator: str = ACCELERATOR) -> dict[str, int]:
    """Every account of a file; `decode` is left out where no package can write that form."""
    *plain, bound = byte_accounts(file).items()
    found = dict(plain)
    with contextlib.suppress(MissingExtra):
        found["decode"] = len(write_decode(file).data)
    arrays = _arrays(file.network.layers)
    found["npu_weights"] = sum(encoded_bytes(array, accelerator) for array in arrays)
    return found | dict([bound])


def account_bytes(
    network: IntegerNetwork,
    account: str,
    accelerator: str = ACCELERATOR,
    profile: str = "fused",
) -> int:
    """One account of a network, for whoever has a number of bytes to meet.

    Raises InputError for an account that is not there, and MissingExtra where the file cannot be
    written (`tflite`, `zip`, `decode`).
    """
    layers = network.layers
    if account == "npu_weights":
        return sum(encoded_bytes(array, accelerator) for array in _arrays(layers))
    if account in ("fp32", "dense", "bound"):
        return _plain_accounts(layers)[account]
    if account not in ACCOUNTS:
        raise InputError(
            f"there is no account {account!r}", "account", f"use {', '.join(ACCOUNTS)}"
        )
    from tinyse.tflite.write import serialise  # brings flatbuffers, which reading does not need

    return all_accounts(check_bytes(serialise(network, profile)), accelerator)[account]


def layer_accounts(layer: IntegerLayer, accelerator: str) -> dict[str, int]:
    """The accounts that a layer has a share in."""
    arrays, plain = _arrays((layer,)), _plain_accounts((layer,))
    return {
        "fp32": plain["fp32"],
        "dense": plain["dense"],
        "decode": sum(encoded_size(array) for array in arrays),
        "npu_weights": sum(encoded_bytes(array, accelerator) for array in arrays),
        "bound": plain["bound"],
    }


def matrix_accounts(array: NDArray[np.int8], accelerator: str) -> dict[str, int]:
    """The accounts of a matrix alone."""
    return {
        "fp32": 4 * array.size,
        "dense": array.size,
        "decode": encoded_size(array),
        "npu_weights": encoded_bytes(array, accelerator),
        "bound": math.ceil(_bound_bits(array) / 8),
    }


def _arrays(layers: tuple[IntegerLayer, ...]) -> list[NDArray[np.int8]]:
    return [array for layer in layers for _, array in matrices(layer)]


def _weights(layer: IntegerLayer) -> int:
    return sum(array.size for _, array in matrices(layer))


def _biases(layer: IntegerLayer) -> int:
    if isinstance(layer, IntegerDense):
        return layer.bias.size
    own = layer.recurrent_biases if isinstance(layer, IntegerGRU) else ()
    return sum(bias.size for bias in (*layer.biases, *own))


def _bound_bits(array: NDArray[np.int8]) -> float:
    """Mask entropy plus value entropy is the entropy of the bytes (chain rule)."""
    counts = np.bincount(np.asarray(array).ravel().view(np.uint8), minlength=256)
    shares = counts[counts > 0] / array.size
    return -array.size * float((shares * np.log2(shares)).sum())
