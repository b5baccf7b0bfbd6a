"""Each kind of file that a runtime must never see, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import integer_network
from tests.tflite.edited import edited, operator, tensor, valid_file
from tinyse.errors import InputError
from tinyse.tflite.check import check_bytes
from tinyse.tflite.schema import schema_module
from tinyse.tflite.write import serialise


def code(model, index, number, custom=None):
    entry = model.operatorCodes[index]
    entry.builtinCode, entry.deprecatedBuiltinCode = number, min(number, 127)
    entry.customCode = custom


def quantisation(model, name, scale=None, zero_point=None):
    entry = tensor(model, name).quantization
    if scale is not None:
        entry.scale = np.array([scale] * len(entry.scale), np.float32)
    if zero_point is not None:
        entry.zeroPoint = np.array([zero_point] * len(entry.scale), np.int64)


def float_operator(model):
    """Everything behind the LSTMs in float, as a half-converted file has it."""
    for name in ("dense_0", "mask/logits", "mask"):
        tensor(model, name).type = 0


def reshaped(model, name, shape):
    tensor(model, name).shape = np.array(shape, np.int32)


def swapped(model):
    """The second LSTM on the state of the first."""
    rewired(model, 1, 18, operator(model, 0).inputs[18])


def rewired(model, index, position, tensor_index):
    inputs = operator(model, index).inputs.copy()
    inputs[position] = tensor_index
    operator(model, index).inputs = inputs


def second_subgraph(model):
    model.subgraphs.append(schema_module().SubGraphT())


def full_scale(model):
    """The largest weights there are, with a scale that shifts their sum beyond int32."""
    kernel = tensor(model, "lstm_0/input_gate/kernel")
    model.buffers[kernel.buffer].data = np.full(9 * 11, 127, np.uint8)
    quantisation(model, "lstm_0/input_gate/kernel", 128.0)
    quantisation(model, "lstm_0/input_gate/bias", 128.0 / 32)


def named_metadata(model):
    model.metadata[0].name = "OfflineMemoryAllocation"


CASES = {
    "unsupported operator WHILE": lambda m: code(m, 0, 119),
    "unsupported operator CALL;": lambda m: code(m, 1, 31),
    "unsupported Flex operator CUSTOM FlexTensorListReserve": lambda m: code(
        m, 0, 32, "FlexTensorListReserve"
    ),
    "unsupported operator CUSTOM TFLM_DECODE": lambda m: code(m, 0, 32, "TFLM_DECODE"),
    "unsupported operator builtin 150": lambda m: code(m, 2, 150),
    "FULLY_CONNECTED computes in float32, expected int8": float_operator,
    "LSTM computes in int16, expected int8": lambda m: setattr(tensor(m, "features"), "type", 7),
    r"features: expected int8 \[1, 1, 11\], got int8 \[11\]": lambda m: reshaped(
        m, "features", [11]
    ),
    r"mask: expected int8 \[1, 1, 6\], got int8 \[2, 1, 6\]": lambda m: reshaped(
        m, "mask", [2, 1, 6]
    ),
    "lstm_0/cell_state: scale 0.0003 is not a power of two": lambda m: quantisation(
        m, "lstm_0/cell_state", 0.0003
    ),
    r"lstm_0/cell_state: scale 4 is outside": lambda m: quantisation(m, "lstm_0/cell_state", 4),
    "lstm_0/cell_state: zero point 3": lambda m: quantisation(m, "lstm_0/cell_state", None, 3),
    "lstm_1/forget_gate/recurrent: a weight of zero does not sit on": lambda m: quantisation(
        m, "lstm_1/forget_gate/recurrent", None, 1
    ),
    "dense_0/kernel: a weight of zero does not sit on": lambda m: quantisation(
        m, "dense_0/kernel", None, -4
    ),
    "lstm_0/hidden_state: quantised unlike": lambda m: quantisation(
        m, "lstm_0/hidden_state", 2.0**-6
    ),
    "lstm_0/hidden_state: expected a variable": lambda m: setattr(
        tensor(m, "lstm_0/hidden_state"), "isVariable", False
    ),
    "lstm_0/hidden_state: one state serves 2": swapped,
    "peephole, projection and normalisation": lambda m: rewired(m, 0, 9, 12),
    "a tensor that an operator needs is absent": lambda m: rewired(m, 0, 3, -1),
    "expected the activation TANH": lambda m: setattr(
        operator(m, 0).builtinOptions, "fusedActivationFunction", 1
    ),
    "time-major": lambda m: setattr(operator(m, 0).builtinOptions, "timeMajor", True),
    "expected empty intermediate": lambda m: reshaped(m, "lstm_0/intermediate_2", [4]),
    "cannot be run with this clip": lambda m: setattr(
        operator(m, 0).builtinOptions, "cellClip", float("inf")
    ),
    "expected no activation or RELU": lambda m: setattr(
        operator(m, 2).builtinOptions, "fusedActivationFunction", 3
    ),
    "shuffled weights": lambda m: setattr(operator(m, 2).builtinOptions, "weightsFormat", 1),
    "mask: LOGISTIC must end at scale 1/256": lambda m: quantisation(m, "mask", 1 / 128),
    "mask: LOGISTIC input scale outside": lambda m: quantisation(m, "mask/logits", 8.0),
    "scale is not that of input times weight": lambda m: quantisation(
        m, "lstm_0/input_gate/bias", 0.5
    ),
    "mask: scale outside": lambda m: quantisation(m, "mask", 1e-20),
    "mask/kernel: expected a constant": lambda m: setattr(tensor(m, "mask/kernel"), "buffer", 0),
    "two layers have one name": lambda m: setattr(
        tensor(m, "mask/kernel"), "name", "dense_0/again"
    ),
    "2 subgraphs, expected 1": second_subgraph,
    "lstm_0: a sum of products may leave int32": full_scale,
    "metadata 'OfflineMemoryAllocation' is not known": named_metadata,
    "do not lead from the input to the output": lambda m: m.subgraphs[0].operators.pop(),
    "does not read what stands before it": lambda m: m.subgraphs[0].operators.reverse(),
    "expected 1, 1": lambda m: setattr(m.subgraphs[0], "inputs", [0, 0]),
    "metadata tinyse.features: 5 bytes": lambda m: setattr(
        m.buffers[m.metadata[0].buffer], "data", np.zeros(5, np.uint8)
    ),
}


@pytest.mark.parametrize("message", CASES)
def test_refused(message):
    with pytest.raises(InputError, match=message):
        check_bytes(edited(CASES[message]))


def test_the_untouched_file_passes():
    assert check_bytes(edited(lambda model: None)).network.name == "random"
    assert check_bytes(valid_file()).network.layers


def test_an_operator_that_writes_over_its_input_is_refused():
    """TFLM multiplies while it overwrites what it multiplies with, the oracle does not."""

    def change(model):
        source = operator(model, 1).inputs[0]
        operator(model, 1).outputs = np.array([source], np.int32)
        rewired(model, 2, 0, source)
        rewired(model, 2, 2, -1)  # a bias is in steps of what arrives, which is another now

    data = serialise(integer_network((8,), (8,), 8, 8))
    with pytest.raises(InputError, match="lstm_0: FULLY_CONNECTED may not write to it"):
        check_bytes(edited(change, data))
