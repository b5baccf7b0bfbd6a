"""Files to profile: one layer of any size, pruned networks, and damage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.conftest import ROOT
from tinyse.quant import IntegerLSTM, IntegerNetwork, Quantisation
from tinyse.tflite.builder import Builder
from tinyse.tflite.check import load
from tinyse.tflite.layout import FULLY_CONNECTED, OPERATORS
from tinyse.tflite.schema import schema_module
from tinyse.tflite.write import serialise

PUBLISHED = ROOT / "models" / "lstm_256" / "model.tflite"
MAX_POOL_2D = next(number for number, name in OPERATORS.items() if name == "MAX_POOL_2D")
VALID = 1  # Padding of the schema
Change = Callable[[NDArray[np.int8]], NDArray[np.int8]]


def gaussian(
    outputs: int, inputs: int, sigma: float = 32.0, zeros: float = 0.0, seed: int = 0
) -> NDArray[np.int8]:
    """int8 [outputs, inputs]: rounded normal values, zeros at random places."""
    random = np.random.default_rng(seed)
    values = np.clip(np.rint(random.normal(0, sigma, (outputs, inputs))), -127, 127)
    return (values * (random.random((outputs, inputs)) >= zeros)).astype(np.int8)


def one_layer(weights: NDArray[np.int8]) -> bytes:
    """A file that is one FULLY_CONNECTED with `weights` [outputs, inputs]."""
    builder = Builder(schema_module())
    outputs, inputs = weights.shape
    source = builder.tensor("x", (1, inputs), "int8", Quantisation(2.0**-5))
    matrix = builder.constant("layer/kernel", weights, [2.0**-9])
    bias = builder.constant("layer/bias", np.zeros(outputs, np.int32), [2.0**-14])
    target = builder.tensor("y", (1, outputs), "int8", Quantisation(2.0**-4))
    options = builder.schema.FullyConnectedOptionsT()
    builder.operator(FULLY_CONNECTED, 5, [source, matrix, bias], [target], options)
    return builder.finish([source], [target])


def one_operator(
    code: int, kind: str = "int8", shape: tuple[int, ...] = (1, 8), inputs: int = 1
) -> bytes:
    """A file of one operator without options, reading and writing maps of one shape."""
    builder = Builder(schema_module())
    quantisation = None if kind.startswith("float") else Quantisation(2.0**-5)
    sources = [builder.tensor(f"x{n}", shape, kind, quantisation) for n in range(inputs)]
    target = builder.tensor("y", shape, kind, quantisation)
    builder.operator(code, 1, sources, [target])
    return builder.finish(sources, [target])


def max_pool(size: int, channels: int, window: int) -> bytes:
    """A file that is one MAX_POOL_2D of a square map, the windows side by side."""
    builder = Builder(schema_module())
    shapes = ((1, side, side, channels) for side in (size, size // window))
    source, target = (builder.tensor("x", shape, "int8", Quantisation(2.0**-5)) for shape in shapes)
    options = builder.schema.Pool2DOptionsT()
    options.strideW = options.strideH = options.filterWidth = options.filterHeight = window
    options.padding = VALID
    builder.operator(MAX_POOL_2D, 2, [source], [target], options)
    return builder.finish([source], [target])


def write(folder: Path, data: bytes, name: str = "model.tflite") -> Path:
    """`data` as a file in `folder`."""
    path = folder / name
    path.write_bytes(data)
    return path


def published_network() -> IntegerNetwork:
    """The network of the published model."""
    return load(PUBLISHED).network


def with_weights(network: IntegerNetwork, change: Change) -> IntegerNetwork:
    """`network` with `change` made to every matrix [out, in]."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, IntegerLSTM):
            kernels = tuple(change(kernel) for kernel in layer.kernels)
            recurrents = tuple(change(recurrent) for recurrent in layer.recurrents)
            layers.append(dataclasses.replace(layer, kernels=kernels, recurrents=recurrents))
        else:
            layers.append(dataclasses.replace(layer, kernel=change(layer.kernel)))
    return dataclasses.replace(network, layers=tuple(layers))


def pruned(rows: int, columns: int, share: float) -> Change:
    """Zeroes that share of the blocks of rows x columns, at random."""
    random = np.random.default_rng(1)

    def change(weights: NDArray[np.int8]) -> NDArray[np.int8]:
        outputs, inputs = weights.shape
        grid = -(-outputs // rows), -(-inputs // columns)
        keep = random.permutation(np.arange(grid[0] * grid[1])).reshape(grid)
        keep = keep >= round(share * keep.size)
        mask = np.repeat(np.repeat(keep, rows, axis=0), columns, axis=1)[:outputs, :inputs]
        return np.where(mask, weights, 0).astype(np.int8)

    return change


def clustered(levels: int) -> Change:
    """Moves every value to the nearest of so many."""

    def change(weights: NDArray[np.int8]) -> NDArray[np.int8]:
        values = np.unique(np.rint(np.quantile(weights, (np.arange(levels) + 0.5) / levels)))
        nearest = np.abs(weights[..., None] - values).argmin(axis=-1)
        return values[nearest].astype(np.int8)

    return change


def published_as(change: Change, profile: str = "fused") -> bytes:
    """The published network with `change` made to its weights."""
    return serialise(with_weights(published_network(), change), profile)
