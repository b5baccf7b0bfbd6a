"""Random networks that behave like trained ones, and frames that behave like features."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.quant import IntegerNetwork, Quantisation, quantise_for, read_weights

BANDS = 128
FEATURES = Quantisation(2.0**-5)


def float_weights(
    lstm: tuple[int, ...] = (256, 256),
    dense: tuple[int, ...] = (128,),
    inputs: int = BANDS,
    outputs: int = BANDS,
    seed: int = 0,
    gain: float = 1.6,
    gru: tuple[int, ...] = (),
) -> dict[str, NDArray[np.float32]]:
    """The arrays of a weights.npz, with ranges measured on random frames; GRUs behind LSTMs."""
    generator = np.random.default_rng(seed)
    arrays: dict[str, NDArray] = {}
    width = inputs

    def matrix(rows: int, columns: int) -> NDArray:
        bound = gain * np.sqrt(6 / (rows + columns / 4))
        return generator.uniform(-bound, bound, (rows, columns))

    for index, units in enumerate(lstm):
        arrays[f"lstm_{index}/kernel"] = matrix(width, 4 * units) / 2
        arrays[f"lstm_{index}/recurrent"] = matrix(units, 4 * units) / 2
        bias = generator.normal(0, 0.3, 4 * units)
        bias[units : 2 * units] += 1
        arrays[f"lstm_{index}/bias"] = bias
        width = units
    for index, units in enumerate(gru):
        arrays[f"gru_{index}/kernel"] = matrix(width, 3 * units) / 2
        arrays[f"gru_{index}/recurrent"] = matrix(units, 3 * units) / 2
        arrays[f"gru_{index}/bias"] = generator.normal(0, 0.3, (2, 3 * units))
        width = units
    for name, units in [*((f"dense_{i}", u) for i, u in enumerate(dense)), ("mask", outputs)]:
        arrays[f"{name}/kernel"] = matrix(width, units)
        arrays[f"{name}/bias"] = generator.normal(0, 0.5, units)
        width = units
    arrays["features/mean"] = generator.normal(-40, 5, inputs)
    arrays["features/std"] = generator.uniform(6, 12, inputs)
    arrays |= _ranges(arrays, features(200, seed + 1, inputs))
    return {key: np.asarray(value, dtype=np.float32) for key, value in arrays.items()}


def features(count: int, seed: int = 0, width: int = BANDS) -> NDArray[np.float32]:
    """Feature-like frames float32 [count, width]: slow over time, smooth over bands, clipped."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(0, 1, (count, width)).astype(np.float32)
    level = np.zeros(width)
    rows = []
    for row in noise:
        level = 0.9 * level + 0.45 * row
        rows.append(level + 0.3 * np.roll(level, 1) + 0.5 * np.sin(len(rows) / 40))
    return np.clip(np.array(rows), -4, 4).astype(np.float32)


def frames(
    count: int, seed: int = 0, width: int = BANDS, of: Quantisation = FEATURES
) -> NDArray[np.integer]:
    """The same, quantised; at 2^-5 in int8 unless told otherwise."""
    return of.quantise(features(count, seed, width))


def float_forward(arrays: dict[str, NDArray], x: NDArray) -> dict[str, NDArray]:
    """Every layer's calibrated quantity and the mask, in float64."""
    found: dict[str, NDArray] = {}
    for name in dict.fromkeys(key.split("/")[0] for key in arrays):
        if name.startswith("lstm"):
            x, found[f"{name}/cell"] = _lstm(arrays, name, x)
        elif name.startswith("gru"):
            x = _gru(arrays, name, x)
        elif name.startswith("dense"):
            found[f"{name}/output"] = x = np.maximum(_affine(arrays, name, x), 0)
        elif name == "mask":
            found["mask/logits"] = _affine(arrays, name, x)
            found["mask"] = _sigmoid(found["mask/logits"])
    return found


def _ranges(arrays: dict[str, NDArray], x: NDArray) -> dict[str, NDArray]:
    values = float_forward(arrays, x)
    return {f"range/{k}": np.array([v.min(), v.max()]) for k, v in values.items() if "/" in k}


def _sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def _affine(arrays: dict[str, NDArray], name: str, x: NDArray) -> NDArray:
    return x @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]


def _lstm(arrays: dict[str, NDArray], name: str, x: NDArray) -> tuple[NDArray, NDArray]:
    projected = _affine(arrays, name, x)
    clip = float(arrays.get(f"{name}/cell_clip", 0)) or np.inf
    h = c = np.zeros(projected.shape[1] // 4)
    hidden, cells = [], []
    for row in projected:
        i, f, g, o = np.split(row + h @ arrays[f"{name}/recurrent"], 4)
        c = np.clip(_sigmoid(f) * c + _sigmoid(i) * np.tanh(g), -clip, clip)
        h = _sigmoid(o) * np.tanh(c)
        hidden.append(h)
        cells.append(c)
    return np.array(hidden), np.array(cells)


def _gru(arrays: dict[str, NDArray], name: str, x: NDArray) -> NDArray:
    from_input, from_hidden = arrays[f"{name}/bias"]
    h = np.zeros(len(from_input) // 3)
    hidden = []
    for row in x @ arrays[f"{name}/kernel"] + from_input:
        back = np.split(h @ arrays[f"{name}/recurrent"] + from_hidden, 3)
        z, r, n = np.split(row, 3)
        z = _sigmoid(z + back[0])
        h = z * h + (1 - z) * np.tanh(n + _sigmoid(r + back[1]) * back[2])
        hidden.append(h)
    return np.array(hidden)


@cache
def integer_network(
    lstm: tuple[int, ...] = (256, 256),
    dense: tuple[int, ...] = (128,),
    inputs: int = BANDS,
    outputs: int = BANDS,
    seed: int = 0,
    profile: str = "fused",
    gru: tuple[int, ...] = (),
) -> IntegerNetwork:
    """The quantised form of `float_weights`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        np.savez(path, **float_weights(lstm, dense, inputs, outputs, seed, gru=gru))
        return quantise_for(read_weights(path), "random", profile)


def small_network() -> IntegerNetwork:
    """A network of a few thousand weights with both kinds of layers."""
    return integer_network((9, 7), (5,), 11, 6)
