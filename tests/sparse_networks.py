"""Networks with dead blocks: random ones, and the published weights cut by magnitude."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinyse.files import packaged
from tinyse.quant import IntegerDense, IntegerNetwork, quantise_network, read_weights

Cut = Callable[[NDArray], NDArray]


def by_magnitude(rows: int, columns: int, sparsity: float) -> Cut:
    """Keeps the blocks of largest energy of each matrix [out, in]."""

    def cut(weights: NDArray) -> NDArray:
        high, wide = weights.shape
        padded = np.pad(weights.astype(np.float64), ((0, -high % rows), (0, -wide % columns)))
        blocks = padded.reshape(len(padded) // rows, rows, -1, columns)
        energy = (blocks**2).sum(axis=(1, 3))
        kept = max(round(energy.size * (1 - sparsity)), 1)
        keep = energy >= np.sort(energy.ravel())[-kept]
        mask = np.kron(keep, np.ones((rows, columns)))[:high, :wide]
        return (weights * mask).astype(weights.dtype)

    return cut


def cut_network(network: IntegerNetwork, cut: Cut) -> IntegerNetwork:
    """An integer network with every matrix cut."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, IntegerDense):
            layers.append(dataclasses.replace(layer, kernel=cut(layer.kernel)))
            continue
        kernels, recurrents = (tuple(map(cut, part)) for part in (layer.kernels, layer.recurrents))
        layers.append(dataclasses.replace(layer, kernels=kernels, recurrents=recurrents))
    return dataclasses.replace(network, layers=tuple(layers))


def published(cut: Cut | None = None, model: str = "lstm_256") -> IntegerNetwork:
    """A published model's network, its float weights cut before they are quantised."""
    network = read_weights(packaged("models", model, "weights.npz"))
    layers = []
    for layer in network.layers if cut else ():
        gates = 4 if layer.kind == "lstm" else 1
        recurrent = None if layer.recurrent is None else _cut_gates(layer.recurrent, gates, cut)
        kernel = _cut_gates(layer.kernel, gates, cut)
        layers.append(dataclasses.replace(layer, kernel=kernel, recurrent=recurrent))
    if cut:
        network = dataclasses.replace(network, layers=tuple(layers))
    return quantise_network(network, model)


def _cut_gates(weights: NDArray, gates: int, cut: Cut) -> NDArray:
    return np.concatenate([cut(part.T).T for part in np.split(weights, gates, axis=1)], axis=1)
