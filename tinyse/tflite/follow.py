"""Lifts a graph in basic operators, its states inputs and outputs, into an IntegerNetwork.

The checker follows the same telling of a cell (`cells`) that the writer writes: each operator, in
its order, must be the one that is told, read the tensors it is told to read, and put out the type,
shape and quantisation that make it exact.  With tensors that are written once (`check`), what
passes computes what the oracle computes.
"""

from __future__ import annotations

from typing import Any

from tinyse.quant import (
    GATE_ARITHMETIC,
    GATES,
    GRU_GATES,
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
)
from tinyse.tflite import tensors
from tinyse.tflite.cells import Part, gru, lstm
from tinyse.tflite.layout import (
    ADD,
    FULLY_CONNECTED,
    LOGISTIC,
    MAXIMUM,
    MINIMUM,
    MUL,
    OPERATORS,
    SUB,
    TANH,
)
from tinyse.tflite.ops import check_product, finished, lift_dense
from tinyse.tflite.read import Model, Operator
from tinyse.tflite.tensors import refuse

# BuiltinOptions of each operator; int16 sums and differences need the general rescaling.
OPTIONS = {ADD: 11, LOGISTIC: 0, MUL: 21, TANH: 0, SUB: 28, MINIMUM: 39, MAXIMUM: 39}


def follow(model: Model) -> IntegerNetwork:
    """The network of `model`; InputError names what is not as it should be."""
    path = _Path(model)
    layers: list[IntegerLayer] = []
    arriving = path.next_input()
    tensors.activation(model, arriving, None, "input")
    outputs: list[int] = []
    layer: IntegerLayer
    while path.operators:
        operator = path.operators[0]
        if operator.code != FULLY_CONNECTED or len(operator.inputs) != 3:
            refuse(model, f"{operator.name} does not begin a layer")
        name = tensors.layer_name(model, operator.inputs[1], f"dense_{len(layers)}")
        if name.startswith(("lstm", "gru")):
            layer, after = _recurrent(path, name, arriving)
            outputs += after
            arriving = after[0]
        else:
            layer, arriving = _dense(path, arriving, len(layers))
        layers.append(layer)
    if path.inputs or not layers or model.outputs != (arriving, *outputs):
        refuse(model, "the outputs are not the mask and the states after the frame")
    return finished(model, layers)


class _Path:
    """The operators and inputs of the graph that have not been met yet."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.operators = list(model.operators)
        self.inputs = list(model.inputs)

    def next_input(self) -> int:
        """The next input of the graph."""
        if not self.inputs:
            refuse(self.model, "a state is not an input of the graph")
        return self.inputs.pop(0)

    def next_operator(self, code: int, inputs: tuple[int, ...] | None) -> Operator:
        """The next operator, which must be this one and read these tensors."""
        if not self.operators or self.operators[0].code != code:
            found = self.operators[0].name if self.operators else "the end of the graph"
            refuse(self.model, f"expected {OPERATORS[code]}, got {found}")
        operator = self.operators.pop(0)
        if inputs is not None and operator.inputs != inputs:
            refuse(self.model, f"{operator.name} does not read what stands before it")
        if len(operator.outputs) != 1:
            refuse(self.model, f"{operator.name}: {len(operator.outputs)} outputs, expected 1")
        return operator


def _dense(path: _Path, arriving: int, index: int) -> tuple[IntegerDense, int]:
    operator = path.next_operator(FULLY_CONNECTED, None)
    if operator.inputs[0] != arriving:
        refuse(path.model, f"{operator.name} does not read what stands before it")
    follower = path.operators[0] if path.operators and path.operators[0].code == LOGISTIC else None
    layer = lift_dense(path.model, operator, follower, index)
    last = path.operators.pop(0) if follower else operator
    return layer, last.outputs[0]


def _recurrent(
    path: _Path, name: str, arriving: int
) -> tuple[IntegerLSTM | IntegerGRU, tuple[int, ...]]:
    """The layer and its states after the frame, the hidden one first."""
    model, kind = path.model, tensors.activation_type(path.model)
    before = path.next_input()
    units = tensors.width_of(model, before)
    hidden = tensors.activation(model, before, units, "hidden state")
    cell = _CellFollower(path, name, units, 16 if kind == "int16" else 8)
    ends: dict[str, Any] = {
        "name": name,
        "input": tensors.activation(model, arriving, None, "input"),
        "hidden": hidden,
    }
    if name.startswith("gru"):
        if hidden != cell.gates.tanh:
            refuse(model, f"{name}: the hidden state is not quantised as TANH puts it out")
        after: tuple[int, ...] = (gru(cell, arriving, before, hidden),)
        ends |= cell.weights(GRU_GATES)
        return IntegerGRU(**ends, recurrent_biases=cell.biases("recurrent", GRU_GATES)), after
    state = path.next_input()
    quantisation = tensors.activation(model, state, units, "cell state")
    after = lstm(cell, arriving, before, state, hidden, quantisation)
    ends |= cell.weights(GATES)
    return IntegerLSTM(
        **ends,
        cell_scale=quantisation.scale,
        cell_clip=cell.clip * quantisation.scale,
        gate_bits=quantisation.bits,
    ), after


class _CellFollower:
    """Meets what a cell is told in the file, and keeps the weights that it finds there."""

    def __init__(self, path: _Path, name: str, units: int, bits: int) -> None:
        self.gates = GATE_ARITHMETIC[bits]
        self.clip = 0  # in steps of the cell state
        self._path, self._model, self._name, self._units = path, path.model, name, units
        self._products: dict[tuple[Part, str], tuple] = {}

    def product(self, source: int, gate: str, part: Part) -> int:
        operator = self._path.next_operator(FULLY_CONNECTED, None)
        if check_product(self._model, operator) or operator.inputs[0] != source:
            refuse(self._model, f"{self._name}: a product is not that of {gate}_gate/{part}")
        _, kernel, bias = operator.inputs
        arriving = tensors.activation(self._model, source, None, "input")
        shape = self._units, tensors.width_of(self._model, source)
        weights = tensors.matrix(self._model, kernel, shape)
        scale = tensors.one_scale(self._model, kernel)
        values = None
        if part == "kernel" or self._name.startswith("gru"):
            values = tensors.bias(self._model, bias, self._units, arriving, scale)
        elif bias != -1:
            refuse(self._model, f"{self._name}: the recurrent product of {gate}_gate has a bias")
        self._products[part, gate] = weights, scale, values
        return self._made(operator, self.gates.before)

    def operator(self, code: int, inputs: tuple[int, ...], role: str, out: Quantisation) -> int:
        operator = self._path.next_operator(code, inputs)
        options = operator.options
        if operator.options_type != OPTIONS[code] or options.get("activation", 0):
            refuse(self._model, f"{operator.name} ({self._name}/{role}): options cannot be run")
        if code in (ADD, SUB) and out.bits == 16 and options.get("pot_scale_int16", True):
            refuse(self._model, f"{operator.name} ({self._name}/{role}): rescales by shifts")
        return self._made(operator, out)

    def clipped(self, source: int, out: Quantisation) -> int:
        operators = self._path.operators
        if not operators or operators[0].code != MINIMUM or out.bits == 8:
            return source
        self.clip = self._bound(operators[0], out)
        source = self.operator(MINIMUM, (source, operators[0].inputs[1]), "cell_state_highest", out)
        if not operators or operators[0].code != MAXIMUM:
            refuse(self._model, f"{self._name}: the cell state is clipped on one side")
        if self._bound(operators[0], out) != -self.clip or self.clip <= 0:
            refuse(self._model, f"{self._name}: the cell state is not clipped to +-{self.clip}")
        return self.operator(MAXIMUM, (source, operators[0].inputs[1]), "cell_state_lowest", out)

    def weights(self, gates: tuple[str, ...]) -> dict[str, tuple]:
        """What every layer has, in the order of `gates`."""
        kernels = [self._products["kernel", gate] for gate in gates]
        recurrents = [self._products["recurrent", gate] for gate in gates]
        return {
            "kernels": tuple(weights for weights, _, _ in kernels),
            "recurrents": tuple(weights for weights, _, _ in recurrents),
            "biases": self.biases("kernel", gates),
            "kernel_scales": tuple(scale for _, scale, _ in kernels),
            "recurrent_scales": tuple(scale for _, scale, _ in recurrents),
        }

    def biases(self, part: Part, gates: tuple[str, ...]) -> tuple:
        """The biases that came with these products."""
        return tuple(self._products[part, gate][2] for gate in gates)

    def _made(self, operator: Operator, out: Quantisation) -> int:
        index = operator.outputs[0]
        found = tensors.activation(self._model, index, self._units, "output")
        if found != out:
            what = f"expected scale {out.scale:g} and zero point {out.zero_point}"
            refuse(self._model, f"{tensors.label(self._model, index)}: {what}")
        return index

    def _bound(self, operator: Operator, out: Quantisation) -> int:
        """The constant that MINIMUM or MAXIMUM compares with."""
        if len(operator.inputs) != 2:
            refuse(self._model, f"{operator.name}: {len(operator.inputs)} inputs, expected 2")
        index = operator.inputs[1]
        tensor = tensors.expect(self._model, index, out.dtype.name, (1, 1, 1))
        if tensors.quantisation_of(self._model, index) != out:
            refuse(self._model, f"{tensors.label(self._model, index)}: quantised unlike the cell")
        return int(tensors.constant(self._model, index, tensor)[0, 0, 0])
