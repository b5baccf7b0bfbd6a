"""weights.npz -> .tflite by TensorFlow's own converter; a process of its own, on Keras 2.

    TF_USE_LEGACY_KERAS=1 python convert_with_tensorflow.py WEIGHTS FEATURES OUTPUT

Keras 3 would end in a segmentation fault, and calibration frames must come in order: the state is
carried from one to the next.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras


def build(arrays):
    width = len(arrays["features/mean"])
    values = inputs = keras.layers.Input(batch_shape=(1, 1, width))
    for name in dict.fromkeys(key.split("/")[0] for key in arrays):
        if name in ("features", "range"):
            continue
        parts = [arrays[f"{name}/{part}"] for part in ("kernel", "recurrent", "bias")
                 if f"{name}/{part}" in arrays]  # fmt: skip
        if name.startswith("lstm"):
            layer = keras.layers.LSTM(len(parts[1]), return_sequences=True)
        else:
            layer = keras.layers.Dense(len(parts[1]), "sigmoid" if name == "mask" else "relu")
        values = layer(values)
        layer.set_weights(parts)
    return keras.Model(inputs, values)


def main(weights: str, features: str, output: str) -> None:
    frames = np.load(features)
    converter = tf.lite.TFLiteConverter.from_keras_model(build(dict(np.load(weights))))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([frame[None, None]] for frame in frames)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(output).write_bytes(converter.convert())


if __name__ == "__main__":
    main(*sys.argv[1:])
