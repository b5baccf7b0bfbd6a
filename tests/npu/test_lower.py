"""Lowering: what becomes of each operator, and what is refused."""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import pytest

from tests.fuzz.run_damaged import damaged
from tests.network_maker import integer_network
from tests.npu.files import PUBLISHED, gaussian, one_layer, one_operator, write
from tests.tflite.edited import edited, tensor
from tinyse.errors import InputError
from tinyse.npu.cost import network_cost
from tinyse.npu.hardware import find_target
from tinyse.npu.lower import lower_file, lower_model
from tinyse.quant import Quantisation
from tinyse.tflite.builder import Builder
from tinyse.tflite.layout import ADD, OPERATORS
from tinyse.tflite.read import Model, Operator, Tensor, parse_model
from tinyse.tflite.schema import schema_module
from tinyse.tflite.write import serialise


def lowered(data: bytes, u85: bool = False):
    return lower_model(parse_model(data), u85)


def test_the_published_network_is_fifty_operations():
    program = lower_file(PUBLISHED)
    kinds = Counter(operation.kind for operation in program.operations)
    assert kinds == {
        "FullyConnected": 18, "Add": 10, "Mul": 6, "Clamp": 8, "Tanh": 2, "MemoryCopy": 6,
    }  # fmt: skip
    assert program.frames == 1
    assert sum(operation.macs for operation in program.operations) == 966_656


def test_the_u85_chains_what_the_u55_runs_alone():
    early, late = (lower_file(PUBLISHED, u85).operations for u85 in (False, True))
    assert (len(early), len(late)) == (50, 40)
    chains = [tuple(link.kind for link in op.chained) for op in late if op.chained]
    assert Counter(chains) == {("Add",): 6, ("Add", "Mul"): 2}


def test_gates_have_their_activation_in_the_output_stage():
    operations = lower_file(PUBLISHED).operations
    fused = Counter(a for op in operations if op.kind == "Add" for a in op.activations)
    assert fused == {"Sigmoid": 6, "Tanh": 2}


def test_states_and_ends_lie_in_rows_and_all_else_in_bricks():
    by_name = {(op.kind, op.name): op for op in lower_file(PUBLISHED).operations}
    assert not by_name["Add", "lstm_0/cell_state"].output.brick
    assert not by_name["FullyConnected", "lstm_0/input_gate/kernel"].inputs[0].brick
    assert by_name["FullyConnected", "lstm_0/input_gate/kernel"].output.brick
    assert by_name["MemoryCopy", "lstm_0/output"].output.brick


def test_layers_are_named_as_in_the_file():
    layers = dict.fromkeys(op.layer for op in lower_file(PUBLISHED).operations)
    assert set(layers) == {"lstm_0", "lstm_1", "dense_0", "mask"}


@pytest.mark.parametrize("profile", ["fused", "fused16x8", "step16x8", "step8"])
def test_every_profile_has_the_same_weights(profile):
    program = lowered(serialise(integer_network((24,), (16,), profile=profile), profile))
    assert sum(operation.macs for operation in program.operations) == 24 * 4 * (128 + 24) + (
        16 * 24 + 128 * 16
    )


def test_feature_maps_alive_at_once_are_bounded_by_all_of_them():
    program = lower_file(PUBLISHED)
    # Two layers of states (256 int8, 256 int16), the input, the output and a layer's gates.
    assert 2 * 256 * 3 + 256 < program.sram_bytes < 8192


def steps(count: int) -> bytes:
    """A network with an LSTM that sees so many frames in one call."""

    def widen(model):
        for entry in model.subgraphs[0].tensors:
            if len(entry.shape) == 3:
                entry.shape = [1, count, entry.shape[-1]]

    return edited(widen, serialise(integer_network((4,), (), 4, 4)))


def test_time_steps_are_bounded():
    program = lowered(steps(64))
    assert program.frames == 64 and len(program.operations) > 64 * 20
    with pytest.raises(InputError, match="lstm_0: UNIDIRECTIONAL_SEQUENCE_LSTM over 65 time steps"):
        lowered(steps(65))


def test_one_layer_is_one_operation():
    weights = gaussian(17, 40)
    (only,) = lowered(one_layer(weights)).operations
    assert only.kind == "FullyConnected" and only.layer == "layer"
    np.testing.assert_array_equal(only.weights[:, 0, 0, :], weights)


def test_what_no_output_needs_costs_nothing():
    def drop(model):
        graph = model.subgraphs[0]
        graph.outputs = [graph.operators[0].outputs[0]]

    assert len(lowered(edited(drop)).operations) < len(
        lowered(edited(lambda model: None)).operations
    )


@pytest.mark.parametrize("kind", ["float32", "int32", "uint8"])
def test_another_type_is_named(tmp_path, kind):
    path = write(tmp_path, one_operator(0, kind, inputs=2))
    with pytest.raises(InputError, match=f"x[01]: {kind} does not run on the NPU") as error:
        lower_file(path)
    assert str(path) in str(error.value)


UNKNOWN = sorted(
    number for number, name in OPERATORS.items()
    if name in ("SOFTMAX", "SVDF", "WHILE", "MEAN", "TRANSPOSE", "PAD", "BATCH_MATMUL")
)  # fmt: skip


@pytest.mark.parametrize("code", [*UNKNOWN, 117], ids=lambda code: OPERATORS.get(code, str(code)))
def test_an_unknown_operator_is_named_and_refused(code):
    name = OPERATORS.get(code, f"builtin {code}")
    with pytest.raises(InputError, match=f"operator {name} has no known cost"):
        lowered(one_operator(code))


def test_an_unknown_operator_off_the_path_is_refused_too():
    def add(model):
        graph = model.subgraphs[0]
        graph.operators[0].opcodeIndex = len(model.operatorCodes)
        code = type(model.operatorCodes[0])()
        code.builtinCode = code.deprecatedBuiltinCode = 25
        model.operatorCodes.append(code)

    with pytest.raises(InputError, match="SOFTMAX"):
        lowered(edited(add))


def test_a_loop_in_the_graph_is_refused():
    builder = Builder(schema_module())
    source, target = (builder.tensor(n, (1, 8), "int8", Quantisation(2.0**-5)) for n in "xy")
    builder.operator(ADD, 1, [target, source], [target])
    with pytest.raises(InputError, match="y: depends on itself"):
        lowered(builder.finish([source], [target]))


def test_shapes_that_do_not_fit_are_refused():
    def widen(model):
        tensor(model, "mask").shape = [1, 1, 99]

    with pytest.raises(InputError, match="LOGISTIC"):
        lowered(edited(widen))


def test_a_zero_point_beyond_int8_is_refused():
    def move(model):
        tensor(model, "mask/kernel").quantization.zeroPoint = [1000]
        tensor(model, "mask/kernel").quantization.scale = [0.5]

    with pytest.raises(InputError, match="mask/kernel: zero point 1000"):
        lowered(edited(move))


def test_a_second_subgraph_is_refused():
    with pytest.raises(InputError, match="2 subgraphs"):
        lowered(edited(lambda model: model.subgraphs.append(model.subgraphs[0])))


def test_too_few_inputs_are_refused():
    with pytest.raises(InputError, match="ADD with 1 inputs, expected 2"):
        lowered(one_operator(0))


def test_weights_that_are_not_constant_are_refused():
    def empty(model):
        tensor(model, "mask/kernel").buffer = 0

    with pytest.raises(InputError, match="mask/kernel: expected a constant"):
        lowered(edited(empty))


def test_a_batch_beyond_one_is_refused():
    with pytest.raises(InputError, match="shape"):
        lowered(one_operator(0, shape=(2, 4, 4, 8), inputs=2))


def test_reshape_and_slices_cost_nothing():
    data = one_operator(next(n for n, name in OPERATORS.items() if name == "RESHAPE"))
    (only,) = lowered(data).operations  # from an input to an output it is a copy
    assert only.kind == "MemoryCopy"


def option(name: str, key: str, value: int):
    """A change of the options of every operator with that name, by the schema's attribute."""

    def change(model):
        codes = [code.builtinCode for code in model.operatorCodes]
        for operator in model.subgraphs[0].operators:
            if OPERATORS[codes[operator.opcodeIndex]] == name:
                setattr(operator.builtinOptions, key, value)

    return change


@pytest.mark.parametrize(
    ("key", "value"), [("fusedActivationFunction", 1), ("diagonalRecurrentTensors", True)]
)
def test_an_lstm_of_another_form_does_not_count_as_ours(key, value):
    with pytest.raises(InputError, match="only tanh and whole matrices"):
        lowered(edited(option("UNIDIRECTIONAL_SEQUENCE_LSTM", key, value)))


def test_a_join_with_an_activation_is_not_free():
    weights, bias = gaussian(16, 16), np.zeros(16, np.int32)

    def tensor(name, shape, data=None, kind="int8"):
        return Tensor(name, shape, kind, np.array([0.1], np.float32), np.array([0]), 0, data, False)

    tensors = (
        tensor("x", (1, 1, 16)),
        tensor("layer/kernel", (16, 16), weights),
        tensor("b", (16,), bias, "int32"),
        *(tensor(name, (1, 1, 16)) for name in ("y", "z")),
        tensor("joined", (1, 1, 32)),
    )
    dense = [Operator(9, "FULLY_CONNECTED", 1, (0, 1, 2), (out,), (), 8, {}) for out in (3, 4)]
    for activation, said in ((1, "with an activation"), (77, "activation 77")):
        options = {"axis": 2, "activation": activation}
        join = Operator(2, "CONCATENATION", 1, (3, 4), (5,), (), 10, options)
        with pytest.raises(InputError, match=said):
            lower_model(Model(None, tensors, (*dense, join), (0,), (5,), {}, 0))


@pytest.mark.parametrize("profile", ["fused", "step16x8", "step8"])
def test_damaged_files_end_in_input_errors(profile):
    """A profile asks less of a file than the runtimes do, and still must not fall over it."""
    targets = [find_target(name, "flash") for name in ("ethos-u55-128", "ethos-u85-128")]
    priced = 0
    for seed in range(200):
        target = targets[seed % 2]
        with contextlib.suppress(InputError):
            program = lowered(damaged(seed, profile), target.hardware.is_u85)
            assert network_cost(program.operations, target)
            priced += 1
    assert priced
