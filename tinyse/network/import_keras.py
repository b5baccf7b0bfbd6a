"""A user's own Keras network -> the arrays of `weights.npz`.

    arrays = from_keras(model, frames)          model: live, or the path of a .keras file
    np.savez("run/weights.npz", **arrays)       tinyse export run --profile step16x8

What can be taken over is a chain of LSTM, GRU and Dense: recurrent layers as Keras makes them by
default, all frames put out; Dense with a ReLU, the last one with a sigmoid.  Dropout is left out.
Models of Keras 3 and of `tf_keras` are taken, also with TF-MOT's pruning wrappers around layers,
so layers are known by the name of their class.

The ranges that quantisation needs are measured here, on feature frames in stream order.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.network.keras_import import import_keras

Arrays = dict[str, NDArray[np.float32]]

LEFT_OUT = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise")
PRUNING_WRAPPER = "PruneLowMagnitude"
RECURRENT: dict[str, dict[str, Any]] = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
}
FEATURE_BOUND = 4.0  # features of an exported file end there
CHAIN = "use Sequential or a functional chain"
MOST_BEYOND = 0.01  # share of calibration values beyond the bound


def from_keras(
    model: Any,
    calibration_frames: NDArray,
    mean: NDArray | None = None,
    std: NDArray | None = None,
) -> Arrays:
    """The arrays of `weights.npz` for a Keras model.

    Parameters
    ----------
    model : a built model of Keras 3 or tf_keras, or the path of a `.keras` file
    calibration_frames : float [T, n], normalised as in training, within +-4, in stream order
    mean, std : [n], statistics in dB that `tinyse enhance` normalises features by; 0 and 1 unless
        given

    Raises InputError that names the layer that cannot be taken over, or says what is wrong with
    the frames.
    """
    if isinstance(model, str | Path):
        model = _loaded(Path(model))
    arrays: dict[str, NDArray] = {}
    numbers = {"lstm": 0, "gru": 0, "dense": 0}
    layers = _chain(model)
    for layer in layers:
        kind = _kind(layer, is_last=layer is layers[-1])
        name = kind if kind == "mask" else f"{kind}_{numbers[kind]}"
        arrays |= _layer_arrays(layer, kind, name)
        if kind != "mask":
            numbers[kind] += 1
    width = next(iter(arrays.values())).shape[0]
    frames = _checked_frames(calibration_frames, width)
    statistics = {
        "features/mean": np.zeros(width) if mean is None else mean,
        "features/std": np.ones(width) if std is None else std,
    }
    ranges = {f"range/{key}": value for key, value in _ranges(arrays, frames).items()}
    found = arrays | statistics | ranges
    return {key: np.asarray(value, np.float32) for key, value in found.items()}


def _loaded(path: Path) -> Any:
    keras = import_keras()
    if not path.is_file():
        raise InputError("there is no such file", path, "give a .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"Keras cannot load it ({first})", path, "save it again") from error


def _chain(model: Any) -> list[Any]:
    """The layers that compute, pruning wrappers taken off, in a chain that is checked."""
    layers = list(getattr(model, "layers", []))
    if not layers or not getattr(model, "built", False):
        raise InputError("is not a built Keras model", "model", "call it once, or give an Input")
    if type(model).__name__ != "Sequential":
        for before, layer in pairwise(layers):
            # A subclass of Model may call its layers in any order, and they do not tell.
            if not (hasattr(layer, "input") and hasattr(before, "output")):
                raise InputError("does not say what it reads", layer.name, CHAIN)
            if isinstance(layer.input, list) or layer.input is not before.output:
                raise InputError("does not read the layer before it", layer.name, CHAIN)
    kept = [layer for layer in layers if type(layer).__name__ not in LEFT_OUT]
    return [x.layer if type(x).__name__ == PRUNING_WRAPPER else x for x in kept]


def _kind(layer: Any, is_last: bool) -> str:
    """lstm, gru, dense or mask; InputError says why a layer is none of them."""
    kind = type(layer).__name__
    if kind in RECURRENT:
        _expect(layer, RECURRENT[kind] | {"return_sequences": True, "go_backwards": False})
        if is_last:
            raise InputError("is the last layer", layer.name, "end with Dense and a sigmoid")
        return kind.lower()
    if kind == "Dense":
        _expect(layer, {"activation": "sigmoid" if is_last else "relu"})
        return "mask" if is_last else "dense"
    known = "LSTM, GRU, Dense and Dropout"
    raise InputError(f"a layer {kind} cannot be taken over", layer.name, f"use {known}")


def _expect(layer: Any, wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        found = getattr(layer, key, None)
        found = getattr(found, "__name__", found)
        if found != value:
            raise InputError(f"{key} is {found}, expected {value}", layer.name, "train it so")


def _layer_arrays(layer: Any, kind: str, name: str) -> dict[str, NDArray]:
    weights = [np.asarray(weight) for weight in _weights(layer)]
    parts = ["kernel", "recurrent"] if kind in ("lstm", "gru") else ["kernel"]
    found = {f"{name}/{part}": weight for part, weight in zip(parts, weights, strict=False)}
    columns = found[f"{name}/kernel"].shape[1]
    shape = (2, columns) if kind == "gru" else (columns,)
    bias = weights[len(parts)] if len(weights) > len(parts) else np.zeros(shape)
    if bias.shape != shape:
        what = f"has a bias of shape {bias.shape}, expected {shape}"
        raise InputError(what, layer.name, "use Keras' own layers")
    return {**found, f"{name}/bias": bias}


def _weights(layer: Any) -> list[Any]:
    """Kernel, recurrent kernel and bias, whatever else hangs on the layer (a mask, a threshold)."""
    holder = getattr(layer, "cell", layer)
    names = ("kernel", "recurrent_kernel", "bias")
    return [getattr(holder, n) for n in names if getattr(holder, n, None) is not None]


def _checked_frames(frames: NDArray, width: int) -> NDArray[np.float64]:
    frames = np.asarray(frames, dtype=np.float64)
    if frames.ndim != 2 or frames.shape[1] != width or not len(frames):
        what = f"expected [T, {width}], got {list(frames.shape)}"
        raise InputError(what, "calibration_frames", "give feature frames in stream order")
    beyond = float((np.abs(frames) > FEATURE_BOUND).mean())
    if not np.isfinite(frames).all() or beyond > MOST_BEYOND:
        what = f"{100 * beyond:.1f} % of the values are beyond +-{FEATURE_BOUND:g} or not finite"
        raise InputError(what, "calibration_frames", "train on normalised features")
    return np.clip(frames, -FEATURE_BOUND, FEATURE_BOUND)


def _ranges(arrays: dict[str, NDArray], x: NDArray[np.float64]) -> dict[str, NDArray]:
    """(min, max) of what each layer needs one of, from a state of zero."""
    found = {}
    for name in dict.fromkeys(key.split("/")[0] for key in arrays):
        kind = name.split("_")[0]
        kernel, bias = (arrays[f"{name}/{part}"].astype(float) for part in ("kernel", "bias"))
        if kind == "lstm":
            x, cells = _walk(_lstm_step, x @ kernel + bias, arrays[f"{name}/recurrent"], 2)
            found[f"{name}/cell"] = _ends(cells)
        elif kind == "gru":
            step = _gru_step(bias[1])
            x, _ = _walk(step, x @ kernel + bias[0], arrays[f"{name}/recurrent"], 1)
        elif kind == "dense":
            x = np.maximum(x @ kernel + bias, 0)
            found[f"{name}/output"] = _ends(x)
        else:
            found["mask/logits"] = _ends(x @ kernel + bias)
    return found


def _ends(values: NDArray) -> NDArray:
    return np.array([values.min(), values.max()])


def _walk(
    step: Callable[..., tuple], projected: NDArray, recurrent: NDArray, states: int
) -> tuple[NDArray, NDArray]:
    """First and last state [T, u] after each frame of the projected input [T, gates * u]."""
    state = (np.zeros(len(recurrent)),) * states
    rows = []
    for row in projected:
        state = step(row, recurrent.astype(float), *state)
        rows.append((state[0], state[-1]))
    first, last = zip(*rows, strict=True)
    return np.array(first), np.array(last)


def _lstm_step(row: NDArray, recurrent: NDArray, h: NDArray, c: NDArray) -> tuple:
    i, f, g, o = np.split(row + h @ recurrent, 4)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru_step(bias: NDArray) -> Callable[..., tuple]:
    def step(row: NDArray, recurrent: NDArray, h: NDArray) -> tuple:
        z, r, n = np.split(row, 3)
        back_z, back_r, back_n = np.split(h @ recurrent + bias, 3)
        z = _sigmoid(z + back_z)
        return (z * h + (1 - z) * np.tanh(n + _sigmoid(r + back_r) * back_n),)

    return step


def _sigmoid(x: NDArray) -> NDArray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)
