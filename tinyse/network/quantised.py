"""The forward pass with the arithmetic of the exported file, LSTMs byte for byte, and a gradient.

    features -> int8 -> LSTM (int8, int16 cells) .. -> Dense (int8) .. -> LOGISTIC -> mask

Parameters stay float32; in every step they are masked and put on the int8 grid once, outside the
time loop, and everything behind them is computed in the integers of `runtimes.oracle`:

    used = Q(w * m)    scale = r12(max |w m| / 127), per gate and matrix, or per row of a Dense

Weights of fewer bits take one of 2^bits - 1 values that lie evenly over the same int8 range: the
file is the same kind of file, and what stays of a sparse matrix is coded in less.

Going backward, rounding is passed straight through (Bengio, Leonard and Courville 2013): a weight
takes the gradient of the value that was used for it, also where its mask is 0, so a weight that is
out goes on learning and can come back.  The LSTM keeps its own gradient (`layers`), fed with the
dequantised gates and states of this forward pass.

An LSTM is exact.  A GRU computes with the file's weights and biases, and its hidden states are put
on the int8 grid for the next layer, but its loop runs in float32: the file's has steps of 16 bits.
A Dense layer multiplies by a ratio of three scales in float32 where the file has
a Q31 multiplier (`integers.multiply_nearly`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.network import integers
from tinyse.network.backend import gathered, time_loop
from tinyse.network.build import Parameters, fitted, layer_names
from tinyse.network.gru import gru
from tinyse.network.integers import straight_through
from tinyse.network.layers import lstm_gradient, project
from tinyse.network.precision import cpu_loops
from tinyse.network.tensors import Tensor, Tensors, WithGradient, custom_gradient
from tinyse.quant import FloatNetwork, Quantisation, logistic_table, sigmoid_table, tanh_table
from tinyse.quant.post_training import (
    FEATURES,
    HIDDEN,
    MASK,
    SMALLEST_WEIGHT_SCALE,
    accumulated,
    cell_scale,
)
from tinyse.quant.weights import GATES_OF
from tinyse.recipe import Network

GATE_COUNT = 4


@dataclass(frozen=True)
class Cell:
    """How a cell state is held: scale 2^exponent, bound in steps (0 for none)."""

    exponent: int
    clip: int

    @property
    def scale(self) -> np.float32:
        """Real value of one step."""
        return np.float32(2.0**self.exponent)


@dataclass(frozen=True)
class Activations:
    """Quantisation of every activation: cells of LSTMs, outputs of Dense layers, the logits.

    All of it follows from the ranges in `weights.npz`, by the functions that export uses.
    """

    cells: dict[str, Cell]
    outputs: dict[str, Quantisation]

    @classmethod
    def of(cls, network: FloatNetwork) -> Activations:
        """Of the ranges and cell clips of a float network."""
        cells = {}
        for layer in network.layers:
            if layer.kind == "lstm":
                scale = cell_scale(layer)
                clip = int(min(layer.cell_clip / scale, 32767))
                cells[layer.name] = Cell(math.frexp(scale)[1] - 1, clip)
        dense = (layer for layer in network.layers if layer.kind in ("dense", "mask"))
        outputs = {layer.name: accumulated(layer) for layer in dense}
        return cls(cells, outputs)


def weight_steps(
    weights: Tensor, mask: Tensor | None, gates: int = 1, bits: int = 8
) -> tuple[Tensor, Tensor]:
    """int8 steps (as float32) of weights [n, m] under a mask, and the scale of every column [m].

    gates : how many matrices stand side by side; 1 for a Dense, which has a scale a column
    mask : [n, m] of 0 and 1, None for none; it takes the gradient of the weights it decides on
    bits : 2..8, for 2^bits - 1 different steps
    """
    magnitudes = 2 ** (bits - 1) - 1
    if mask is None:
        mask = ops.ones_like(weights)
    columns = weights.shape[1]
    largest = ops.max(ops.abs(ops.stop_gradient(weights * mask)), axis=0)
    if gates > 1:
        largest = ops.max(ops.reshape(largest, (gates, columns // gates)), axis=1)
    scale = integers.r12(ops.maximum(largest / 127, SMALLEST_WEIGHT_SCALE))
    if gates > 1:
        scale = ops.repeat(scale, columns // gates)

    @custom_gradient
    def steps(weights: Tensor, mask: Tensor, scale: Tensor) -> WithGradient:
        # Rounding the scale down may leave the largest weight at 127.03.
        finest = weights * mask / scale
        if bits < 8:
            coarse = 127 / magnitudes
            finest = ops.clip(ops.round(finest / coarse), -magnitudes, magnitudes) * coarse
        taken = ops.clip(ops.round(finest), -127, 127)

        def gradient(upstream: Tensor) -> Tensors:
            by_value = upstream / scale
            return by_value, by_value * weights, ops.zeros_like(scale)

        return taken, gradient

    return steps(weights, mask, scale), scale


def used_parameters(
    network: Network,
    activations: Activations,
    parameters: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    bits: int = 8,
) -> Parameters:
    """What a step computes with, in real units: the float32 values that export to its bytes.

    A step times a scale of 12 bits is exact in float32, and the largest weight of a matrix is
    always 127 steps, so `quant.quantise_network` finds the same scales and the same steps again.
    """
    found = {}
    arriving = FEATURES
    for name in layer_names(network):
        gates = gates_of(name)
        units = []
        for part, read in (("kernel", arriving), ("recurrent", HIDDEN))[: 2 if gates > 1 else 1]:
            key = f"{name}/{part}"
            steps, scale = weight_steps(parameters[key], masks.get(key), gates, bits)
            found[key] = steps * scale
            units.append(scale * np.float32(read.scale))
        bias = parameters[f"{name}/bias"]
        unit = ops.stack(units) if len(bias.shape) > 1 else units[0]  # a GRU has one for each part
        found[f"{name}/bias"] = ops.round(bias / unit) * unit
        arriving = HIDDEN if gates > 1 else activations.outputs[name]
    return found


def quantised_forward(
    network: Network,
    activations: Activations,
    parameters: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    features: Tensor,
    bits: int = 8,
) -> Tensor:
    """Mask [B, T, 128] of features [B, T, 128] from a zero state, as the exported file computes it.

    masks : kernel or recurrent kernel -> [n, m] of 0 and 1; what is not named is dense
    bits : of weights (`weight_steps`)
    """
    parameters, masks = fitted(network, parameters), fitted(network, masks)
    x = ops.transpose(features, (1, 0, 2))
    x = ops.clip(ops.round(x / FEATURES.scale), -128, 127)
    arriving = FEATURES
    for name in layer_names(network):
        gates = gates_of(name)
        kernel, scale = weight_steps(
            parameters[f"{name}/kernel"], masks.get(f"{name}/kernel"), gates, bits
        )
        unit = scale * np.float32(arriving.scale)
        bias = parameters[f"{name}/bias"]
        from_input = bias / unit if len(bias.shape) == 1 else bias[0] / unit
        sums = project(x, kernel, straight_through(ops.round(from_input), from_input))
        if gates > 1:
            key = f"{name}/recurrent"
            recurrent, scale = weight_steps(parameters[key], masks.get(key), gates, bits)
            if name in activations.cells:
                x = quantised_lstm(sums, recurrent, unit, scale, activations.cells[name])
            else:
                x = _gru(sums * unit, recurrent * scale, bias[1], scale)
            arriving = HIDDEN
        else:
            arriving = activations.outputs[name]
            x = _dense(sums, unit, arriving, relu=name != "mask")
    return ops.transpose(_logistic(x, arriving), (1, 0, 2))


def gates_of(name: str) -> int:
    """How many matrices stand side by side in a layer's kernels."""
    return GATES_OF.get(name.partition("_")[0], 1)


def _gru(projected: Tensor, recurrent: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
    """Hidden states of a GRU in steps of 2^-7, from the weights of the file and a loop in float."""
    unit = scale * np.float32(HIDDEN.scale)
    bias = straight_through(ops.round(bias / unit) * unit, bias)
    hidden = gru(projected, recurrent, bias) / np.float32(HIDDEN.scale)
    return straight_through(ops.clip(ops.round(hidden), -128, 127), hidden)


def _dense(sums: Tensor, unit: Tensor, output: Quantisation, relu: bool) -> Tensor:
    """Steps above the zero point of FULLY_CONNECTED's output; saturated steps pass no gradient."""
    ratio = unit / np.float32(output.scale)
    steps = ops.cast(integers.multiply_nearly(ops.stop_gradient(sums), ratio), "float32")
    low, high = 0 if relu else -128 - output.zero_point, 127 - output.zero_point
    # Steps often lie on a bound, where backends differ in what a clip passes: here, all of it.
    within = ops.cast(ops.logical_and(steps >= low, steps <= high), "float32")
    return straight_through(ops.clip(steps, low, high), sums * ratio * within)


def _logistic(x: Tensor, arriving: Quantisation) -> Tensor:
    """The mask 0..255/256 of logits in steps above their zero point, with a sigmoid's gradient."""
    table = logistic_table(arriving.scale, arriving.zero_point)
    gains = np.float32((table - MASK.zero_point) * MASK.scale)

    @custom_gradient
    def mask_of(x: Tensor) -> WithGradient:
        index = ops.cast(x, "int32") + (arriving.zero_point + 128)
        mask = gathered(gains, index)
        return mask, lambda upstream: upstream * mask * (1 - mask) * np.float32(arriving.scale)

    return mask_of(x)


def quantised_lstm(
    sums: Tensor, recurrent: Tensor, unit: Tensor, recurrent_scale: Tensor, cell: Cell
) -> Tensor:
    """Hidden states [T, B, H] in steps of 2^-7, from a zero state.

    sums : [T, B, 4H], accumulators of the input product, bias included, in steps of `unit` [4H]
    recurrent : [H, 4H], int8 steps of `recurrent_scale` [4H]
    """
    hidden_scale = np.float32(HIDDEN.scale)
    cpu = cpu_loops(recurrent.shape[0])
    back = cpu.lstm_gradient if cpu else lstm_gradient

    @custom_gradient
    def with_gradient(
        sums: Tensor, recurrent: Tensor, unit: Tensor, recurrent_scale: Tensor
    ) -> WithGradient:
        hidden, cells, gates = _states(sums, recurrent, unit, recurrent_scale, cell)

        def gradient(upstream: Tensor) -> Tensors:
            # All of it is linear in upstream, so its scale is taken at the end, with the others.
            d_sums, d_recurrent = back(
                upstream,
                recurrent * recurrent_scale,
                hidden,
                ops.cast(cells, "float32") * cell.scale,
                ops.cast(gates, "float32") * np.float32(2.0**-15),
                cell.clip * float(cell.scale),
                unit / hidden_scale,
            )
            nothing = ops.zeros_like(unit), ops.zeros_like(recurrent_scale)
            # Hidden states in steps and upstream per step: the scale of the one undoes the other's.
            return d_sums, d_recurrent * recurrent_scale, *nothing

        return hidden, gradient

    return with_gradient(sums, recurrent, unit, recurrent_scale)


def _states(
    sums: Tensor, recurrent: Tensor, unit: Tensor, recurrent_scale: Tensor, cell: Cell
) -> Tensors:
    """Hidden steps float32 [T, B, H], cells int16 [T, B, H] and gates Q0.15 int16 [T, B, 4H].

    `_LSTMLayer` of `runtimes.oracle`, line by line.  States are kept in 16 bits for the way back:
    the loop is bound by memory, and halving what it writes pays for the integer arithmetic.
    """
    _, batch, width = sums.shape
    units = width // GATE_COUNT
    to_gate = np.float32(2.0**12)  # pre-activations are Q3.12
    by_input = integers.multiplier(unit * to_gate)
    by_hidden = integers.multiplier(recurrent_scale * (np.float32(HIDDEN.scale) * to_gate))
    enter, leave = 30 + cell.exponent, 30 + int(math.log2(HIDDEN.scale))
    cpu = cpu_loops(units)
    if cpu is not None:
        tables = np.stack([sigmoid_table(), tanh_table(-12), tanh_table(cell.exponent)])
        shifts = {"enter": enter, "leave": leave, "clip": cell.clip}
        return cpu.quantised_states(sums, recurrent, by_input, by_hidden, tables, shifts)
    gate_tables, first = _gate_tables(units)
    cell_table = tanh_table(cell.exponent).astype(np.int32)
    from_input = integers.clipped16(integers.multiply(ops.cast(sums, "int32"), by_input))

    def step(carry: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        hidden, c = carry
        product = ops.cast(ops.matmul(hidden, recurrent), "int32")
        from_hidden = integers.clipped16(integers.multiply(product, by_hidden))
        p = integers.clipped16(ops.cast(inputs[0], "int32") + from_hidden)
        gates = gathered(gate_tables, p + first)
        i, f, g, o = ops.split(gates, GATE_COUNT, axis=1)
        kept = integers.clipped16(integers.shifted(f * c, 15))
        c = integers.clipped16(kept + integers.clipped16(integers.shifted(i * g, enter)))
        if cell.clip:
            c = ops.clip(c, -cell.clip, cell.clip)
        squashed = gathered(cell_table, c + 32768)
        hidden = ops.clip(integers.shifted(squashed * o, leave), -128, 127)
        hidden = ops.cast(hidden, "float32")
        return (hidden, c), (hidden, ops.cast(c, "int16"), ops.cast(gates, "int16"))

    start = ops.zeros((batch, units)), ops.zeros((batch, units), dtype="int32")
    return time_loop(step, start, (ops.cast(from_input, "int16"),))[1]


def _gate_tables(units: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """sigmoid and tanh one behind the other, and where zero lies for every column [4 units]."""
    tables = np.concatenate([sigmoid_table(), tanh_table(-12)]).astype(np.int32)
    first = np.repeat(np.array([0, 0, 1, 0]), units) * 65536 + 32768
    return tables, first.astype(np.int32)
