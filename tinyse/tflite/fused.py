"""Profiles `fused` and `fused16x8`: UNIDIRECTIONAL_SEQUENCE_LSTM, its states inside the file.

    features [1, 1, n] -> LSTM .. -> FULLY_CONNECTED (ReLU) .. -> FULLY_CONNECTED
                       -> LOGISTIC -> mask [1, 1, m]

One frame per invoke, int8 or int16 throughout; weights are int8 in both.

The 24 inputs of the LSTM operator, as `lstm_shared.h` of TFLM numbers them: 0 input, 1-4 kernels
i f c o, 5-8 recurrent kernels, 9-11 peepholes (absent), 12-15 biases, 16-17 projection (absent),
18 hidden state, 19 cell state, 20-23 layer normalisation (absent).  The five intermediates mean
nothing here, but LiteRT refuses the operator without them.
"""

from __future__ import annotations

import numpy as np

from tinyse.quant import GATES, IntegerDense, IntegerGRU, IntegerLSTM, IntegerNetwork
from tinyse.tflite.builder import Builder
from tinyse.tflite.layout import FULLY_CONNECTED, LOGISTIC, LSTM

ABSENT = -1
RELU, TANH = 1, 4  # ActivationFunctionType

# Version of an operator by its width, from `tools/versioning/op_version.cc` of TensorFlow Lite.
VERSIONS = {(LOGISTIC, 8): 2, (LOGISTIC, 16): 3}


def build_fused(network: IntegerNetwork, builder: Builder) -> bytes:
    """The file of `network`, which has no GRU, in the profile of its widths."""
    features = arriving = write_head(builder, network)
    for layer in network.layers:
        assert not isinstance(layer, IntegerGRU)
        if isinstance(layer, IntegerLSTM):
            arriving = _lstm(builder, layer, arriving)
        else:
            arriving = write_dense(builder, layer, arriving)
    return builder.finish([features], [arriving])


def write_head(builder: Builder, network: IntegerNetwork) -> int:
    """What every form has: the tensor of features, whose number is returned, and the metadata."""
    features = builder.activation("features", network.layers[0].width, network.input)
    if network.normalisation is not None:
        builder.metadata("tinyse.features", network.normalisation.astype("<f4").tobytes())
    builder.metadata("tinyse.model", network.name.encode())
    return features


def _lstm(builder: Builder, layer: IntegerLSTM, arriving: int) -> int:
    name, units = layer.name, layer.units

    def matrices(part: str, arrays: tuple, scales: tuple) -> list[int]:
        named = zip(GATES, arrays, scales, strict=True)
        return [builder.constant(f"{name}/{gate}_gate/{part}", a, [s]) for gate, a, s in named]

    kernels = matrices("kernel", layer.kernels, layer.kernel_scales)
    recurrents = matrices("recurrent", layer.recurrents, layer.recurrent_scales)
    bias_scales = tuple(layer.input.scale * scale for scale in layer.kernel_scales)
    biases = matrices("bias", layer.biases, bias_scales)
    kind, shape = layer.hidden.dtype.name, (1, units)
    hidden = builder.tensor(f"{name}/hidden_state", shape, kind, layer.hidden, None, True)
    cell = builder.tensor(f"{name}/cell_state", shape, "int16", layer.cell, None, True)
    output = builder.activation(name, units, layer.hidden)
    intermediates = [builder.tensor(f"{name}/intermediate_{i}", (0,), "float32") for i in range(4)]
    intermediates.append(builder.tensor(f"{name}/intermediate_4", (0,), kind, layer.hidden))

    options = builder.schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = TANH
    options.cellClip = layer.cell_clip
    inputs = [arriving, *kernels, *recurrents, *[ABSENT] * 3, *biases, *[ABSENT] * 2]
    inputs += [hidden, cell, *[ABSENT] * 4]
    builder.operator(LSTM, 1, inputs, [output], options, intermediates)
    return output


def write_dense(builder: Builder, layer: IntegerDense, arriving: int) -> int:
    """FULLY_CONNECTED, and LOGISTIC where the layer has one, behind the tensor `arriving`."""
    name = layer.name
    kernel = builder.constant(f"{name}/kernel", layer.kernel, layer.kernel_scales)
    # float32 products: what a converter writes, and what readers compare with.
    scales = np.float32(layer.input.scale) * layer.kernel_scales.astype(np.float32)
    bias = builder.constant(f"{name}/bias", layer.bias, scales)
    before = f"{name}/logits" if layer.logistic else name
    output = builder.activation(before, layer.units, layer.accumulated)
    write_product(builder, arriving, kernel, bias, output, RELU if layer.relu else 0)
    if layer.logistic is None:
        return output
    gain = builder.activation(name, layer.units, layer.logistic)
    builder.operator(LOGISTIC, VERSIONS[LOGISTIC, layer.logistic.bits], [output], [gain])
    return gain


def write_product(
    builder: Builder, source: int, kernel: int, bias: int, output: int, activation: int = 0
) -> None:
    """FULLY_CONNECTED that keeps the three dimensions of a frame; `bias` may be ABSENT."""
    options = builder.schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    options.fusedActivationFunction = activation
    builder.operator(FULLY_CONNECTED, 5, [source, kernel, bias], [output], options)
