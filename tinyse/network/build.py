"""The network of a recipe: its parameters, its forward pass, and the same as a Keras model.

    features [B, T, 128] -> LSTM .. -> GRU .. -> Dense ReLU .. -> Dense sigmoid -> mask [B, T, 128]

Parameters are a flat dict of float32 arrays under the names of `weights.npz`:
`lstm_0/kernel` [n, 4u], `lstm_0/recurrent` [u, 4u], `lstm_0/bias` [4u], ..,
`gru_0/kernel` [n, 3u], `gru_0/recurrent` [u, 3u], `gru_0/bias` [2, 3u], ..,
`dense_0/kernel` [n, m], `dense_0/bias` [m], .., `mask/kernel`, `mask/bias`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from keras import ops

from tinyse.features import BANDS
from tinyse.network.gru import gru
from tinyse.network.layers import lstm, lstm_states, project
from tinyse.network.precision import cpu_calls
from tinyse.network.tensors import Tensor
from tinyse.recipe import Network

Parameters = dict[str, Tensor]


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter, in the order of the forward pass."""
    found: dict[str, tuple[int, ...]] = {}
    width = BANDS
    for index, units in enumerate(network.lstm):
        found[f"lstm_{index}/kernel"] = (width, 4 * units)
        found[f"lstm_{index}/recurrent"] = (units, 4 * units)
        found[f"lstm_{index}/bias"] = (4 * units,)
        width = units
    for index, units in enumerate(network.gru):
        found[f"gru_{index}/kernel"] = (width, 3 * units)
        found[f"gru_{index}/recurrent"] = (units, 3 * units)
        found[f"gru_{index}/bias"] = (2, 3 * units)
        width = units
    for name, units in [*((f"dense_{i}", u) for i, u in enumerate(network.dense)), ("mask", BANDS)]:
        found[f"{name}/kernel"] = (width, units)
        found[f"{name}/bias"] = (units,)
        width = units
    return found


def initial_parameters(network: Network, seed: int) -> Parameters:
    """Glorot-uniform kernels, orthogonal recurrent kernels, forget biases of one (Keras' rules)."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(network).items():
        kind = name.split("/")[1]
        if kind == "kernel":
            bound = np.sqrt(6 / sum(shape))
            value = generator.uniform(-bound, bound, shape)
        elif kind == "recurrent":
            q, r = np.linalg.qr(generator.standard_normal(shape[::-1]))
            value = (q * np.sign(np.diag(r))).T
        else:
            value = np.zeros(shape)
            if name.startswith("lstm"):
                units = shape[0] // 4
                value[units : 2 * units] = 1
        found[name] = np.ascontiguousarray(value, dtype=np.float32)
    return found


def layer_names(network: Network) -> list[str]:
    """LSTMs, GRUs, dense layers, mask, in the order of the forward pass."""
    return list(dict.fromkeys(name.split("/")[0] for name in shapes(network)))


def fitted(network: Network, parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Parameters, or masks, in the widths that the loops in C++ take, where products are theirs.

    Every LSTM gets more units, all of whose weights are zero.  Their cells and outputs stay zero,
    in float and in integers, so the network's mask is the same; gradients of `parameters` keep
    their shapes.
    """
    cpu = cpu_calls()
    if cpu is None:
        return parameters
    found, read = dict(parameters), 0  # units that the layer before got
    for name in layer_names(network):
        more = 0
        if name.startswith("lstm"):
            more = -shapes(network)[f"{name}/recurrent"][0] % cpu.UNITS
        for part, rows in (("kernel", read), ("recurrent", more), ("bias", 0)):
            key = f"{name}/{part}"
            if key in found:
                found[key] = _padded(found[key], rows, more)
        read = more
    return found


def _padded(array: Tensor, rows: int, units: int) -> Tensor:
    """An array with more rows of zeros, and with more units of every gate of an LSTM."""
    if units:
        split = ops.reshape(array, (*array.shape[:-1], 4, array.shape[-1] // 4))
        split = ops.pad(split, [*[(0, 0)] * len(array.shape), (0, units)])
        array = ops.reshape(split, (*array.shape[:-1], 4 * split.shape[-1]))
    return ops.pad(array, ((0, rows), (0, 0))) if rows else array


def forward(network: Network, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """Mask [B, T, 128] of features [B, T, 128], from a zero state."""

    def recurrent(name: str, projected: Tensor, kernel: Tensor) -> Tensor:
        return lstm(projected, kernel, network.cell_clip)

    parameters = fitted(network, parameters)
    return _forward(network, parameters, features, recurrent, lambda name, value: None)


def activations(network: Network, parameters: Mapping[str, Tensor], features: Tensor) -> Parameters:
    """What the exported file must hold ranges for, of features [B, T, 128] from a zero state.

    Returns a dict: `lstm_k/cell` [T, B, u], `dense_k/output` [T, B, m], `mask/logits` [T, B, 128].
    """
    found: Parameters = {}

    def recurrent(name: str, projected: Tensor, kernel: Tensor) -> Tensor:
        hidden, cell, _ = lstm_states(projected, kernel, network.cell_clip)
        found[f"{name}/cell"] = cell
        return hidden

    _forward(network, parameters, features, recurrent, found.__setitem__)
    return found


def _forward(
    network: Network,
    parameters: Mapping[str, Tensor],
    features: Tensor,
    recurrent: Callable[[str, Tensor, Tensor], Tensor],
    seen: Callable[[str, Tensor], None],
) -> Tensor:
    """The pass itself; `recurrent` runs a loop, `seen(name, value)` is told what comes by."""
    x = ops.transpose(features, (1, 0, 2))
    for name in layer_names(network):
        bias = parameters[f"{name}/bias"]
        is_gru = name.startswith("gru")
        x = project(x, parameters[f"{name}/kernel"], bias[0] if is_gru else bias)
        if is_gru:
            x = gru(x, parameters[f"{name}/recurrent"], bias[1])
        elif name.startswith("lstm"):
            x = recurrent(name, x, parameters[f"{name}/recurrent"])
        elif name != "mask":
            x = ops.relu(x)
            seen(f"{name}/output", x)
    seen("mask/logits", x)
    return ops.transpose(ops.sigmoid(x), (1, 0, 2))
