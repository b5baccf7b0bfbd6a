"""What refuses a file before a runtime sees it: one subgraph of integer operators we can prove.

TFLM runs some wrong files without a word: a cell scale that is no power of two gives a wrong tanh,
an accumulator beyond int32 wraps.  And it ends in a segmentation fault on others.  `load` is the
way to open any `.tflite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.files import read_bytes
from tinyse.quant import (
    IntegerDense,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
    quantize_multiplier,
)
from tinyse.tflite.layout import FULLY_CONNECTED, LOGISTIC, LSTM
from tinyse.tflite.ops import lift, refuse
from tinyse.tflite.read import Model, Operator, parse_model

SUPPORTED = (LSTM, FULLY_CONNECTED, LOGISTIC)
# Others could steer an allocator or a decoder: TFLM obeys OfflineMemoryAllocation, for one.
KNOWN_METADATA = ("min_runtime_version", "CONVERSION_METADATA", "tinyse.model", "tinyse.features")
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-40, 2.0**10
CELL_EXPONENTS = range(-18, 1)
LOGISTIC_SCALES = (2.0**-20, 1.0)
GATE_SCALE = 2.0**-12  # Q3.12, what the gates' pre-activations are computed in


@dataclass(frozen=True)
class CheckedFile:
    """A file that passed: its bytes, its plain parts and its network."""

    path: Path | None
    data: bytes
    model: Model
    network: IntegerNetwork


def load(path: Path | str) -> CheckedFile:
    """Reads and checks the file `path`; InputError says what is wrong with it."""
    path = Path(path)
    return check_bytes(read_bytes(path), path)


def check_bytes(data: bytes, path: Path | None = None) -> CheckedFile:
    """The same of bytes that may come from `path`."""
    model = parse_model(data, path)
    return CheckedFile(path, data, model, check(model))


def check(model: Model) -> IntegerNetwork:
    """The network of a model in which nothing was found wrong."""
    if model.subgraphs != 1:
        refuse(model, f"{model.subgraphs} subgraphs, expected 1 (loops and calls cannot be run)")
    for operator in model.operators:
        _check_operator(model, operator)
    for name in model.metadata:
        if name not in KNOWN_METADATA:
            refuse(model, f"metadata {name!r} is not known")
    for tensor in model.tensors:
        if tensor.data is not None and tensor.zero_points.any():
            refuse(model, f"{tensor.name}: a weight of zero does not sit on the byte 0")
        if len(tensor.scales) and not _sane(tensor.scales):
            refuse(model, f"{tensor.name}: scale outside {SMALLEST_SCALE:g}..{LARGEST_SCALE:g}")
    network = lift(model)
    for layer in network.layers:
        layer_check = _check_lstm if isinstance(layer, IntegerLSTM) else _check_dense
        layer_check(model, layer)
    return network


def _check_operator(model: Model, operator: Operator) -> None:
    if operator.code not in SUPPORTED:
        kind = "Flex operator" if "CUSTOM Flex" in operator.name else "operator"
        refuse(model, f"unsupported {kind} {operator.name}")
    if operator.code == LOGISTIC and operator.options_type:
        refuse(model, "LOGISTIC has options that do not belong to it")
    for index in (*operator.inputs[:1], *operator.outputs):
        kind = model.tensors[index].type if index >= 0 else "nothing"
        if kind != "int8":
            refuse(model, f"{operator.name} computes in {kind}, expected int8")


def _sane(scales: NDArray[np.float32]) -> bool:
    return bool((scales >= SMALLEST_SCALE).all() and (scales <= LARGEST_SCALE).all())


def _check_lstm(model: Model, layer: IntegerLSTM) -> None:
    name = f"{layer.name}/cell_state"
    if layer.cell_scale != 2.0**layer.cell_exponent:
        refuse(model, f"{name}: scale {layer.cell_scale:g} is not a power of two")
    if layer.cell_exponent not in CELL_EXPONENTS:
        refuse(model, f"{name}: scale {layer.cell_scale:g} is outside 2^-18..2^0")
    for kernel, bias, scale in zip(layer.kernels, layer.biases, layer.kernel_scales, strict=True):
        ratios = np.array([layer.input.scale * scale / GATE_SCALE])
        _check_accumulator(model, layer.name, kernel, bias, layer.input, ratios)
    nothing = np.zeros(layer.units, np.int32)
    for recurrent, scale in zip(layer.recurrents, layer.recurrent_scales, strict=True):
        ratios = np.array([layer.hidden.scale * scale / GATE_SCALE])
        _check_accumulator(model, layer.name, recurrent, nothing, layer.hidden, ratios)


def _check_dense(model: Model, layer: IntegerDense) -> None:
    ratios = layer.input.scale * layer.kernel_scales / layer.accumulated.scale
    _check_accumulator(model, layer.name, layer.kernel, layer.bias, layer.input, ratios)
    if layer.logistic is None:
        return
    if layer.logistic != Quantisation(2.0**-8, -128):
        refuse(model, f"{layer.name}: LOGISTIC must end at scale 1/256, zero point -128")
    low, high = LOGISTIC_SCALES
    if not low <= layer.accumulated.scale <= high:
        refuse(model, f"{layer.name}: LOGISTIC input scale outside {low:g}..{high:g}")


def _check_accumulator(
    model: Model,
    name: str,
    kernel: NDArray[np.int8],
    bias: NDArray[np.int32],
    arriving: Quantisation,
    ratios: NDArray[np.float64],
) -> None:
    """An int32 sum, shifted left by what the multiplier asks for, must not wrap."""
    furthest = max(127 - arriving.zero_point, 128 + arriving.zero_point)
    largest = np.abs(kernel.astype(np.int64)).sum(axis=1) * furthest + np.abs(bias.astype(np.int64))
    shifts = [max(quantize_multiplier(float(ratio))[1], 0) for ratio in ratios]
    if (largest.astype(np.float64) * np.exp2(shifts) >= 2**31).any():
        refuse(model, f"{name}: a sum of products may leave int32")
