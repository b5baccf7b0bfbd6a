"""Profiles `step16x8` and `step8`: basic operators, states as inputs and outputs of the graph.

    features, hidden and cell state of each layer -> mask, the same states after the frame

Whoever runs the file feeds the states back; they start at zero, which is the step 0.  Any
runtime, delegate or compiler with FULLY_CONNECTED and elementwise operators can run it, also one
that has no recurrent operator or does not keep its state.  A signature names inputs and outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.quant import (
    GATE_ARITHMETIC,
    GATES,
    GRU_GATES,
    IntegerGRU,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.tflite.builder import Builder
from tinyse.tflite.cells import Part, gru, lstm
from tinyse.tflite.fused import ABSENT, VERSIONS, write_dense, write_head, write_product
from tinyse.tflite.layout import ADD, MAXIMUM, MINIMUM, MUL, SUB, TANH

# Version of an operator by its width, from `tools/versioning/op_version.cc` of TensorFlow Lite.
STEP_VERSIONS = VERSIONS | {
    (ADD, 8): 2, (ADD, 16): 3, (SUB, 8): 2, (SUB, 16): 5, (MUL, 8): 2, (MUL, 16): 4,
    (TANH, 8): 2, (TANH, 16): 3, (MINIMUM, 16): 4, (MAXIMUM, 16): 4,
}  # fmt: skip
OPTIONS = {ADD: "AddOptionsT", SUB: "SubOptionsT", MUL: "MulOptionsT"}
OPTIONS |= dict.fromkeys((MINIMUM, MAXIMUM), "MaximumMinimumOptionsT")


def build_step(network: IntegerNetwork, builder: Builder) -> bytes:
    """The file of `network` in the profile of its widths."""
    features = arriving = write_head(builder, network)
    inputs = {"features": features}
    outputs: dict[str, int] = {}
    for layer in network.layers:
        if isinstance(layer, IntegerLSTM | IntegerGRU):
            before = {
                key: builder.activation(f"{layer.name}/{state}", layer.units, quantisation)
                for key, state, quantisation in layer_states(layer)
            }
            after = _recurrent(builder, layer, arriving, tuple(before.values()))
            inputs |= before
            outputs |= dict(zip(before, after, strict=True))
            arriving = after[0]
        else:
            arriving = write_dense(builder, layer, arriving)
    outputs = {"mask": arriving} | outputs
    builder.signature(inputs, outputs)
    return builder.finish(list(inputs.values()), list(outputs.values()))


def layer_states(layer: IntegerLSTM | IntegerGRU) -> list[tuple[str, str, Quantisation]]:
    """(key, name behind the layer's, quantisation) of a layer's states, in the file's order."""
    states = [(f"h_{layer.name}", "hidden_state", layer.hidden)]
    if isinstance(layer, IntegerLSTM):
        states.append((f"c_{layer.name}", "cell_state", layer.cell))
    return states


def _recurrent(
    builder: Builder, layer: IntegerLSTM | IntegerGRU, x: int, states: tuple[int, ...]
) -> tuple[int, ...]:
    ops = _CellWriter(builder, layer)
    if isinstance(layer, IntegerGRU):
        (hidden,) = states
        return (gru(ops, x, hidden, layer.hidden),)
    hidden, cell = states
    return lstm(ops, x, hidden, cell, layer.hidden, layer.cell)


class _CellWriter:
    """Writes what a cell is told, with the weights of its layer."""

    def __init__(self, builder: Builder, layer: IntegerLSTM | IntegerGRU) -> None:
        self.gates = GATE_ARITHMETIC[layer.gate_bits]
        self._builder, self._layer = builder, layer
        self._names = GATES if isinstance(layer, IntegerLSTM) else GRU_GATES

    def product(self, source: int, gate: str, part: Part) -> int:
        layer, number = self._layer, self._names.index(gate)
        name = f"{layer.name}/{gate}_gate"
        biases: tuple[NDArray[np.integer], ...] | None
        if part == "kernel":
            weights, scales, biases = layer.kernels, layer.kernel_scales, layer.biases
            arriving, bias_name = layer.input, f"{name}/bias"
        else:
            weights, scales = layer.recurrents, layer.recurrent_scales
            biases = layer.recurrent_biases if isinstance(layer, IntegerGRU) else None
            arriving, bias_name = layer.hidden, f"{name}/recurrent_bias"
        kernel = self._builder.constant(f"{name}/{part}", weights[number], [scales[number]])
        bias = ABSENT
        if biases is not None:
            scale = arriving.scale * scales[number]
            bias = self._builder.constant(bias_name, biases[number], [scale])
        output = self._builder.activation(f"{name}/{part}_sum", layer.units, self.gates.before)
        write_product(self._builder, source, kernel, bias, output)
        return output

    def operator(self, code: int, inputs: tuple[int, ...], role: str, out: Quantisation) -> int:
        output = self._builder.activation(f"{self._layer.name}/{role}", self._layer.units, out)
        options: Any = None
        if code in OPTIONS:
            options = getattr(self._builder.schema, OPTIONS[code])()
        if code in (ADD, SUB):
            options.potScaleInt16 = False
        version = STEP_VERSIONS[code, out.bits]
        self._builder.operator(code, version, inputs, [output], options)
        return output

    def clipped(self, source: int, out: Quantisation) -> int:
        clip = getattr(self._layer, "cell_clip", 0.0)
        if not clip:
            return source
        steps = int(min(clip / out.scale, out.bounds[1]))
        for code, role, bound in ((MINIMUM, "highest", steps), (MAXIMUM, "lowest", -steps)):
            name = f"{self._layer.name}/{role}_cell"
            constant = self._builder.bound(name, bound, out)
            source = self.operator(code, (source, constant), f"cell_state_{role}", out)
        return source
