"""Files in basic operators: written, read back, and refused where anything is not as told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import integer_network
from tests.tflite.edited import edited, operator, tensor, valid_step_file
from tests.tflite.test_check import code, quantisation, reshaped, rewired
from tinyse.errors import InputError
from tinyse.quant import PROFILES, same
from tinyse.tflite.check import check_bytes
from tinyse.tflite.layout import ADD, FULLY_CONNECTED, LOGISTIC, MAXIMUM, MINIMUM, MUL, SUB, TANH
from tinyse.tflite.write import serialise

STEPS = [name for name, profile in PROFILES.items() if profile.form == "step"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("shape", [((9, 7), (5,), 11, 6), ((1,), (), 1, 1), ((2, 4), (5, 6), 7, 3)])
def test_written_read_and_lifted_is_the_same_network(profile, shape):
    network = integer_network(*shape, 0, profile, (3, 2) if profile in STEPS else ())
    file = check_bytes(serialise(network, profile))
    assert same(file.network, network)
    assert file.profile == profile


@pytest.mark.parametrize("profile", STEPS)
def test_what_a_step_file_holds(profile):
    file = check_bytes(serialise(integer_network((9, 7), (5,), 11, 6, 0, profile), profile))
    names = [file.model.tensors[index].name for index in file.model.inputs]
    states = ["lstm_0/hidden_state", "lstm_0/cell_state"]
    assert names == ["features", *states, *(name.replace("0", "1") for name in states)]
    assert list(file.carried_states) == ["h_lstm_0", "c_lstm_0", "h_lstm_1", "c_lstm_1"]
    assert not any(tensor.is_variable for tensor in file.model.tensors)
    per_lstm = {FULLY_CONNECTED: 8, ADD: 5, LOGISTIC: 3, TANH: 2, MUL: 3}
    found = [operator.code for operator in file.model.operators]
    expected = {key: 2 * count for key, count in per_lstm.items()}
    expected[FULLY_CONNECTED] += 2
    expected[LOGISTIC] += 1
    assert {key: found.count(key) for key in expected} == expected
    assert len(found) == sum(expected.values())


def test_the_same_network_gives_the_same_bytes():
    network = integer_network((9, 7), (5,), 11, 6, 0, "step16x8")
    assert serialise(network, "step16x8") == serialise(network, "step16x8")


def test_a_profile_that_is_not_there():
    with pytest.raises(InputError, match="unknown profile 'wide'; use fused, fused16x8"):
        serialise(integer_network((9,), (), 11, 6), "wide")


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "fused"])
def test_a_network_of_other_widths_is_refused(profile):
    with pytest.raises(InputError, match=rf"lstm_0: is quantised in .* not as {profile}"):
        serialise(integer_network((9,), (), 11, 6), profile)


@pytest.mark.parametrize("profile", ["fused", "fused16x8"])
def test_a_gru_needs_a_step_profile(profile):
    network = integer_network((9,), (), 11, 6, 0, profile, (4,))
    with pytest.raises(InputError, match="gru_0: there is no fused operator for a GRU; export it"):
        serialise(network, profile)


def at(model, wanted, count=0):
    """The place of the operator of that code, the `count`-th one."""
    codes = [entry.builtinCode for entry in model.operatorCodes]
    places = [
        place
        for place, op in enumerate(model.subgraphs[0].operators)
        if codes[op.opcodeIndex] == wanted
    ]
    return places[count]


def removed(model, wanted, count=0):
    del model.subgraphs[0].operators[at(model, wanted, count)]


def renumbered(model, wanted, other):
    entry = next(e for e in model.operatorCodes if e.builtinCode == wanted)
    entry.builtinCode, entry.deprecatedBuiltinCode = other, other


def fused_activation(model, wanted, number):
    operator(model, at(model, wanted)).builtinOptions.fusedActivationFunction = number


def options_gone(model, wanted):
    op = operator(model, at(model, wanted))
    op.builtinOptions, op.builtinOptionsType = None, 0


def outputs(model, change):
    graph = model.subgraphs[0]
    graph.outputs = np.array(change(list(graph.outputs)), np.int32)


def inputs(model, change):
    graph = model.subgraphs[0]
    graph.inputs = np.array(change(list(graph.inputs)), np.int32)


def constant(model, name, values):
    model.buffers[tensor(model, name).buffer].data = np.frombuffer(values.tobytes(), np.uint8)


CASES = {
    "expected ADD, got LOGISTIC": lambda m: removed(m, ADD),
    "expected MUL, got ADD": lambda m: removed(m, MUL, 1),
    "expected SUB, got ADD": lambda m: renumbered(m, SUB, ADD),
    "expected TANH, got LOGISTIC": lambda m: renumbered(m, TANH, LOGISTIC),
    "unsupported operator QUANTIZE": lambda m: renumbered(m, TANH, 114),
    r"expected scale 0.000244141 and zero point 0": lambda m: quantisation(
        m, "lstm_0/input_gate/sum", 2.0**-11
    ),
    "lstm_0/cell_tanh: expected scale 3.05176e-05": lambda m: quantisation(
        m, "lstm_0/cell_tanh", 2.0**-14
    ),
    "lstm_0/kept: expected scale": lambda m: quantisation(m, "lstm_0/kept", 2.0**-9),
    "gru_0: the hidden state is not quantised as TANH": lambda m: quantisation(
        m, "gru_0/hidden_state", 2.0**-14
    ),
    "lstm_0/cell_state: zero point 3, expected 0": lambda m: quantisation(
        m, "lstm_0/cell_state", None, 3
    ),
    "lstm_0/cell_state: expected int16": lambda m: reshaped(m, "lstm_0/cell_state", [1, 1, 8]),
    "lstm_0/cell_state: cannot be the cell state": lambda m: setattr(
        tensor(m, "lstm_0/cell_state"), "isVariable", True
    ),
    "does not read what stands before it": lambda m: rewired(m, at(m, MUL), 1, 0),
    "a product is not that of forget_gate/kernel": lambda m: rewired(
        m, at(m, FULLY_CONNECTED, 2), 0, m.subgraphs[0].inputs[1]
    ),
    "the recurrent product of input_gate has a bias": lambda m: rewired(
        m, at(m, FULLY_CONNECTED, 1), 2, operator(m, at(m, FULLY_CONNECTED)).inputs[2]
    ),
    r"ADD \(lstm_0/input_gate/sum\): options cannot be run": lambda m: fused_activation(m, ADD, 1),
    r"MUL \(lstm_0/kept\): options cannot be run": lambda m: options_gone(m, MUL),
    r"SUB \(gru_0/entered\): rescales by shifts": lambda m: setattr(
        operator(m, at(m, SUB)).builtinOptions, "potScaleInt16", True
    ),
    "the cell state is clipped on one side": lambda m: removed(m, MAXIMUM),
    r"the cell state is not clipped to \+-300": lambda m: constant(
        m, "lstm_0/lowest_cell", np.int16([-299])
    ),
    "lstm_0/highest_cell: quantised unlike the cell": lambda m: quantisation(
        m, "lstm_0/highest_cell", 2.0**-9
    ),
    "lstm_0/highest_cell: expected a constant": lambda m: setattr(
        tensor(m, "lstm_0/highest_cell"), "buffer", 0
    ),
    "expected TANH, got MAXIMUM": lambda m: removed(m, MINIMUM),
    "the outputs are not the mask and the states": lambda m: outputs(
        m, lambda o: [o[0], o[2], o[1], *o[3:]]
    ),
    "mask and the states after the frame;": lambda m: outputs(m, lambda o: o[:-1]),
    "a state is not an input of the graph": lambda m: inputs(m, lambda i: i[:-1]),
    "the outputs are not": lambda m: inputs(m, lambda i: [*i, i[0]]),
    "mask/kernel: expected a constant": lambda m: setattr(tensor(m, "mask/kernel"), "buffer", 0),
    "LOGISTIC in int16 must begin at scale": lambda m: quantisation(m, "mask/logits", 2.0**-11),
    "mask: LOGISTIC must end at scale 1/32768": lambda m: quantisation(m, "mask", 2.0**-14),
    "lstm_0/cell_state: scale 0.0003 is not": lambda m: [
        quantisation(m, f"lstm_0/{name}", 0.0003)
        for name in ("cell_state", "kept", "entered", "cell_state_after", "highest_cell",
                     "cell_state_highest", "lowest_cell", "cell_state_lowest")
    ],
    "dense_0: a sum of products may leave 48 bits": lambda m: constant(
        m, "dense_0/bias", np.full(5, -(2**63), np.int64)
    ),
    "two layers have one name": lambda m: setattr(
        tensor(m, "mask/kernel"), "name", "dense_0/again"
    ),
    r"gru_1/again: expected int8 \[9, 5\], got int8 \[6, 5\]": lambda m: setattr(
        tensor(m, "mask/kernel"), "name", "gru_1/again"
    ) or inputs(m, lambda i: [*i, i[1]]),
    "ADD computes in int8, expected int16": lambda m: setattr(
        tensor(m, "lstm_0/input_gate/sum"), "type", 9
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", CASES)
def test_refused(message):
    with pytest.raises(InputError, match=message):
        check_bytes(edited(CASES[message], valid_step_file()))


def test_the_untouched_files_pass():
    assert check_bytes(edited(lambda model: None, valid_step_file())).profile == "step16x8"
    assert check_bytes(valid_step_file("step8")).profile == "step8"


def test_cell_scale_in_8_bits_is_bounded():
    names = ("cell_state", "kept", "entered", "cell_state_after")

    def change(model):
        for name in names:
            quantisation(model, f"lstm_0/{name}", 2.0**-13)

    with pytest.raises(InputError, match=r"lstm_0/cell_state: scale 0.00012207 is outside"):
        check_bytes(edited(change, valid_step_file("step8")))


def test_two_gates_that_share_a_tensor_are_refused():
    """In an arena the second gate overwrites the first."""

    def change(model):
        shared = operator(model, at(model, LOGISTIC)).outputs
        operator(model, at(model, LOGISTIC, 1)).outputs = shared
        rewired(model, at(model, MUL), 0, shared[0])

    with pytest.raises(InputError, match="lstm_0/input_gate: LOGISTIC may not write to it"):
        check_bytes(edited(change, valid_step_file()))


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_two_states_in_one_tensor_are_refused(name):
    """Two GRUs that read, or write, one state."""

    def change(model):
        graph = model.subgraphs[0]
        first, second = getattr(graph, name)[-2:]
        for holder in (graph, *graph.operators):
            for key in ("inputs", "outputs"):
                indices = getattr(holder, key)
                setattr(holder, key, np.where(indices == second, first, indices))

    data = serialise(integer_network((), (), 7, 7, 0, "step8", (7, 7)), "step8")
    with pytest.raises(InputError, match=f"one tensor is two of the graph's {name}"):
        check_bytes(edited(change, data))


def test_codes_cannot_be_swapped_unseen():
    """ADD and SUB differ in nothing but their code."""
    with pytest.raises(InputError, match="expected"):
        check_bytes(edited(lambda m: code(m, 1, SUB), valid_step_file()))
