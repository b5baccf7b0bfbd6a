"""Float network -> integer network, with the choices of scale that make it exact everywhere.

features      2^-5, zero point 0: they are clipped to +-4 standard deviations
hidden state  2^-7, zero point 0: |h| <= 1 whatever the weights are
cell state    the power of two that covers the clip of training in int16; without a clip, 1.5 times
              the calibrated range
LSTM, GRU     weights symmetric per gate and matrix; biases in steps of s_input * s_weight
Dense         symmetric per output row; outputs asymmetric, from zero up behind a ReLU
logits        at most +-6.24: beyond it the mask byte no longer changes
mask          1/256, zero point -128, which LOGISTIC prescribes

Every scale has 12 significant bits (`scales.r12` says why).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant.network import (
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.quant.scales import r12
from tinyse.quant.weights import FloatLayer, FloatNetwork

FEATURES = Quantisation(2.0**-5)
HIDDEN = Quantisation(2.0**-7)
MASK = Quantisation(2.0**-8, -128)

Maker = Callable[[FloatLayer, Quantisation], IntegerLayer]

# In steps of 1/256 sigmoid is the byte 255 from ln(254.5 / 1.5) = 5.134 on, and 0 below -6.236.
LOGIT_BOUND = 6.24

# Speech that calibration did not see must not saturate; a step of the cell stays at least 2^3
# finer than the hidden state's as long as the range is below +-512.
CELL_MARGIN = 1.5

# An eighth of int32 leaves the accumulator room for the products.
LARGEST_BIAS = 2.0**28

# A bias counts in steps of its weights: where they are next to nothing, these steps still let it
# reach +-32 behind a hidden state, and no weight is further off than 2^-17.
SMALLEST_WEIGHT_SCALE = 2.0**-16


def quantise_network(network: FloatNetwork, name: str) -> IntegerNetwork:
    """The integer network of float weights and calibrated ranges."""
    makers: dict[str, Maker] = {"lstm": _lstm, "gru": _gru}
    layers: list[IntegerLayer] = []
    arriving = FEATURES
    for layer in network.layers:
        layers.append(makers.get(layer.kind, _dense)(layer, arriving))
        arriving = layers[-1].output
    return IntegerNetwork(name, tuple(layers), np.stack([network.mean, network.std]))


def _gates(layer: FloatLayer, count: int) -> tuple[list[NDArray], list[NDArray]]:
    """The kernels and the recurrent kernels [out, in] of a recurrent layer, one per gate."""
    assert layer.recurrent is not None
    return np.split(layer.kernel.T, count), np.split(layer.recurrent.T, count)


def _lstm(layer: FloatLayer, arriving: Quantisation) -> IntegerLSTM:
    kernels, recurrents = _gates(layer, 4)
    kernel_scales = tuple(weight_scale(kernel) for kernel in kernels)
    recurrent_scales = tuple(weight_scale(recurrent) for recurrent in recurrents)
    biases = zip(np.split(layer.bias, 4), kernel_scales, strict=True)
    return IntegerLSTM(
        name=layer.name,
        kernels=tuple(map(_weights, kernels, kernel_scales)),
        recurrents=tuple(map(_weights, recurrents, recurrent_scales)),
        biases=tuple(_bias(bias, arriving.scale * scale, layer) for bias, scale in biases),
        kernel_scales=kernel_scales,
        recurrent_scales=recurrent_scales,
        input=arriving,
        hidden=HIDDEN,
        cell_scale=cell_scale(layer),
        cell_clip=layer.cell_clip,
    )


def _gru(layer: FloatLayer, arriving: Quantisation) -> IntegerGRU:
    kernels, recurrents = _gates(layer, 3)
    kernel_scales = tuple(map(weight_scale, kernels))
    recurrent_scales = tuple(map(weight_scale, recurrents))
    from_input, from_hidden = (np.split(bias, 3) for bias in layer.bias)
    pairs = zip(from_input, kernel_scales, strict=True)
    recurrent_pairs = zip(from_hidden, recurrent_scales, strict=True)
    return IntegerGRU(
        name=layer.name,
        kernels=tuple(map(_weights, kernels, kernel_scales)),
        recurrents=tuple(map(_weights, recurrents, recurrent_scales)),
        biases=tuple(_bias(bias, arriving.scale * scale, layer) for bias, scale in pairs),
        recurrent_biases=tuple(
            _bias(bias, HIDDEN.scale * scale, layer) for bias, scale in recurrent_pairs
        ),
        kernel_scales=kernel_scales,
        recurrent_scales=recurrent_scales,
        input=arriving,
        hidden=HIDDEN,
    )


def _dense(layer: FloatLayer, arriving: Quantisation) -> IntegerDense:
    kernel = layer.kernel.T
    least = least_scales(layer.bias, arriving, LARGEST_BIAS)
    scales = np.array([weight_scale(row, low) for row, low in zip(kernel, least, strict=True)])
    is_mask = layer.kind == "mask"
    return IntegerDense(
        name=layer.name,
        kernel=_weights(kernel, scales[:, None]),
        bias=_bias(layer.bias, arriving.scale * scales, layer),
        kernel_scales=scales,
        input=arriving,
        accumulated=accumulated(layer),
        relu=not is_mask,
        logistic=MASK if is_mask else None,
    )


def weight_scale(weights: NDArray[np.float32], least: float = SMALLEST_WEIGHT_SCALE) -> float:
    """Scale of int8 steps, `least` or more: the largest weight is 127 of them."""
    return r12(max(float(np.abs(weights).max()) / 127, least))


def least_scales(
    bias: NDArray[np.float32], arriving: Quantisation, most: float
) -> NDArray[np.float64]:
    """Scales [n] of a Dense layer's outputs from which on no bias [n] has more than `most` steps.

    Weights that this makes coarser are nothing beside their bias.  Behind a layer that is silent
    the smallest scale alone would not do: steps of what arrives are next to nothing too.
    """
    # Half of it: rounding a scale to 12 bits may take a little back.
    needed = np.abs(bias.astype(np.float64)) / (arriving.scale * most / 2)
    return np.maximum(needed, SMALLEST_WEIGHT_SCALE)


def _weights(weights: NDArray[np.float32], scale: NDArray | float) -> NDArray[np.int8]:
    """int8, -127..127: rounding the scale down may leave the largest weight at 127.03."""
    steps = np.rint(weights.astype(np.float64) / scale)
    return np.ascontiguousarray(np.clip(steps, -127, 127).astype(np.int8))


def _bias(
    bias: NDArray[np.float32], scale: NDArray | float, layer: FloatLayer
) -> NDArray[np.int32]:
    steps = np.rint(bias.astype(np.float64) / scale)
    if np.abs(steps).max() > LARGEST_BIAS:
        what = f"{np.abs(bias).max():g} is more than the steps of its weights can hold"
        raise InputError(what, f"{layer.name}/bias", "train again")
    return steps.astype(np.int32)


def cell_scale(layer: FloatLayer) -> float:
    """Scale of an LSTM's cell state: the power of two that covers its clip, else its range."""
    low, high = layer.range
    largest = layer.cell_clip or max(abs(low), abs(high), 1.0) * CELL_MARGIN
    return 2.0 ** math.ceil(math.log2(largest / 32768))


def accumulated(layer: FloatLayer) -> Quantisation:
    """Quantisation of what a Dense layer puts out: behind a ReLU, or the logits of the mask."""
    low, high = layer.range
    if layer.kind == "mask":
        return _asymmetric(max(low, -LOGIT_BOUND), min(high, LOGIT_BOUND))
    return _asymmetric(0.0, high)


def _asymmetric(low: float, high: float) -> Quantisation:
    """The quantisation of [low, high] with zero inside, onto -128..127."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = r12(max(high - low, 2.0**-8) / 255)  # a layer that is silent still needs a scale
    return Quantisation(scale, int(np.clip(round(-128 - low / scale), -128, 127)))
