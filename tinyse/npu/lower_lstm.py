"""UNIDIRECTIONAL_SEQUENCE_LSTM as NPU operations, one set per time step.

    gate    FC(x, W) + FC(h, R) -> Add with sigmoid or tanh behind it -> Clamp after a sigmoid
    cell    c' = Clamp(Mul(c, f) + Mul(g, i)), the clamp only where the file has a clip
    hidden  h' = Mul(tanh(c'), o)

Each gate has two matrices, so two products and twice the scale records.  States are copied where
they are read, and the output out of the state.  Clamps and copies, three or four of each a layer,
cost more than all multiplications of vectors together.

Source: `ethosu/regor/compiler/lstm.cpp` of ethos-u-vela 5.2.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyse.npu.graph import Draft, Map, View
from tinyse.tflite.read import Operator

if TYPE_CHECKING:
    from tinyse.npu.lower import Lowering

# (name, number of the kernel among the inputs)
GATES = (("output", 4), ("input", 1), ("cell", 3), ("forget", 2))
RECURRENT = 4  # a gate's recurrent matrix stands so many inputs behind its kernel
INPUTS = 24
# A step is a score of operations, and a small file may ask for millions of steps.  A file of ours
# is one step a call; this is a second of frames.
MOST_STEPS = 64
TANH = 4  # ActivationFunctionType of the schema
ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, normalisation


class LSTM:
    """One layer while its steps are written out.

    The walk from the outputs meets the recurrent product of the output gate first, which needs
    nothing but the state: `begin` writes it before whatever makes the input, `finish` the rest.
    """

    def __init__(self, lowering: Lowering, operator: Operator) -> None:
        inputs = operator.inputs
        if len(inputs) != INPUTS or any(inputs[place] >= 0 for place in ABSENT):
            lowering.refuse("UNIDIRECTIONAL_SEQUENCE_LSTM: only the plain form has a known cost")
        if operator.options.get("time_major"):
            lowering.refuse("UNIDIRECTIONAL_SEQUENCE_LSTM: time-major has no known cost")
        options = operator.options
        if options.get("activation", TANH) != TANH or options.get("diagonal_recurrent"):
            what = "UNIDIRECTIONAL_SEQUENCE_LSTM: only tanh and whole matrices have a known cost"
            lowering.refuse(what)
        self.lowering, self.operator = lowering, operator
        self.name = _layer_name(lowering.label(inputs[1]), lowering.label(operator.outputs[0]))
        self.clip = bool(operator.options.get("cell_clip", 0.0))
        self.matrices = {
            name: (lowering.weights(inputs[place]), lowering.weights(inputs[place + RECURRENT]))
            for name, place in GATES
        }
        _, self.steps, self.units = lowering.shape(operator.outputs[0])
        if self.steps > MOST_STEPS:
            what = f"{self.name}: UNIDIRECTIONAL_SEQUENCE_LSTM over {self.steps} time steps"
            lowering.refuse(what, f"export the network with {MOST_STEPS} steps a call or fewer")
        self._check_shapes(lowering.shape(inputs[0])[2])
        output = lowering.tensor(operator.outputs[0]).type
        self.hidden = self._state("hidden_state", 16 if output == "int16" else 8)
        self.cell = self._state("cell_state", 16)

    def _check_shapes(self, width: int) -> None:
        for name, (kernel, recurrent) in self.matrices.items():
            shapes = kernel.shape, recurrent.shape
            if shapes != ((self.units, width), (self.units, self.units)):
                self.lowering.refuse(f"{self.name}: {name} gate with matrices {shapes}")

    def begin(self) -> None:
        """What runs before the input is there."""
        state = self._like(self.hidden)
        self.hidden = self._add("MemoryCopy", "hidden_state", (self.hidden,), state)
        self.first_product = self._recurrent_product("output")

    def finish(self) -> None:
        """All steps, when the input is there."""
        source = self.lowering.view(self.operator.inputs[0])
        x = View(source.map, (1, 1, source.shape[2]), source.first)
        target = self.lowering.view(self.operator.outputs[0])
        for step in range(self.steps):
            self._step(step, x, target)

    def _step(self, step: int, x: View, target: View) -> None:
        """One time step: reads and replaces the states."""
        begun = self.first_product if step == 0 else self._recurrent_product("output")
        gates = {"output": self._gate("output", x, begun), "input": self._gate("input", x)}
        joined = self._add("Mul", "cell_by_input", (self._gate("cell", x), gates["input"]))
        forget = self._gate("forget", x)
        if step == 0:
            state = self._like(self.cell)
            self.cell = self._add("MemoryCopy", "cell_state", (self.cell,), state)
        kept = self._add("Mul", "cell_by_forget", (self.cell, forget))
        self.cell = self._add("Add", "cell_state", (kept, joined), self._like(self.cell))
        if self.clip:
            self.cell = self._add("Clamp", "cell_state", (self.cell,), self._like(self.cell))
        shown = self._add("Tanh", "cell_state_tanh", (self.cell,), table="tanh")
        state = self._like(self.hidden)
        self.hidden = self._add("Mul", "hidden_state", (shown, gates["output"]), state)
        row = View(target.map, (1, 1, self.units))
        self._add("MemoryCopy", "output", (self.hidden,), row)

    def _gate(self, name: str, x: View, begun: View | None = None) -> View:
        recurrent = begun or self._recurrent_product(name)
        product = self._product(f"{name}_gate/kernel", x, self.matrices[name][0])
        total = self._add("Add", f"{name}_gate", (product, recurrent))
        if name == "cell":
            return self._add("Tanh", f"{name}_gate", (total,), unit_scale=True, table="tanh")
        gate = self._add("Sigmoid", f"{name}_gate", (total,), unit_scale=True, table="sigmoid")
        return self._add("Clamp", f"{name}_gate", (gate,))

    def _recurrent_product(self, name: str) -> View:
        return self._product(f"{name}_gate/recurrent", self.hidden, self.matrices[name][1])

    def _product(self, name: str, vector: View, matrix: NDArray[np.integer]) -> View:
        return self._add("FullyConnected", name, (vector,), weights=matrix[:, None, None, :])

    def _add(
        self, kind: str, name: str, inputs: tuple, output: View | None = None, **more: Any
    ) -> View:
        if output is None:
            made = Map(f"{self.name}/{name}", (1, 1, self.units), 16)
            output = View(made, made.shape)
        self.lowering.drafts.append(
            Draft(kind, f"{self.name}/{name}", self.name, inputs, output, **more)
        )
        return output

    def _state(self, name: str, bits: int) -> View:
        shape = (1, 1, self.units)
        return View(Map(f"{self.name}/{name}", shape, bits, is_state=True), shape)

    def _like(self, state: View) -> View:
        """The same state after it was written: another map to the reader, the same memory."""
        seen = state.map
        return View(Map(seen.name, seen.shape, seen.bits, is_state=True), state.shape)


def _layer_name(kernel: str, output: str) -> str:
    """`lstm_0` of `lstm_0/input_gate/kernel`, else the name of the output."""
    head, _, rest = kernel.partition("/")
    return head if rest and head else output
