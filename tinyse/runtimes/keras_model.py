"""Runtime `keras_model`: the float network as a stock Keras model; the only float runtime.

    features float32 [T, n], normalised and within +-4  ->  mask float32 [T, m], 0..1

Its layers are Keras' own LSTM cells, `keras.layers.GRU` and `keras.layers.Dense`, so it is an
independent witness of what was trained; a cell clip, which Keras does not know, is applied to the
state a cell returns.  States are inputs and outputs of the model and carried from call to call.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant import FloatLayer, FloatNetwork, read_weights
from tinyse.quant.weights import find_weights
from tinyse.runtimes.interface import RuntimeInfo, checked_frames

# Whatever training runs on, this witness is TensorFlow's, unless the process has its Keras already.
# The next import starts it.
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"
from tinyse.network.keras_import import import_keras

STATES = {"lstm": "hc", "gru": "h"}


class KerasModel:
    """The runtime; `model` is the `keras.Model` itself."""

    name = "keras_model"

    def __init__(self, network: FloatNetwork) -> None:
        keras = _keras()
        self.network = network
        self.model = build_keras_model(network)
        self._call = _compiled(self.model)
        version = f"keras {keras.__version__} on {keras.backend.backend()}"
        self.info = RuntimeInfo(None, None, None, version, False)
        self._width = len(network.mean)
        self.reset()

    @classmethod
    def open(cls, path: Path | str) -> KerasModel:
        """The model of a `weights.npz`, or of the folder that holds it."""
        return cls(read_weights(find_weights(path)))

    def reset(self) -> None:
        """Back to the state before the first frame."""
        layers = [layer for layer in self.network.layers if layer.kind in STATES]
        self._states = [
            np.zeros((1, layer.units), np.float32) for layer in layers for _ in STATES[layer.kind]
        ]

    def step(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mask float32 [m] of one feature frame float32 [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Masks float32 [T, m] of feature frames float32 [T, n]; the state is carried on."""
        frames = checked_frames(frames, self._width, np.float32)
        mask, *self._states = self._call([frames[None], *self._states])
        return np.asarray(mask)[0]


def build_keras_model(network: FloatNetwork) -> Any:
    """keras.Model: [features [B, T, n], h, c, ..] -> [mask [B, T, m], h, c, ..]."""
    keras = _keras()
    features = values = keras.Input((None, len(network.mean)), name="features")
    arriving, leaving = [], []
    for layer in network.layers:
        if layer.kind in STATES:
            parts = STATES[layer.kind]
            states = [keras.Input((layer.units,), name=f"{layer.name}_{part}") for part in parts]
            values, *after = _recurrent(layer)(values, initial_state=states)
            arriving += states
            leaving += after
        else:
            activation = "sigmoid" if layer.kind == "mask" else "relu"
            values = keras.layers.Dense(layer.units, activation, name=layer.name)(values)
    model = keras.Model([features, *arriving], [values, *leaving])
    for layer in network.layers:
        arrays = [layer.kernel, layer.recurrent, layer.bias]
        model.get_layer(layer.name).set_weights([a for a in arrays if a is not None])
    return model


def _recurrent(layer: FloatLayer) -> Any:
    keras = _keras()
    every = {"return_sequences": True, "return_state": True, "name": layer.name}
    if layer.kind == "gru":
        return keras.layers.GRU(layer.units, reset_after=True, **every)
    if not layer.cell_clip:
        return keras.layers.LSTM(layer.units, **every)

    class ClippedCell(keras.layers.LSTMCell):  # type: ignore[misc, name-defined] # no types there
        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            ops, (hidden, cell) = keras.ops, states
            sums = ops.matmul(inputs, self.kernel) + ops.matmul(hidden, self.recurrent_kernel)
            i, f, candidate, o = ops.split(sums + self.bias, 4, axis=-1)
            cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(candidate)
            cell = ops.clip(cell, -layer.cell_clip, layer.cell_clip)
            hidden = ops.sigmoid(o) * ops.tanh(cell)
            return hidden, [hidden, cell]

    return keras.layers.RNN(ClippedCell(layer.units), **every)


def _keras() -> Any:
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise InputError(f"is {keras.backend.backend()}", "KERAS_BACKEND", "use tensorflow here")
    return keras


def _compiled(model: Any) -> Any:
    """The model as one graph for every number of frames: one trace, not one per length."""
    import tensorflow as tf

    signature = [tf.TensorSpec([1, *value.shape[1:]], tf.float32) for value in model.inputs]
    return tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature])
