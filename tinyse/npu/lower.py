"""A `.tflite` file as a list of NPU operations, without TensorFlow and without Vela.

Slices and joins become ranges that other operations read and write, reshapes vanish, activations
go into output stages, an LSTM becomes the operations of its gates (`lower_lstm`).  The order is
that of a walk from the outputs back to the inputs, the last input first, as Vela walks.

An operator that is not known is named and refused: it must not count as free.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.npu.fuse import fused
from tinyse.npu.graph import Draft, Map, View, most_alive, whole
from tinyse.npu.handlers import HANDLERS, LEAST_INPUTS, VIEWS
from tinyse.npu.lower_lstm import LSTM
from tinyse.npu.operations import Program, Shape
from tinyse.pack.decode import decode
from tinyse.tflite.read import Model, Operator, Tensor, read_model

BITS = {"int8": 8, "int16": 16}
ACTIVATION_NAMES = {0: (), 1: ("Relu",), 3: ("Relu",)}  # none, RELU, RELU6
REMEDY = "take it out of the network, or profile the rest"


def lower_file(path: Path | str, u85: bool = False) -> Program:
    """The operations of the file `path` for an Ethos-U85 or one of its predecessors."""
    return lower_model(read_model(path), u85)


def lower_model(model: Model, u85: bool = False) -> Program:
    """The operations of a model; InputError names an operator or tensor that cannot run."""
    lowering = Lowering(model)
    lowering.run()
    drafts = fused(lowering.drafts, chaining=u85)
    operations = tuple(draft.finished(u85) for draft in drafts)
    frames = max((layer.steps for layer in lowering.begun.values()), default=1)
    return Program(operations, frames, most_alive(drafts))


class Lowering:
    """The state of one walk: what has been lowered, and where each tensor's values are."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.drafts: list[Draft] = []
        self.views: dict[int, View] = {}
        self.begun: dict[int, LSTM] = {}
        self.writer = {out: operator for operator in model.operators for out in operator.outputs}

    def run(self) -> None:
        """Lower every operator that an output needs."""
        if self.model.subgraphs != 1:
            self.refuse(f"{self.model.subgraphs} subgraphs: loops and calls have no known cost")
        for operator in self.model.operators:
            self._check(operator)
        for index in self.model.inputs:
            self._check_type(index)
        begun: set[int] = set()
        done: set[int] = set()
        for output in reversed(self.model.outputs):
            self._walk(output, begun, done)
        if not self.drafts:
            self.refuse("no operator leads to an output")

    def _check(self, operator: Operator) -> None:
        if operator.name not in HANDLERS:
            self.refuse(f"operator {operator.name} has no known cost", REMEDY)
        needed = LEAST_INPUTS.get(operator.name, 1)
        if len(operator.inputs) < needed or not operator.outputs or -1 in operator.outputs:
            self.refuse(f"{operator.name} with {len(operator.inputs)} inputs, expected {needed}")

    def _walk(self, output: int, begun: set[int], done: set[int]) -> None:
        """Inputs first, with a stack of our own: graphs are deep."""
        stack: list[tuple[str, int, int]] = [("visit", output, 0)]
        while stack:
            task, index, place = stack.pop()
            operator = self.writer.get(index)
            if operator is None or id(operator) in done:
                continue
            if task == "join":
                self._join(operator, place)
            elif task == "finish":
                done.add(id(operator))
                HANDLERS[operator.name](self, operator)
            elif id(operator) in begun:
                self.refuse(f"{self.label(index)}: depends on itself")
            else:
                begun.add(id(operator))
                self._begin(operator)
                stack.append(("finish", index, 0))
                stack += self._tasks(operator, index)

    def _tasks(self, operator: Operator, index: int) -> list[tuple[str, int, int]]:
        """What comes before an operator, the last first: its inputs from the last to the first.

        Parts of a CONCATENATION are copied each behind what makes it, those first that need none.
        """
        if operator.name != "CONCATENATION":
            return [("visit", source, 0) for source in operator.inputs if source >= 0]
        places = range(len(operator.inputs))
        free = [place for place in places if self._is_free_part(operator.inputs[place])]
        tasks = []
        for place in [*(place for place in places if place not in free), *reversed(free)]:
            tasks += [("join", index, place), ("visit", operator.inputs[place], 0)]
        return tasks

    def _is_free_part(self, index: int) -> bool:
        """Whether whoever writes tensor `index` can most likely write into a joined map."""
        writer = self.writer.get(index)
        users = sum(operator.inputs.count(index) for operator in self.model.operators)
        return (
            writer is not None
            and writer.name not in VIEWS
            and users == 1
            and index not in self.model.outputs
        )

    def _begin(self, operator: Operator) -> None:
        """What an operator does before its inputs are there."""
        if (
            operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
            and operator.outputs[0] not in self.begun
        ):
            self.begun[operator.outputs[0]] = layer = LSTM(self, operator)
            layer.begin()

    def refuse(self, what: str, remedy: str = "export the file again") -> None:
        """InputError that names the file."""
        raise InputError(what, self.model.path or "model", remedy)

    def tensor(self, index: int) -> Tensor:
        """The tensor `index`, which must be there."""
        if index < 0:
            self.refuse("a tensor that an operator needs is absent")
        return self.model.tensors[index]

    def label(self, index: int) -> str:
        """A name for messages and tables."""
        return self.tensor(index).name or f"tensor {index}"

    def view(self, index: int) -> View:
        """Where the values of tensor `index` are."""
        if index not in self.views:
            self._check_type(index)
            self.views[index] = whole(self._new_map(index))
        return self.views[index]

    def _new_map(self, index: int) -> Map:
        tensor = self.tensor(index)
        return Map(
            self.label(index),
            self.shape(index),
            BITS[tensor.type],
            is_outside=index in self.model.inputs,
            is_output=index in self.model.outputs,
            is_state=tensor.is_variable,
            is_constant=tensor.data is not None and not tensor.is_variable,
        )

    def _check_type(self, index: int) -> None:
        tensor = self.tensor(index)
        if tensor.type not in BITS:
            self.refuse(f"{self.label(index)}: {tensor.type} does not run on the NPU, expected "
                        "int8 or int16", "quantise the network")  # fmt: skip

    def shape(self, index: int) -> Shape:
        """(height, width, channels) of a tensor; a batch of vectors lies along the width."""
        sizes = self.tensor(index).shape
        if any(size < 1 for size in sizes) or len(sizes) > 4 or (len(sizes) == 4 and sizes[0] > 1):
            self.refuse(f"{self.label(index)}: shape {list(sizes)} does not run on the NPU")
        padded = (1,) * (3 - len(sizes)) + sizes[-3:]
        return padded[0], padded[1], padded[2]

    def constant(self, index: int) -> NDArray:
        """The values of a constant tensor."""
        tensor = self.tensor(index)
        if tensor.data is None or tensor.is_variable:
            self.refuse(f"{self.label(index)}: expected a constant")
        assert tensor.data is not None
        return tensor.data

    def weights(self, index: int) -> NDArray[np.integer]:
        """The values of a weight tensor, zero as 0; unpacked where the file holds them packed."""
        writer = self.writer.get(index)
        if writer is not None and writer.name == "CUSTOM TFLM_DECODE":
            data = self._unpacked(writer, index)
        else:
            data = self.constant(index)
        tensor = self.tensor(index)
        if tensor.type != "int8" or not data.size:
            what = f"{tensor.type} weights {list(tensor.shape)}"
            self.refuse(f"{self.label(index)}: {what}, expected int8", "quantise the network")
        if not tensor.zero_points.any():
            return data
        if len(tensor.zero_points) > 1:
            self.refuse(f"{self.label(index)}: zero points that differ by channel")
        if not -128 <= tensor.zero_points[0] <= 127:
            self.refuse(f"{self.label(index)}: zero point {tensor.zero_points[0]}, expected int8")
        return data.astype(np.int16) - tensor.zero_points.astype(np.int16)

    def _unpacked(self, operator: Operator, index: int) -> NDArray[np.integer]:
        """Weights kept as a bitmap and the values that are not zero (TFLM's DECODE, type 2)."""
        tensor = self.tensor(index)
        place = 2 * operator.outputs.index(index)
        if place + 1 >= len(operator.inputs):
            self.refuse(f"{self.label(index)}: DECODE without its data")
        bitmap, values = (self.constant(i).ravel() for i in operator.inputs[place : place + 2])
        if bitmap.dtype != np.uint8 or values.dtype != np.uint8 or tensor.zero_points.any():
            self.refuse(f"{self.label(index)}: DECODE of other types than its own", "unpack it")
        try:
            return decode(bitmap, values, tensor.shape)
        except ValueError as error:
            what = f"{self.label(index)}: DECODE {error}"
            raise InputError(what, self.model.path or "model", "unpack it") from error

    def activations(self, operator: Operator) -> tuple[str, ...]:
        """What the operator's option fuses behind it."""
        number = operator.options.get("activation", 0)
        if number not in ACTIVATION_NAMES:
            self.refuse(f"{operator.name} with activation {number} has no known cost")
        return ACTIVATION_NAMES[number]

    def add(self, kind: str, operator: Operator, inputs: tuple[View, ...], **more: Any) -> Draft:
        """Append a draft that writes the operator's output."""
        output = operator.outputs[0]
        more.setdefault("activations", self.activations(operator))
        draft = Draft(kind, self.label(output), self.layer(operator), inputs, self.view(output),
                      **more)  # fmt: skip
        self.drafts.append(draft)
        return draft

    def _join(self, operator: Operator, place: int) -> None:
        """Whoever wrote a part for this alone writes into its range; else it is copied there."""
        output = operator.outputs[0]
        target = self.view(output).map
        rank = max(len(self.tensor(output).shape), 1)
        if operator.options.get("axis", 0) % rank != rank - 1:
            self.refuse("CONCATENATION along another axis than the channels has no known cost")
        if self.activations(operator):
            self.refuse("CONCATENATION with an activation has no known cost")
        widths = [self.shape(index)[2] for index in operator.inputs]
        if sum(widths) != target.shape[2]:
            self.refuse("CONCATENATION: the inputs do not add up to the output")
        index = operator.inputs[place]
        source = self.view(index)
        part = whole(target).channels(sum(widths[:place]), widths[place])
        if self.can_write_elsewhere(index, source):
            source.map.writers[0].write_to(part)
            return
        name, layer = self.label(output), self.layer(operator)
        self.drafts.append(Draft("MemoryCopy", name, layer, (source,), part))

    def can_write_elsewhere(self, index: int, source: View) -> bool:
        """Whether what wrote tensor `index` may write into a range of another map instead."""
        users = sum(operator.inputs.count(index) for operator in self.model.operators)
        seen = source.map
        kept = seen.is_outside or seen.is_output or seen.is_state or seen.is_constant
        if users != 1 or kept or source.is_part or seen.readers or len(seen.writers) != 1:
            return False
        written = seen.writers[0].output
        return not written.is_part and written.shape == source.shape

    def layer(self, operator: Operator) -> str:
        """The name of the operator in tables: `mask` of `mask/kernel`, else that of its output."""
        kernel = operator.inputs[1] if len(operator.inputs) > 1 else -1
        head, _, rest = (self.label(kernel) if kernel >= 0 else "").partition("/")
        return head if rest == "kernel" else self.label(operator.outputs[0])
