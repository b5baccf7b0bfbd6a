"""Profile `fused`: UNIDIRECTIONAL_SEQUENCE_LSTM in int8, one frame per invoke, state inside.

    features int8 [1, 1, n] -> LSTM .. -> FULLY_CONNECTED (ReLU) .. -> FULLY_CONNECTED
                            -> LOGISTIC -> mask int8 [1, 1, m]

The 24 inputs of the LSTM operator, as `lstm_shared.h` of TFLM numbers them: 0 input, 1-4 kernels
i f c o, 5-8 recurrent kernels, 9-11 peepholes (absent), 12-15 biases, 16-17 projection (absent),
18 hidden state, 19 cell state, 20-23 layer normalisation (absent).  The five intermediates mean
nothing here, but LiteRT refuses the operator without them.
"""

from __future__ import annotations

import numpy as np

from tinyse.quant import GATES, IntegerDense, IntegerLSTM, IntegerNetwork, Quantisation
from tinyse.tflite.builder import Builder
from tinyse.tflite.layout import FULLY_CONNECTED, LOGISTIC, LSTM

ABSENT = -1
RELU, TANH = 1, 4  # ActivationFunctionType


def build_fused(network: IntegerNetwork, builder: Builder) -> bytes:
    """The file of `network` in this profile."""
    features = builder.tensor("features", (1, 1, network.layers[0].width), "int8", network.input)
    if network.normalisation is not None:
        builder.metadata("tinyse.features", network.normalisation.astype("<f4").tobytes())
    builder.metadata("tinyse.model", network.name.encode())
    arriving = features
    for layer in network.layers:
        add = _lstm if isinstance(layer, IntegerLSTM) else _dense
        arriving = add(builder, layer, arriving)
    return builder.finish([features], [arriving])


def _lstm(builder: Builder, layer: IntegerLSTM, arriving: int) -> int:
    name, units = layer.name, layer.units

    def matrices(part: str, arrays: tuple, scales: tuple) -> list[int]:
        named = zip(GATES, arrays, scales, strict=True)
        return [builder.constant(f"{name}/{gate}_gate/{part}", a, [s]) for gate, a, s in named]

    kernels = matrices("kernel", layer.kernels, layer.kernel_scales)
    recurrents = matrices("recurrent", layer.recurrents, layer.recurrent_scales)
    bias_scales = tuple(layer.input.scale * scale for scale in layer.kernel_scales)
    biases = matrices("bias", layer.biases, bias_scales)
    hidden = builder.tensor(f"{name}/hidden_state", (1, units), "int8", layer.hidden, None, True)
    cell_quantisation = Quantisation(layer.cell_scale)
    cell = builder.tensor(f"{name}/cell_state", (1, units), "int16", cell_quantisation, None, True)
    output = builder.tensor(name, (1, 1, units), "int8", layer.hidden)
    intermediates = [builder.tensor(f"{name}/intermediate_{i}", (0,), "float32") for i in range(4)]
    intermediates.append(builder.tensor(f"{name}/intermediate_4", (0,), "int8", layer.hidden))

    options = builder.schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = TANH
    options.cellClip = layer.cell_clip
    inputs = [arriving, *kernels, *recurrents, *[ABSENT] * 3, *biases, *[ABSENT] * 2]
    inputs += [hidden, cell, *[ABSENT] * 4]
    builder.operator(LSTM, 1, inputs, [output], options, intermediates)
    return output


def _dense(builder: Builder, layer: IntegerDense, arriving: int) -> int:
    name, shape = layer.name, (1, 1, layer.units)
    kernel = builder.constant(f"{name}/kernel", layer.kernel, layer.kernel_scales)
    # float32 products: what a converter writes, and what readers compare with.
    scales = np.float32(layer.input.scale) * layer.kernel_scales.astype(np.float32)
    bias = builder.constant(f"{name}/bias", layer.bias, scales)
    before = f"{name}/logits" if layer.logistic else name
    output = builder.tensor(before, shape, "int8", layer.accumulated)
    options = builder.schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    options.fusedActivationFunction = RELU if layer.relu else 0
    builder.operator(FULLY_CONNECTED, 5, [arriving, kernel, bias], [output], options)
    if layer.logistic is None:
        return output
    gain = builder.tensor(name, shape, "int8", layer.logistic)
    builder.operator(LOGISTIC, 2, [output], [gain])
    return gain
