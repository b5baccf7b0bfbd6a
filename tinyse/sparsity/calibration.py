"""What every matrix reads: a float forward pass in NumPy that keeps the inputs.

    features [S, T, n] -> LSTM or GRU .. -> Dense ReLU .. -> Dense sigmoid -> mask [S, T, m]

S sequences from a zero state, in float32.  It needs no Keras, and it is not the truth about
quality: that is the exported file's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.sparsity.graph import layers_of
from tinyse.sparsity.groups import Weights, gate_letters

Sequence = NDArray[np.float32]


@dataclass(frozen=True)
class Pass:
    """Mask [S, T, m]; inputs [S, T, n] and products, biases in them, [S, T, gates * u] by array.

    Of a GRU's candidate the product of the recurrent kernel is that before the reset gate.
    """

    mask: Sequence
    inputs: dict[str, Sequence]
    products: dict[str, Sequence]


def forward(weights: Weights, features: Sequence, until: str | None = None) -> Pass:
    """The pass over features [S, T, n] or [T, n], up to and with the layer `until` where given."""
    x = np.asarray(features, np.float32)
    x = x[None] if x.ndim == 2 else x
    layers = layers_of(weights)
    if x.ndim != 3 or x.shape[2] != weights[f"{layers[0]}/kernel"].shape[0]:
        width = weights[f"{layers[0]}/kernel"].shape[0]
        raise InputError(f"expected [S, T, {width}], got {list(np.shape(features))}", "calibration")
    inputs: dict[str, Sequence] = {}
    products: dict[str, Sequence] = {}
    for layer in layers:
        inputs[f"{layer}/kernel"] = x
        recurrent = {3: _gru, 4: _lstm}.get(len(gate_letters(weights, layer)))
        if recurrent is None:
            product = x @ weights[f"{layer}/kernel"] + weights[f"{layer}/bias"]
            products[f"{layer}/kernel"] = product
            last = layer == layers[-1]
            x = _sigmoid(product) if last else np.maximum(product, 0)
        else:
            x, heard = recurrent(weights, layer, x, products)
            inputs[f"{layer}/recurrent"] = heard
        if layer == until:
            break
    return Pass(x, inputs, products)


def energies(inputs: dict[str, Sequence]) -> dict[str, NDArray[np.float64]]:
    """E x^2 of every input of every array, for saliencies."""
    return {key: np.mean(np.square(x, dtype=np.float64), axis=(0, 1)) for key, x in inputs.items()}


def _sigmoid(x: Sequence) -> Sequence:
    return (1 / (1 + np.exp(-np.clip(x, -80, 80)))).astype(np.float32)


def _lstm(
    weights: Weights, layer: str, x: Sequence, products: dict[str, Sequence]
) -> tuple[Sequence, Sequence]:
    """Outputs [S, T, u], and what the recurrent kernel reads: the outputs one frame before."""
    recurrent, bias = weights[f"{layer}/recurrent"], weights[f"{layer}/bias"]
    clip = float(weights.get(f"{layer}/cell_clip", 0.0))
    z = x @ weights[f"{layer}/kernel"] + bias
    fed_back = np.empty_like(z)
    hidden = np.zeros((*x.shape[:2], recurrent.shape[0]), np.float32)
    heard = np.zeros_like(hidden)
    h = c = hidden[:, 0]
    for t in range(x.shape[1]):
        heard[:, t] = h
        fed_back[:, t] = h @ recurrent
        i, f, g, o = np.split(z[:, t] + fed_back[:, t], 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        c = np.clip(c, -clip, clip) if clip else c
        h = _sigmoid(o) * np.tanh(c)
        hidden[:, t] = h
    products[f"{layer}/kernel"], products[f"{layer}/recurrent"] = z, fed_back
    return hidden, heard


def _gru(
    weights: Weights, layer: str, x: Sequence, products: dict[str, Sequence]
) -> tuple[Sequence, Sequence]:
    """The same of Keras' GRU that resets after the product; bias [2, 3u], or [3u] with one row."""
    recurrent = weights[f"{layer}/recurrent"]
    bias = weights[f"{layer}/bias"].reshape(-1, recurrent.shape[1])
    z = x @ weights[f"{layer}/kernel"] + bias[0]
    fed_back = np.empty_like(z)
    hidden = np.zeros((*x.shape[:2], recurrent.shape[0]), np.float32)
    heard = np.zeros_like(hidden)
    h = hidden[:, 0]
    for t in range(x.shape[1]):
        heard[:, t] = h
        fed_back[:, t] = h @ recurrent + (bias[1] if len(bias) > 1 else 0)
        (kz, kr, kh), (rz, rr, rh) = (np.split(p[:, t], 3, axis=1) for p in (z, fed_back))
        update, reset = _sigmoid(kz + rz), _sigmoid(kr + rr)
        h = update * h + (1 - update) * np.tanh(kh + reset * rh)
        hidden[:, t] = h
    products[f"{layer}/kernel"], products[f"{layer}/recurrent"] = z, fed_back
    return hidden, heard
