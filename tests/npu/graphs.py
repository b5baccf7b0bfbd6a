"""Writes small networks as `.tflite` files with the TensorFlow converter.

    python -m tests.npu.graphs FOLDER [NAME ..]

Step graphs (states are inputs and outputs) and convolutional networks with untrained weights:
what other people's networks look like.  A process of its own, for the converter may crash.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def lstm_step(units: tuple[int, ...], inputs: int, outputs: int, joined: bool) -> Callable:
    """One frame of an LSTM network; the gates in one product, or each in two of its own."""
    import tensorflow as tf

    random = np.random.default_rng(1)

    def matrix(rows: int, columns: int):
        bound = np.sqrt(6 / (rows + columns))
        return tf.constant(random.uniform(-bound, bound, (rows, columns)), tf.float32)

    widths = (inputs, *units)
    cells = []
    for width, size in zip(widths, units, strict=False):
        if joined:
            cells.append((matrix(width + size, 4 * size), tf.zeros(4 * size)))
        else:
            cells.append([(matrix(width, size), matrix(size, size)) for _ in range(4)])
    dense, mask = matrix(units[-1], outputs), matrix(outputs, outputs)
    names = [f"{kind}{index}" for index in range(len(units)) for kind in "hc"]
    sizes = [size for size in units for _ in "hc"]

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, inputs), tf.float32, "x"),
            *[tf.TensorSpec((1, n), tf.float32, m) for m, n in zip(names, sizes, strict=True)],
        ]
    )
    def step(x, *states):
        after = {}
        for index, (cell, size) in enumerate(zip(cells, units, strict=True)):
            h, c = states[2 * index : 2 * index + 2]
            if joined:
                z = tf.matmul(tf.concat([x, h], 1), cell[0]) + cell[1]
                i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
            else:
                i, f, g, o = (tf.matmul(x, w) + 0.1 + tf.matmul(h, r) for w, r in cell)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            after |= {f"h{index}_out": h, f"c{index}_out": c}
            x = h
        x = tf.nn.relu(tf.matmul(x, dense) + 0.01)
        return {"mask": tf.sigmoid(tf.matmul(x, mask) + 0.01), **after}

    return step


def gru_step(inputs: int = 42) -> Callable:
    """One frame of a network shaped like RNNoise: three GRUs with the reset gate behind."""
    import tensorflow as tf

    random = np.random.default_rng(2)

    def layer(rows: int, columns: int):
        return tf.constant(random.uniform(-0.499, 0.499, (rows, columns)), tf.float32)

    def gru(width: int, units: int):
        return layer(width, 3 * units), layer(units, 3 * units), units

    def cell(x, h, weights, activation):
        kernel, recurrent, n = weights
        a, b = tf.matmul(x, kernel) + 0.01, tf.matmul(h, recurrent) + 0.01
        z = tf.sigmoid(a[:, :n] + b[:, :n])
        r = tf.sigmoid(a[:, n : 2 * n] + b[:, n : 2 * n])
        candidate = activation(a[:, 2 * n :] + r * b[:, 2 * n :])
        return z * h + (1 - z) * candidate

    dense, vad_out, out = layer(inputs, 24), layer(24, 1), layer(96, 22)
    vad, noise, denoise = gru(24, 24), gru(24 + 24 + inputs, 48), gru(24 + 48 + inputs, 96)

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, n), tf.float32, name)
            for name, n in (("x", inputs), ("vad", 24), ("noise", 48), ("denoise", 96))
        ]
    )
    def step(x, vad_state, noise_state, denoise_state):
        first = tf.tanh(tf.matmul(x, dense) + 0.01)
        vad_after = cell(first, vad_state, vad, tf.tanh)
        voice = tf.sigmoid(tf.matmul(vad_after, vad_out) + 0.01)
        noise_after = cell(tf.concat([first, vad_after, x], 1), noise_state, noise, tf.nn.relu)
        both = tf.concat([vad_after, noise_after, x], 1)
        denoise_after = cell(both, denoise_state, denoise, tf.tanh)
        gains = tf.sigmoid(tf.matmul(denoise_after, out) + 0.01)
        return {
            "gains": gains, "voice": voice, "vad_out": vad_after, "noise_out": noise_after,
            "denoise_out": denoise_after,
        }  # fmt: skip

    return step


def convolutional(name: str):
    """A Keras model with untrained weights."""
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(3)

    def block(x, filters, kernel=3, stride=1, depthwise=False):
        if depthwise:
            x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=True)(x)
            x = layers.ReLU(6.0)(x)
            kernel, stride = 1, 1
        x = layers.Conv2D(filters, kernel, stride, "same")(x)
        return layers.ReLU(6.0 if depthwise else None)(x)

    if name == "ds_cnn":
        x = inputs = layers.Input((49, 10, 1), 1)
        x = block(x, 64, (10, 4), (2, 2))
        for _ in range(4):
            x = block(x, 64, 3, 1, depthwise=True)
        x = layers.AveragePooling2D((25, 5))(x)
        x = layers.Dense(12)(layers.Flatten()(x))
    elif name == "cnn":
        x = inputs = layers.Input((32, 32, 3), 1)
        for filters in (16, 32, 64):
            x = layers.MaxPooling2D()(block(x, filters))
        x = layers.Dense(10)(layers.Flatten()(x))
    elif name == "conv_1d":
        x = inputs = layers.Input((1, 100, 40), 1)
        for filters in (64, 64, 128):
            x = block(x, filters, (1, 5), (1, 2))
        x = layers.Conv2D(40, 1)(x)
    elif name == "mobilenet":
        x = inputs = layers.Input((96, 96, 3), 1)
        x = block(x, 8, 3, 2)
        plan = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5]
        for filters, stride in [*plan, (256, 2), (256, 1)]:
            x = block(x, filters, 3, stride, depthwise=True)
        x = layers.AveragePooling2D((3, 3))(x)
        x = layers.Dense(2)(layers.Flatten()(x))
    elif name == "linear":  # 784-512-256-10, as in the pruning example of ExecuTorch
        x = inputs = layers.Input((784,), 1)
        x = layers.Dense(256, "relu")(layers.Dense(512, "relu")(x))
        x = layers.Dense(10)(x)
    else:
        raise ValueError(name)
    return tf.keras.Model(inputs, x)


STEPS = {
    "step_joined": lambda: lstm_step((256, 256), 128, 128, True),
    "step_separate": lambda: lstm_step((256, 256), 128, 128, False),
    "small_step": lambda: lstm_step((20,), 17, 13, True),
    "rnnoise": gru_step,
}
NETWORKS = ("ds_cnn", "cnn", "conv_1d", "mobilenet", "linear")
NAMES = (*[f"{name}_{kind}" for name in STEPS for kind in ("int8", "16x8")], *NETWORKS)


def convert(name: str) -> bytes:
    """The file of the network `name`, one of NAMES."""
    import tensorflow as tf

    kind = name.rpartition("_")[2]
    if name in NETWORKS:
        model = convolutional(name)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        shapes = {"x": tuple(model.inputs[0].shape)}
    else:
        module = tf.Module()
        module.step = STEPS[name.removesuffix(f"_{kind}")]()
        concrete = module.step.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        shapes = {tensor.name.split(":")[0]: tuple(tensor.shape) for tensor in concrete.inputs}
    random = np.random.default_rng(4)

    def samples():
        for _ in range(20):
            frame = {n: random.normal(0, 0.5, s).astype(np.float32) for n, s in shapes.items()}
            yield list(frame.values()) if name in NETWORKS else frame

    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [wide if kind == "16x8" else sets.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int16 if kind == "16x8" else tf.int8
    converter.inference_output_type = converter.inference_input_type
    return converter.convert()


def main(folder: Path, names: tuple[str, ...]) -> None:
    """Write the files of `names` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.tflite").write_bytes(convert(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or NAMES)
