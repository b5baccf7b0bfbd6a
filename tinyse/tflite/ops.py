"""Lifts the operators of a read file into an IntegerNetwork, checking shapes, types and order.

What cannot be lifted cannot be run: everything that the oracle, the audit or a runtime relies on
is demanded here, with the name of the tensor that does not comply.  Graphs in basic operators are
lifted by `follow`.
"""

from __future__ import annotations

import numpy as np

from tinyse.quant import (
    IntegerDense,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.tflite import tensors
from tinyse.tflite.layout import FULLY_CONNECTED, LOGISTIC, LSTM
from tinyse.tflite.read import Model, Operator
from tinyse.tflite.tensors import refuse

RELU, TANH = 1, 4  # ActivationFunctionType
ABSENT_INPUTS = (9, 10, 11, 16, 17, 20, 21, 22, 23)
LSTM_OPTIONS, DENSE_OPTIONS = 71, 8  # BuiltinOptions


def lift(model: Model) -> IntegerNetwork:
    """The network of `model`, its states inside; InputError names what does not fit."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        refuse(model, f"{len(model.inputs)} inputs and {len(model.outputs)} outputs, expected 1, 1")
    layers: list[IntegerLayer] = []
    operators = list(model.operators)
    arriving = model.inputs[0]
    tensors.activation(model, arriving, None, "input")
    while operators:
        operator = operators.pop(0)
        if not operator.inputs or operator.inputs[0] != arriving:
            refuse(model, f"{operator.name} does not read what stands before it")
        if operator.code == LSTM:
            layers.append(_lstm(model, operator, _count(layers, IntegerLSTM)))
        elif operator.code == FULLY_CONNECTED:
            follower = operators[0] if operators and operators[0].code == LOGISTIC else None
            layers.append(lift_dense(model, operator, follower, _count(layers, IntegerDense)))
            operator = operators.pop(0) if follower else operator
        else:
            refuse(model, f"unsupported operator {operator.name}")
        arriving = operator.outputs[0]
    if not layers or arriving != model.outputs[0]:
        refuse(model, "the operators do not lead from the input to the output")
    return finished(model, layers)


def finished(model: Model, layers: list[IntegerLayer]) -> IntegerNetwork:
    """The network of these layers, with what the metadata of `model` says of it."""
    if len({layer.name for layer in layers}) < len(layers):
        refuse(model, "two layers have one name")
    name = model.metadata.get("tinyse.model", b"").decode(errors="replace")
    statistics = tensors.normalisation(model, layers[0].width)
    return IntegerNetwork(name, tuple(layers), statistics)


def _count(layers: list[IntegerLayer], kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in layers)


def _lstm(model: Model, operator: Operator, index: int) -> IntegerLSTM:
    _check_lstm_operator(model, operator)
    inputs = operator.inputs
    width = tensors.width_of(model, inputs[0])
    units = tensors.width_of(model, operator.outputs[0])
    arriving = tensors.activation(model, inputs[0], width, "input")
    output = tensors.activation(model, operator.outputs[0], units, "output")
    hidden = tensors.state(model, inputs[18], output.dtype.name, units)
    cell = tensors.state(model, inputs[19], "int16", units)
    if hidden != output:
        what = f"{tensors.label(model, inputs[18])}: quantised unlike the output of the operator"
        refuse(model, what)
    kernel_scales = tuple(tensors.one_scale(model, i) for i in inputs[1:5])
    pairs = zip(inputs[12:16], kernel_scales, strict=True)
    return IntegerLSTM(
        name=tensors.layer_name(model, inputs[1], f"lstm_{index}"),
        kernels=tuple(tensors.matrix(model, i, (units, width)) for i in inputs[1:5]),
        recurrents=tuple(tensors.matrix(model, i, (units, units)) for i in inputs[5:9]),
        biases=tuple(tensors.bias(model, i, units, arriving, scale) for i, scale in pairs),
        kernel_scales=kernel_scales,
        recurrent_scales=tuple(tensors.one_scale(model, i) for i in inputs[5:9]),
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
    if any(index < 0 or tensors.width_of(model, index) for index in operator.intermediates):
        refuse(model, f"{operator.name}: expected empty intermediate tensors")
    clip = options.get("cell_clip", 0.0)
    if options.get("projection_clip", 0.0) or not (np.isfinite(clip) and clip >= 0):
        refuse(model, f"{operator.name}: cannot be run with this clip")


def lift_dense(
    model: Model, operator: Operator, logistic: Operator | None, index: int
) -> IntegerDense:
    """The dense layer of a FULLY_CONNECTED and of the LOGISTIC behind it, where there is one."""
    activation = check_product(model, operator)
    source, kernel, bias = operator.inputs
    width = tensors.width_of(model, source)
    units = tensors.width_of(model, operator.outputs[0])
    arriving = tensors.activation(model, source, width, "input")
    scales = tensors.tensor_at(model, kernel).scales.astype(np.float64)
    weights = tensors.matrix(model, kernel, (units, width))
    if len(scales) not in (1, units):
        what = f"{tensors.label(model, kernel)}: {len(scales)} scales for {units} rows"
        refuse(model, what)
    if len(scales) > 1 and tensors.tensor_at(model, kernel).axis != 0:
        refuse(model, f"{tensors.label(model, kernel)}: scales must run along the rows")
    return IntegerDense(
        name=tensors.layer_name(model, kernel, "mask" if logistic else f"dense_{index}"),
        kernel=weights,
        bias=tensors.bias(model, bias, units, arriving, scales, optional=True),
        kernel_scales=scales,
        input=arriving,
        accumulated=tensors.activation(model, operator.outputs[0], units, "output"),
        relu=activation == RELU,
        logistic=_logistic(model, logistic, operator.outputs[0], units) if logistic else None,
    )


def check_product(model: Model, operator: Operator) -> int:
    """The activation, none or RELU, of a FULLY_CONNECTED that can be run."""
    options = operator.options
    if len(operator.inputs) != 3 or len(operator.outputs) != 1:
        refuse(model, f"{operator.name}: {len(operator.inputs)} inputs, expected 3")
    activation = options.get("activation", 0)
    if operator.options_type != DENSE_OPTIONS or activation not in (0, RELU):
        refuse(model, f"{operator.name}: expected no activation or RELU")
    if options.get("weights_format"):
        refuse(model, f"{operator.name}: shuffled weights cannot be run")
    return activation


def _logistic(model: Model, operator: Operator, source: int, units: int) -> Quantisation:
    if operator.inputs != (source,) or len(operator.outputs) != 1:
        refuse(model, f"{operator.name} does not read what stands before it")
    return tensors.activation(model, operator.outputs[0], units, "output")
