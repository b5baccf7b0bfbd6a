"""Export profiles: the widths and the form in which one network is written.

    fused       int8 activations, int16 gates and cell inside UNIDIRECTIONAL_SEQUENCE_LSTM
    fused16x8   the same operator with int16 activations
    step16x8    the same arithmetic in basic operators, states as inputs and outputs
    step8       basic operators, everything in 8 bits

Recurrent layers have the same int8 weights in all of them; activations, biases and the cell state
differ.  `fused16x8` and `step16x8` compute the same bytes.

16 bits       a Dense matrix has one scale: FULLY_CONNECTED with a scale per row and int16
              activations is refused by TFLM before 2026 and unknown to Arm's CMSIS-NN;
              features 2^-13 (they are clipped to +-4), hidden state and mask 2^-15, logits 2^-12,
              a Dense layer symmetric over twice its calibrated range
8-bit cell    symmetric over at most +-4: int8 TANH ends at 1 from 3.1 on, and finer steps of what
              enters count more than a longer memory

Profiles are four rows of code and no files: whoever adds one adds arithmetic.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant.gates import GATE_ARITHMETIC
from tinyse.quant.network import (
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.quant.post_training import least_scales, quantise_network, weight_scale
from tinyse.quant.scales import r12
from tinyse.quant.weights import FloatLayer, FloatNetwork

Form = Literal["fused", "step"]


@dataclass(frozen=True)
class Profile:
    """Width of activations and of what recurrent layers compute in, and the form of the graph."""

    bits: int
    gate_bits: int
    form: Form


PROFILES = {
    "fused": Profile(8, 16, "fused"),
    "fused16x8": Profile(16, 16, "fused"),
    "step16x8": Profile(16, 16, "step"),
    "step8": Profile(8, 8, "step"),
}

FEATURES_16 = Quantisation(2.0**-13, 0, 16)
HIDDEN_16 = Quantisation(2.0**-15, 0, 16)
LOGITS_16 = GATE_ARITHMETIC[16].before
MASK_16 = GATE_ARITHMETIC[16].sigmoid
NARROW_CELL = 4.0  # +-8 loses 0.2 dB of SDR more
SMALLEST_CELL = 0.25
DENSE_MARGIN = 2.0  # 16 bits leave room for outputs that calibration did not see

# Vela takes biases of up to 40 bits; the accumulator holds 47.
LARGEST_WIDE_BIAS = 2.0**38


def find_profile(name: str) -> Profile:
    """The profile of that name; InputError where there is none."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}", "profile", f"use {', '.join(PROFILES)}")
    return PROFILES[name]


def fitting_profile(network: FloatNetwork) -> str:
    """The profile of a network's exports where nobody names one: GRUs are there in steps alone."""
    return "step16x8" if any(layer.kind == "gru" for layer in network.layers) else "fused"


def quantise_for(network: FloatNetwork, name: str, profile: str) -> IntegerNetwork:
    """The integer network of float weights and calibrated ranges, as `profile` computes it."""
    wanted = find_profile(profile)
    quantised = quantise_network(network, name)
    if profile == "fused":
        return quantised
    layers: list[IntegerLayer] = []
    for source, layer in zip(network.layers, quantised.layers, strict=True):
        if wanted.bits == 16:
            arriving = layers[-1].output if layers else FEATURES_16
            layers.append(_widened(source, layer, arriving))
        elif isinstance(layer, IntegerLSTM):
            layers.append(_narrowed(source, layer))
        else:
            layers.append(layer)
    return dataclasses.replace(quantised, layers=tuple(layers))


def _widened(source: FloatLayer, layer: IntegerLayer, arriving: Quantisation) -> IntegerLayer:
    """`layer` with 16-bit activations."""
    if isinstance(layer, IntegerDense):
        is_mask = layer.logistic is not None
        least = least_scales(source.bias, arriving, LARGEST_WIDE_BIAS)
        scale = weight_scale(source.kernel, float(least.max()))
        steps = np.rint(source.kernel.T.astype(np.float64) / scale)
        return dataclasses.replace(
            layer,
            kernel=np.ascontiguousarray(np.clip(steps, -127, 127).astype(np.int8)),
            kernel_scales=np.array([scale]),
            input=arriving,
            bias=_wide_bias(source.bias, arriving, scale),
            accumulated=LOGITS_16 if is_mask else _symmetric(source),
            logistic=MASK_16 if is_mask else None,
        )
    if isinstance(layer, IntegerGRU):
        from_input, from_hidden = source.bias
        return dataclasses.replace(
            layer,
            input=arriving,
            hidden=HIDDEN_16,
            biases=_wide_biases(from_input, arriving, layer.kernel_scales),
            recurrent_biases=_wide_biases(from_hidden, HIDDEN_16, layer.recurrent_scales),
        )
    return dataclasses.replace(
        layer,
        input=arriving,
        hidden=HIDDEN_16,
        biases=_wide_biases(source.bias, arriving, layer.kernel_scales),
        cell_clip=_representable(layer),
    )


def _representable(layer: IntegerLSTM) -> float:
    """The clip of the cell as a whole number of its steps; 0 where int16 saturates there anyway."""
    steps = int(min(layer.cell_clip / layer.cell_scale, 32767))
    return 0.0 if steps == 32767 else steps * layer.cell_scale


def _narrowed(source: FloatLayer, layer: IntegerLSTM) -> IntegerLSTM:
    """`layer` with its gates and its cell state in 8 bits; saturation is the clip."""
    largest = min(max(abs(bound) for bound in source.range), NARROW_CELL)
    largest = max(largest, SMALLEST_CELL)
    return dataclasses.replace(layer, cell_scale=r12(largest / 127), cell_clip=0.0, gate_bits=8)


def _symmetric(source: FloatLayer) -> Quantisation:
    """Quantisation of what a Dense layer puts out behind its ReLU."""
    return Quantisation(r12(max(DENSE_MARGIN * source.range[1], 2.0**-8) / 32767), 0, 16)


def _wide_biases(
    bias: NDArray[np.float32], arriving: Quantisation, scales: tuple[float, ...]
) -> tuple[NDArray[np.int64], ...]:
    """One for each gate, of the gates' biases side by side."""
    parts = np.split(bias, len(scales))
    return tuple(_wide_bias(part, arriving, s) for part, s in zip(parts, scales, strict=True))


def _wide_bias(
    bias: NDArray[np.float32], arriving: Quantisation, scale: float
) -> NDArray[np.int64]:
    steps = np.rint(bias.astype(np.float64) / (arriving.scale * scale))
    return np.clip(steps, -LARGEST_WIDE_BIAS, LARGEST_WIDE_BIAS).astype(np.int64)
