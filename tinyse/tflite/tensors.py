"""What is demanded of the tensors of a read file: type, shape, quantisation, whether constant.

Every function takes the model and a tensor's number, -1 for one that is absent, and refuses with
the tensor's name what does not comply.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant import Quantisation
from tinyse.tflite.read import REMEDY, Model, Tensor

BIAS_TOLERANCE = 1e-4  # of the product of scales: converters multiply in float32
BIAS_TYPES = {8: "int32", 16: "int64"}  # by the width of the activations
LAYER_NAME = re.compile(r"((lstm|gru|dense)_\d+|mask)/", re.ASCII)


def refuse(model: Model, what: str) -> NoReturn:
    """InputError that names the file."""
    raise InputError(what, model.path or "model", REMEDY)


def tensor_at(model: Model, index: int) -> Tensor:
    """The tensor, which must be there."""
    if index < 0:
        refuse(model, "a tensor that an operator needs is absent")
    return model.tensors[index]


def label(model: Model, index: int) -> str:
    """A name for messages."""
    return tensor_at(model, index).name or f"tensor {index}"


def width_of(model: Model, index: int) -> int:
    """The size of the last axis, 0 for a scalar."""
    shape = tensor_at(model, index).shape
    return shape[-1] if shape else 0


def expect(model: Model, index: int, kind: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of this type and shape."""
    tensor = tensor_at(model, index)
    if tensor.type != kind or tensor.shape != shape:
        got = f"{tensor.type} {list(tensor.shape)}"
        refuse(model, f"{label(model, index)}: expected {kind} {list(shape)}, got {got}")
    return tensor


def activation_type(model: Model) -> str:
    """The type that goes from layer to layer: int16 if the output is, else int8."""
    kinds = {tensor_at(model, index).type for index in model.outputs[:1]}
    return "int16" if kinds == {"int16"} else "int8"


def activation(model: Model, index: int, width: int | None, role: str) -> Quantisation:
    """Quantisation of a frame [1, 1, width]."""
    width = width_of(model, index) if width is None else width
    tensor = expect(model, index, activation_type(model), (1, 1, width))
    if not width or tensor.data is not None or tensor.is_variable:
        refuse(model, f"{label(model, index)}: cannot be the {role} of an operator")
    return quantisation_of(model, index)


def quantisation_of(model: Model, index: int) -> Quantisation:
    """One scale and zero point; 0 is the only zero point of int16."""
    tensor = tensor_at(model, index)
    bits = 16 if tensor.type == "int16" else 8
    zero_point = int(tensor.zero_points[0]) if len(tensor.scales) == 1 else 0
    if len(tensor.scales) != 1 or not -128 <= zero_point <= 127:
        refuse(model, f"{label(model, index)}: expected one scale and an int8 zero point")
    if bits == 16 and zero_point:
        refuse(model, f"{label(model, index)}: zero point {zero_point}, expected 0")
    return Quantisation(float(tensor.scales[0]), zero_point, bits)


def state(model: Model, index: int, kind: str, units: int) -> Quantisation:
    """Quantisation of a variable [1, units] that one operator alone uses."""
    tensor = expect(model, index, kind, (1, units))
    if not tensor.is_variable or tensor.data is not None:
        refuse(model, f"{label(model, index)}: expected a variable tensor")
    readers = sum(operator.inputs.count(index) for operator in model.operators)
    if readers != 1:
        refuse(model, f"{label(model, index)}: one state serves {readers} operators")
    return quantisation_of(model, index)


def matrix(model: Model, index: int, shape: tuple[int, int]) -> NDArray[np.int8]:
    """The weights of a matrix [out, in]."""
    return constant(model, index, expect(model, index, "int8", shape))


def constant(model: Model, index: int, tensor: Tensor) -> NDArray:
    """The values of a tensor that must have some."""
    if tensor.data is None or tensor.is_variable:
        refuse(model, f"{label(model, index)}: expected a constant")
    return tensor.data


def one_scale(model: Model, index: int) -> float:
    """The scale of a gate's matrix."""
    scales = tensor_at(model, index).scales
    if len(scales) != 1:
        refuse(model, f"{label(model, index)}: {len(scales)} scales, expected one per gate")
    return float(scales[0])


def bias(
    model: Model,
    index: int,
    units: int,
    arriving: Quantisation,
    scales: NDArray[np.float64] | float,
    optional: bool = False,
) -> NDArray[np.integer]:
    """A bias [units] in steps of the input's scale times those of the weights; zeros if absent."""
    kind = BIAS_TYPES[arriving.bits]
    if optional and index == -1:
        return np.zeros(units, kind)
    tensor = expect(model, index, kind, (units,))
    expected = np.atleast_1d(arriving.scale * scales)
    found = tensor.scales.astype(np.float64)
    if len(found) != len(expected) or (np.abs(found / expected - 1) > BIAS_TOLERANCE).any():
        refuse(model, f"{label(model, index)}: scale is not that of input times weight")
    if tensor.zero_points.any():
        refuse(model, f"{label(model, index)}: zero point is not 0")
    return constant(model, index, tensor)


def layer_name(model: Model, index: int, otherwise: str) -> str:
    """The name in the file where it is one of ours, else by kind and place."""
    found = LAYER_NAME.match(label(model, index))
    return found[1] if found else otherwise


def normalisation(model: Model, width: int) -> NDArray[np.float32] | None:
    """Mean and deviation [2, width] of the features, None where the file does not tell them."""
    data = model.metadata.get("tinyse.features")
    if data is None:
        return None
    if len(data) != 8 * width:
        refuse(model, f"metadata tinyse.features: {len(data)} bytes, expected {8 * width}")
    values = np.frombuffer(data, "<f4").astype(np.float32).reshape(2, width)
    if not np.isfinite(values).all() or values[1].min() <= 0:
        refuse(model, "metadata tinyse.features: not a mean and a positive deviation")
    return values
