"""The float network of `weights.npz`: parameters, activation ranges, feature statistics.

    lstm_k/kernel [n, 4u], lstm_k/recurrent [u, 4u], lstm_k/bias [4u]   gates i, f, c, o
    gru_k/kernel [n, 3u], gru_k/recurrent [u, 3u], gru_k/bias [2, 3u]   gates z, r, h
    dense_k/kernel [n, m], dense_k/bias [m]                             ReLU
    mask/kernel [n, m], mask/bias [m]                                   logistic
    lstm_k/cell_clip []                                                 optional, 0 = none
    features/mean, features/std [n]
    floor/gains [257]                                                   optional, for evaluation
    range/lstm_k/cell, range/dense_k/output, range/mask/logits [2]      (min, max)

All float32.  Layers run in the order in which the file holds their kernels; a GRU is Keras' with
`reset_after`, its bias that of the input and that of the state.  The ranges come from training, so
exporting needs no data and no Keras; a GRU needs none, its state stays within +-1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.files import read_npz

Arrays = dict[str, NDArray[np.float32]]
REMEDY = "write it again with tinyse train, or from_keras"
GATES_OF = {"lstm": 4, "gru": 3}
LAYER_KERNEL = re.compile(r"((lstm|gru|dense)_\d+|mask)/kernel", re.ASCII)
# What other commands make of the weights and leave beside them; not of weights that come later.
MADE_OF_WEIGHTS = (
    *("model.tflite", "manifest.json"),
    *("model.tsb", "model_coded.tsb", "model.c", "model.h", "pack.json"),
    *("evaluate.json", "inspect.json", "bench.json"),
)
RANGES = {"lstm": "cell", "dense": "output", "mask": "logits"}


@dataclass(frozen=True)
class FloatLayer:
    """One layer: kind lstm, gru, dense or mask; arrays as in the file; range (min, max).

    cell_clip : bound of an LSTM's cell state in training, 0 = none
    """

    name: str
    kind: str
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    range: tuple[float, float]
    recurrent: NDArray[np.float32] | None = None
    cell_clip: float = 0.0

    @property
    def units(self) -> int:
        """Outputs of the layer."""
        return self.kernel.shape[1] // GATES_OF.get(self.kind, 1)


@dataclass(frozen=True)
class FloatNetwork:
    """The layers in the order of the forward pass, and the statistics of the features."""

    layers: tuple[FloatLayer, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]


def made_of_weights(folder: Path) -> tuple[str, ...]:
    """MADE_OF_WEIGHTS, and the profiles that lie in a folder: one for each microNPU."""
    return (*MADE_OF_WEIGHTS, *sorted(path.name for path in folder.glob("profile*.json")))


def find_weights(source: Path | str) -> Path:
    """`source` itself, or the weights.npz in the folder `source`."""
    source = Path(source)
    return source / "weights.npz" if source.is_dir() else source


def read_weights(path: Path | str) -> FloatNetwork:
    """The network in `path`; InputError names the key that is missing, misshapen or not finite."""
    path = Path(path)
    arrays = read_npz(path, "is not a weights.npz", REMEDY)
    mean = _taken(arrays, "features/mean", None, path)
    if mean.ndim != 1 or not len(mean):
        raise _wrong("features/mean", "a vector", str(mean.shape), path)
    std = _taken(arrays, "features/std", mean.shape, path)
    if std.min() <= 0:
        raise _wrong("features/std", "values above zero", f"{std.min():g}", path)
    layers, width = [], len(mean)
    for name in _layer_names(arrays, path):
        layers.append(_layer(arrays, name, width, path))
        width = layers[-1].units
    arrays.pop("floor/gains", None)
    if arrays:
        raise InputError(f"unknown key {min(arrays)}", path, "see docs/formats.md for the keys")
    return FloatNetwork(tuple(layers), mean, std)


def _wrong(key: str, expected: str, got: str, path: Path) -> InputError:
    return InputError(f"{key}: expected {expected}, got {got}", path, REMEDY)


def _taken(arrays: Arrays, key: str, shape: tuple[int, ...] | None, path: Path) -> NDArray:
    if key not in arrays:
        raise InputError(f"{key} is missing", path, REMEDY)
    array = arrays.pop(key)
    if array.dtype != np.float32:
        raise _wrong(key, "float32", str(array.dtype), path)
    if shape is not None and array.shape != shape:
        raise _wrong(key, f"shape {shape}", str(array.shape), path)
    if not np.isfinite(array).all():
        raise _wrong(key, "finite values", "NaN or infinity", path)
    return array


def _layer_names(arrays: Arrays, path: Path) -> list[str]:
    """Layers in the order of their kernels, mask at the end.

    They are any of lstm_0 .., gru_0 .., dense_0 .., each kind counted without a gap.
    """
    names = [key.removesuffix("/kernel") for key in arrays if LAYER_KERNEL.fullmatch(key)]
    for kind in (*GATES_OF, "dense"):
        numbered = [name for name in names if name.startswith(f"{kind}_")]
        for index, name in enumerate(numbered):
            if name != f"{kind}_{index}":
                raise InputError(f"{kind}_{index}/kernel is missing before {name}", path, REMEDY)
    if not names or names[0] == "mask":
        raise InputError("lstm_0/kernel is missing", path, REMEDY)
    if "mask" not in names:
        raise InputError("mask/kernel is missing", path, REMEDY)
    if names[-1] != "mask":
        raise InputError(f"{names[-1]} stands behind mask, the last layer", path, REMEDY)
    return names


def _layer(arrays: Arrays, name: str, width: int, path: Path) -> FloatLayer:
    kind = name.split("_")[0]
    gates = GATES_OF.get(kind, 1)
    kernel = _taken(arrays, f"{name}/kernel", None, path)
    columns = kernel.shape[-1] if kernel.ndim else 0
    if kernel.shape != (width, columns) or not columns or columns % gates:
        expected = f"shape ({width}, {gates if gates > 1 else ''}n)"
        raise _wrong(f"{name}/kernel", expected, str(kernel.shape), path)
    recurrent, cell_clip = None, 0.0
    if kind in GATES_OF:
        recurrent = _taken(arrays, f"{name}/recurrent", (columns // gates, columns), path)
    if kind == "lstm" and f"{name}/cell_clip" in arrays:
        cell_clip = float(_taken(arrays, f"{name}/cell_clip", (), path))
        if cell_clip < 0:
            raise _wrong(f"{name}/cell_clip", "0 or more", f"{cell_clip:g}", path)
    bias = _taken(arrays, f"{name}/bias", (2, columns) if kind == "gru" else (columns,), path)
    range_ = _range(arrays, f"range/{name}/{RANGES[kind]}", path) if kind in RANGES else (-1.0, 1.0)
    return FloatLayer(name, kind, kernel, bias, range_, recurrent, cell_clip)


def _range(arrays: Arrays, key: str, path: Path) -> tuple[float, float]:
    low, high = _taken(arrays, key, (2,), path).tolist()
    if low > high:
        raise _wrong(key, "min <= max", f"{low:g} > {high:g}", path)
    return low, high
