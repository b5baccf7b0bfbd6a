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
    """Output [S, T, m] of a network or a layer; inputs [S, T, n] of its arrays by their name."""

    output: Sequence
    inputs: dict[str, Sequence]


def forward(weights: Weights, features: Sequence) -> Pass:
    """The pass over features [S, T, n] or [T, n]; its output is the mask."""
    x = sequences(weights, features)
    inputs: dict[str, Sequence] = {}
    for layer in layers_of(weights):
        one = layer_forward(weights, layer, x)
        x = one.output
        inputs |= one.inputs
    return Pass(x, inputs)


def sequences(weights: Weights, features: Sequence) -> Sequence:
    """Features as [S, T, n] float32; InputError where they do not fit the first layer."""
    x = np.asarray(features, np.float32)
    x = x[None] if x.ndim == 2 else x
    width = weights[f"{layers_of(weights)[0]}/kernel"].shape[0]
    if x.ndim != 3 or x.shape[2] != width:
        raise InputError(f"expected [S, T, {width}], got {list(np.shape(features))}", "calibration")
    return x


def layer_forward(weights: Weights, layer: str, x: Sequence) -> Pass:
    """One layer over its inputs [S, T, n]."""
    projected = x @ weights[f"{layer}/kernel"]
    inputs = {f"{layer}/kernel": x}
    recurrent = {3: _gru, 4: _lstm}.get(len(gate_letters(weights, layer)))
    if recurrent is not None:
        output, inputs[f"{layer}/recurrent"] = recurrent(weights, layer, projected)
        return Pass(output, inputs)
    product = projected + weights[f"{layer}/bias"]
    is_last = layer == layers_of(weights)[-1]
    return Pass(_sigmoid(product) if is_last else np.maximum(product, 0), inputs)


def energies(inputs: dict[str, Sequence]) -> dict[str, NDArray[np.float64]]:
    """E x^2 of every input of every array, for saliencies."""
    return {key: np.mean(np.square(x, dtype=np.float64), axis=(0, 1)) for key, x in inputs.items()}


def _sigmoid(x: Sequence) -> Sequence:
    return (0.5 * np.tanh(0.5 * x) + 0.5).astype(np.float32)


def _lstm(weights: Weights, layer: str, projected: Sequence) -> tuple[Sequence, Sequence]:
    """Outputs [S, T, u], and what the recurrent kernel reads: the outputs one frame before."""
    recurrent = weights[f"{layer}/recurrent"]
    clip = float(weights.get(f"{layer}/cell_clip", 0.0))
    projected = projected + weights[f"{layer}/bias"]
    hidden = np.zeros((*projected.shape[:2], recurrent.shape[0]), np.float32)
    heard = np.zeros_like(hidden)
    h = c = hidden[:, 0]
    for t in range(projected.shape[1]):
        heard[:, t] = h
        i, f, g, o = np.split(projected[:, t] + h @ recurrent, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        c = np.clip(c, -clip, clip) if clip else c
        h = _sigmoid(o) * np.tanh(c)
        hidden[:, t] = h
    return hidden, heard


def _gru(weights: Weights, layer: str, projected: Sequence) -> tuple[Sequence, Sequence]:
    """The same of Keras' GRU that resets after the product; bias [2, 3u], or [3u] with one row."""
    recurrent = weights[f"{layer}/recurrent"]
    bias = weights[f"{layer}/bias"].reshape(-1, recurrent.shape[1])
    own = bias[1] if len(bias) > 1 else 0
    projected = projected + bias[0]
    hidden = np.zeros((*projected.shape[:2], recurrent.shape[0]), np.float32)
    heard = np.zeros_like(hidden)
    h = hidden[:, 0]
    for t in range(projected.shape[1]):
        heard[:, t] = h
        kz, kr, kh = np.split(projected[:, t], 3, axis=1)
        rz, rr, rh = np.split(h @ recurrent + own, 3, axis=1)
        update, reset = _sigmoid(kz + rz), _sigmoid(kr + rr)
        h = update * h + (1 - update) * np.tanh(kh + reset * rh)
        hidden[:, t] = h
    return hidden, heard
