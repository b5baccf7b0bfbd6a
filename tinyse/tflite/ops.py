"""Lifts the operators of a read file into an IntegerNetwork, checking shapes, types and order.

What cannot be lifted cannot be run: everything that the oracle, the audit or a runtime relies on
is demanded here, with the name of the tensor that does not comply.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.quant import IntegerDense, IntegerLayer, IntegerLSTM, IntegerNetwork, Quantisation
from tinyse.tflite.layout import FULLY_CONNECTED, LOGISTIC, LSTM
from tinyse.tflite.read import REMEDY, Model, Operator, Tensor

RELU, TANH = 1, 4  # ActivationFunctionType
ABSENT_INPUTS = (9, 10, 11, 16, 17, 20, 21, 22, 23)
LSTM_OPTIONS, DENSE_OPTIONS = 71, 8  # BuiltinOptions
BIAS_TOLERANCE = 1e-4  # of the product of scales: converters multiply in float32


def refuse(model: Model, what: str) -> NoReturn:
    """InputError that names the file."""
    raise InputError(what, model.path or "model", REMEDY)


def lift(model: Model) -> IntegerNetwork:
    """The network of `model`; InputError names what does not fit."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        refuse(model, f"{len(model.inputs)} inputs and {len(model.outputs)} outputs, expected 1, 1")
    layers: list[IntegerLayer] = []
    operators = list(model.operators)
    arriving = model.inputs[0]
    _activation(model, arriving, None, "input")
    while operators:
        operator = operators.pop(0)
        if not operator.inputs or operator.inputs[0] != arriving:
            refuse(model, f"{operator.name} does not read what stands before it")
        if operator.code == LSTM:
            layers.append(_lstm(model, operator, _count(layers, IntegerLSTM)))
        elif operator.code == FULLY_CONNECTED:
            follower = operators[0] if operators and operators[0].code == LOGISTIC else None
            layers.append(_dense(model, operator, follower, _count(layers, IntegerDense)))
            operator = operators.pop(0) if follower else operator
        else:
            refuse(model, f"unsupported operator {operator.name}")
        arriving = operator.outputs[0]
    if not layers or arriving != model.outputs[0]:
        refuse(model, "the operators do not lead from the input to the output")
    if len({layer.name for layer in layers}) < len(layers):
        refuse(model, "two layers have one name")
    name = model.metadata.get("tinyse.model", b"").decode(errors="replace")
    return IntegerNetwork(name, tuple(layers), _normalisation(model, layers[0].width))


def _count(layers: list[IntegerLayer], kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in layers)


def _lstm(model: Model, operator: Operator, index: int) -> IntegerLSTM:
    _check_lstm_operator(model, operator)
    inputs = operator.inputs
    width = _width(model, inputs[0])
    units = _width(model, operator.outputs[0])
    arriving = _activation(model, inputs[0], width, "input")
    output = _activation(model, operator.outputs[0], units, "output")
    hidden = _state(model, inputs[18], "int8", units)
    cell = _state(model, inputs[19], "int16", units)
    if hidden != output:
        refuse(model, f"{_label(model, inputs[18])}: quantised unlike the output of the operator")
    if cell.zero_point:
        refuse(model, f"{_label(model, inputs[19])}: zero point {cell.zero_point}, expected 0")
    kernels = [_matrix(model, i, (units, width)) for i in inputs[1:5]]
    recurrents = [_matrix(model, i, (units, units)) for i in inputs[5:9]]
    kernel_scales = tuple(_one_scale(model, i) for i in inputs[1:5])
    pairs = zip(inputs[12:16], kernel_scales, strict=True)
    biases = [_bias(model, i, units, np.array([arriving.scale * scale])) for i, scale in pairs]
    return IntegerLSTM(
        name=_layer_name(model, inputs[1], f"lstm_{index}"),
        kernels=tuple(kernels),
        recurrents=tuple(recurrents),
        biases=tuple(biases),
        kernel_scales=kernel_scales,
        recurrent_scales=tuple(_one_scale(model, i) for i in inputs[5:9]),
        input=arriving,
        hidden=hidden,
        cell_scale=cell.scale,
        cell_clip=float(operator.options.get("cell_clip", 0.0)),
    )


def _check_lstm_operator(model: Model, operator: Operator) -> None:
    options = operator.options
    if len(operator.inputs) != 24 or len(operator.outputs) != 1:
        refuse(model, f"{operator.name}: {len(operator.inputs)} inputs, expected 24")
    for position in ABSENT_INPUTS:
        if operator.inputs[position] != -1:
            refuse(model, f"{operator.name}: peephole, projection and normalisation cannot be run")
    if operator.options_type != LSTM_OPTIONS or options.get("activation", 0) != TANH:
        refuse(model, f"{operator.name}: expected the activation TANH")
    if options.get("time_major") or options.get("diagonal_recurrent"):
        refuse(model, f"{operator.name}: time-major or diagonal form cannot be run")
    if any(index < 0 or _width(model, index) for index in operator.intermediates):
        refuse(model, f"{operator.name}: expected empty intermediate tensors")
    clip = options.get("cell_clip", 0.0)
    if options.get("projection_clip", 0.0) or not (np.isfinite(clip) and clip >= 0):
        refuse(model, f"{operator.name}: cannot be run with this clip")


def _dense(model: Model, operator: Operator, logistic: Operator | None, index: int) -> IntegerDense:
    options = operator.options
    if len(operator.inputs) != 3 or len(operator.outputs) != 1:
        refuse(model, f"{operator.name}: {len(operator.inputs)} inputs, expected 3")
    activation = options.get("activation", 0)
    if operator.options_type != DENSE_OPTIONS or activation not in (0, RELU):
        refuse(model, f"{operator.name}: expected no activation or RELU")
    if options.get("weights_format"):
        refuse(model, f"{operator.name}: shuffled weights cannot be run")
    width = _width(model, operator.inputs[0])
    units = _width(model, operator.outputs[0])
    arriving = _activation(model, operator.inputs[0], width, "input")
    kernel = _matrix(model, operator.inputs[1], (units, width))
    scales = _tensor(model, operator.inputs[1]).scales.astype(np.float64)
    if len(scales) not in (1, units):
        refuse(model, f"{_label(model, operator.inputs[1])}: {len(scales)} scales for {units} rows")
    if len(scales) > 1 and _tensor(model, operator.inputs[1]).axis != 0:
        refuse(model, f"{_label(model, operator.inputs[1])}: scales must run along the rows")
    return IntegerDense(
        name=_layer_name(model, operator.inputs[1], "mask" if logistic else f"dense_{index}"),
        kernel=kernel,
        bias=_bias(model, operator.inputs[2], units, arriving.scale * scales, optional=True),
        kernel_scales=scales,
        input=arriving,
        accumulated=_activation(model, operator.outputs[0], units, "output"),
        relu=activation == RELU,
        logistic=_logistic(model, logistic, operator.outputs[0], units) if logistic else None,
    )


def _logistic(model: Model, operator: Operator, source: int, units: int) -> Quantisation:
    if operator.inputs != (source,) or len(operator.outputs) != 1:
        refuse(model, f"{operator.name} does not read what stands before it")
    return _activation(model, operator.outputs[0], units, "output")


def _tensor(model: Model, index: int) -> Tensor:
    if index < 0:
        refuse(model, "a tensor that an operator needs is absent")
    return model.tensors[index]


def _label(model: Model, index: int) -> str:
    return _tensor(model, index).name or f"tensor {index}"


def _width(model: Model, index: int) -> int:
    shape = _tensor(model, index).shape
    return shape[-1] if shape else 0


def _expect(model: Model, index: int, kind: str, shape: tuple[int, ...]) -> Tensor:
    tensor = _tensor(model, index)
    if tensor.type != kind or tensor.shape != shape:
        got = f"{tensor.type} {list(tensor.shape)}"
        refuse(model, f"{_label(model, index)}: expected {kind} {list(shape)}, got {got}")
    return tensor


def _activation(model: Model, index: int, width: int | None, role: str) -> Quantisation:
    """Quantisation of an int8 frame [1, 1, width]."""
    width = _width(model, index) if width is None else width
    tensor = _expect(model, index, "int8", (1, 1, width))
    if not width or tensor.data is not None or tensor.is_variable:
        refuse(model, f"{_label(model, index)}: cannot be the {role} of an operator")
    return _quantisation(model, index)


def _quantisation(model: Model, index: int) -> Quantisation:
    tensor = _tensor(model, index)
    zero_point = int(tensor.zero_points[0]) if len(tensor.scales) == 1 else 0
    if len(tensor.scales) != 1 or not -128 <= zero_point <= 127:
        refuse(model, f"{_label(model, index)}: expected one scale and an int8 zero point")
    return Quantisation(float(tensor.scales[0]), zero_point)


def _state(model: Model, index: int, kind: str, units: int) -> Quantisation:
    tensor = _expect(model, index, kind, (1, units))
    if not tensor.is_variable or tensor.data is not None:
        refuse(model, f"{_label(model, index)}: expected a variable tensor")
    readers = sum(operator.inputs.count(index) for operator in model.operators)
    if readers != 1:
        refuse(model, f"{_label(model, index)}: one state serves {readers} operators")
    return _quantisation(model, index)


def _matrix(model: Model, index: int, shape: tuple[int, int]) -> NDArray[np.int8]:
    return _data(model, index, _expect(model, index, "int8", shape))


def _data(model: Model, index: int, tensor: Tensor) -> NDArray:
    if tensor.data is None or tensor.is_variable:
        refuse(model, f"{_label(model, index)}: expected a constant")
    return tensor.data


def _one_scale(model: Model, index: int) -> float:
    scales = _tensor(model, index).scales
    if len(scales) != 1:
        refuse(model, f"{_label(model, index)}: {len(scales)} scales, expected one per gate")
    return float(scales[0])


def _bias(
    model: Model, index: int, units: int, scales: NDArray[np.float64], optional: bool = False
) -> NDArray[np.int32]:
    if optional and index == -1:
        return np.zeros(units, np.int32)
    tensor = _expect(model, index, "int32", (units,))
    found = tensor.scales.astype(np.float64)
    if len(found) != len(scales) or (np.abs(found / scales - 1) > BIAS_TOLERANCE).any():
        refuse(model, f"{_label(model, index)}: scale is not that of input times weight")
    if tensor.zero_points.any():
        refuse(model, f"{_label(model, index)}: zero point is not 0")
    return _data(model, index, tensor)


def _layer_name(model: Model, index: int, otherwise: str) -> str:
    """The name in the file where it is one of ours, else by kind and place."""
    found = re.match(r"(lstm_\d+|dense_\d+|mask)/", _label(model, index))
    return found[1] if found else otherwise


def _normalisation(model: Model, width: int) -> NDArray[np.float32] | None:
    data = model.metadata.get("tinyse.features")
    if data is None:
        return None
    if len(data) != 8 * width:
        refuse(model, f"metadata tinyse.features: {len(data)} bytes, expected {8 * width}")
    values = np.frombuffer(data, "<f4").astype(np.float32).reshape(2, width)
    if not np.isfinite(values).all() or values[1].min() <= 0:
        refuse(model, "metadata tinyse.features: not a mean and a positive deviation")
    return values
