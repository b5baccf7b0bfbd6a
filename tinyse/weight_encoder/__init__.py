"""The weight stream of the Arm Ethos-U: how many bytes a matrix takes in flash, from its values.

    from tinyse.weight_encoder import encoded_bytes
    encoded_bytes(weights, "ethos-u55-128")      weights int8 [out, in] -> bytes, int

That is the account `npu_weights` of one matrix; that of a network is the sum over its matrices.
Scale records (10 bytes an output) are not in it.

order      in which order the weights stand in the stream
sections   how many bits a stream takes

The size depends on how many zeros there are and on the spread of the other values, hardly on
where the zeros are.  Vela 5.2 writes the same number of bytes within 0.2 %, most often exactly;
of a sparse network that it parts into many streams, 1.2 % more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.weight_encoder.cache import remembered
from tinyse.weight_encoder.order import Order, streams
from tinyse.weight_encoder.sections import stream_bytes

__all__ = [
    "ACCELERATORS",
    "Encoded",
    "Order",
    "encode",
    "encode_fast",
    "encoded_bytes",
    "stream_bytes",
    "two_of_four",
]

FAST_HEADER_BYTES = FAST_ALIGNMENT_BYTES = 32

# Micro-block rows and decoders: what the size depends on besides the weights.
ROWS_U55 = {"ethos-u55-32": 4, "ethos-u55-64": 8, "ethos-u55-128": 8, "ethos-u55-256": 8}
CORES_U65 = {"ethos-u65-256": 1, "ethos-u65-512": 2}
ROWS_U85 = {"ethos-u85-128": 8, "ethos-u85-256": 8, "ethos-u85-512": 16}
ACCELERATORS = (*ROWS_U55, *CORES_U65, *ROWS_U85)


@dataclass(frozen=True)
class Encoded:
    """What became of a weight tensor.

    bytes : length of all streams
    values : weights with padding
    zeros : zeros that were left out and coded as runs
    distinct : different values, padding included
    """

    bytes: int
    values: int
    zeros: int
    distinct: int


def encoded_bytes(weights: NDArray[np.int8], accelerator: str) -> int:
    """Bytes of a fully connected layer's weights int8 [out, in] in the stream of `accelerator`.

    InputError names an accelerator that is not known.
    """
    order = matrix_order(accelerator, *weights.shape)
    return encode(weights[:, None, None, :], order).bytes


def encode(weights: NDArray[np.integer], order: Order) -> Encoded:
    """The standard format of `weights` [out, height, width, in]; zero is the value 0."""
    return remembered(_encode, weights, order)


def _encode(weights: NDArray[np.integer], order: Order) -> Encoded:
    ordered = streams(weights, order)
    sizes = [stream_bytes(values) for values in ordered]
    return Encoded(
        bytes=sum(size for size, _ in sizes),
        values=sum(len(values) for values in ordered),
        zeros=sum(zeros for _, zeros in sizes),
        distinct=_distinct(ordered),
    )


def encode_fast(weights: NDArray[np.integer], order: Order, raw: bool = False) -> Encoded:
    """The Ethos-U85's fast format: every value in 8 bits, or in 2 or 4 where few are in use.

    `raw` forbids the short forms, which do not go with 2 of 4.
    """
    ordered = streams(weights, order)
    distinct, values = _distinct(ordered), sum(map(len, ordered))
    bits = 8 if raw or distinct > 16 else 4 if distinct > 4 else 2
    size = FAST_HEADER_BYTES + -(-values * bits // 8)
    size = -(-size // FAST_ALIGNMENT_BYTES) * FAST_ALIGNMENT_BYTES
    return Encoded(size, values, 0, distinct)


def two_of_four(weights: NDArray[np.integer]) -> bool:
    """Whether every four neighbouring inputs [out, height, width, in] hold two zeros or more."""
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 0), (0, -weights.shape[3] % 4)))
    groups = padded.reshape(*padded.shape[:3], -1, 4)
    return bool(((groups == 0).sum(axis=4) >= 2).all() and np.abs(padded.astype(int)).max() <= 127)


def matrix_order(accelerator: str, outputs: int, inputs: int) -> Order:
    """The order of a matrix [outputs, inputs] with int8 inputs and blocks as deep as they come."""
    if accelerator in ROWS_U85:
        rows = ROWS_U85[accelerator]
        depth = min(1024 if rows == 16 else 512, _up(outputs, 16))
        kernel_first = inputs <= 32  # as a kernel of one element, padded to five
        columns = 16 if kernel_first else 64
        return Order(
            outputs=depth, rows=rows, inputs=columns, chunk=columns, decoders=rows // 8,
            elements=5 if kernel_first else 1, serpentine=True,
        )  # fmt: skip
    if accelerator not in ACCELERATORS:
        raise InputError(
            f"unknown accelerator {accelerator!r}", "--accelerator",
            f"use one of {', '.join(ACCELERATORS)}",
        )  # fmt: skip
    rows, cores = ROWS_U55.get(accelerator, 8), CORES_U65.get(accelerator, 1)
    depth = min(128, _up(outputs, 16))
    if inputs <= 8:
        return Order(depth, rows, 16, 8, elements=4, decoders=cores, interleaved=True)
    return Order(depth, rows, 32, 32, decoders=cores, interleaved=True)


def _distinct(ordered: list[NDArray[np.integer]]) -> int:
    return len(np.unique(np.concatenate([np.unique(values) for values in ordered])))


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
