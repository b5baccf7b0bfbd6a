"""The DECODE form: every weight comes back, TFLM computes the same bytes, damage is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.network_maker import features, float_weights, frames, integer_network
from tinyse.errors import InputError
from tinyse.pack.decode import (
    HEADER_BYTES,
    check_decode,
    decode,
    encode,
    encoded_size,
    is_decode,
    write_decode,
)
from tinyse.quant import PROFILES, IntegerNetwork, quantise_for, read_weights, same
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.groups import parse_structure
from tinyse.sparsity.offline import masked_integer, prune_integer, prune_offline, weights_of
from tinyse.tflite.check import CheckedFile, check_bytes, load
from tinyse.tflite.read import parse_model
from tinyse.tflite.schema import MODULES, schema_module
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")


def sparse_file(text: str = "block:4x4", sparsity: float = 0.9) -> CheckedFile:
    network = integer_network((48, 40), (32,), 40, 32)
    structure = parse_structure(text)
    shares = budgets(weights_of(network), structure, sparsity)
    return check_bytes(serialise(prune_integer(network, structure, shares)))


def masks(file: CheckedFile, x: np.ndarray) -> np.ndarray:
    from tinyse.runtimes.tflm import TFLM

    return TFLM(file).run(x)


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
@pytest.mark.parametrize("text", ["weight", "block:4x4"])
def test_every_weight_comes_back_and_tflm_computes_the_same_bytes(text, sparsity, tmp_path):
    file = sparse_file(text, sparsity)
    packed = write_decode(file)
    assert len(packed.data) < len(file.data)
    path = tmp_path / "packed.tflite"
    path.write_bytes(packed.data)
    back = check_decode(path.read_bytes(), path)
    assert write_decode(back) == packed
    assert same(back.network, file.network) and back.data == packed.data
    x = frames(600, 1, 40)
    assert np.array_equal(masks(back, x), masks(file, x))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_takes_the_form(profile, tmp_path):
    structure = parse_structure("block:4x4")
    weights = float_weights((48, 40), (32,), 40, 32)
    pruned = prune_offline(weights, structure, budgets(weights, structure, 0.9))
    np.savez(tmp_path / "weights.npz", **pruned)
    network = quantise_for(read_weights(tmp_path / "weights.npz"), "test", profile)
    file = check_bytes(serialise(network, profile))
    packed = write_decode(file)
    back = check_decode(packed.data)
    assert packed.left == {} and same(back.network, network) and back.profile == profile
    x = network.input.quantise(features(500, 1, 40))
    assert np.array_equal(masks(back, x), masks(file, x))


def test_the_states_are_the_same_too():
    from tinyse.runtimes.interface import trace
    from tinyse.runtimes.tflm import TFLM

    file = sparse_file()
    back, x = check_decode(write_decode(file).data), frames(100, 2, 40)
    expected, found = (trace(TFLM(f, keep_states=True), x) for f in (file, back))
    assert set(found) == {"mask", "h_lstm_0", "c_lstm_0", "h_lstm_1", "c_lstm_1"}
    assert all(np.array_equal(expected[key], found[key]) for key in expected)


def test_one_operator_per_consumer_with_all_of_its_matrices():
    file = sparse_file()
    packed = write_decode(file)
    model = parse_model(packed.data)
    assert is_decode(model) and not is_decode(file.model)
    kinds = [(operator.name, len(operator.outputs)) for operator in model.operators]
    assert kinds == [
        ("CUSTOM TFLM_DECODE", 8),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 1),
        ("CUSTOM TFLM_DECODE", 8),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 1),
        ("CUSTOM TFLM_DECODE", 1),
        ("FULLY_CONNECTED", 1),
        ("CUSTOM TFLM_DECODE", 1),
        ("FULLY_CONNECTED", 1),
        ("LOGISTIC", 1),
    ]
    assert packed.left == {}


def test_the_arena_grows_by_the_matrices_of_one_consumer():
    from tinyse.runtimes.tflm import TFLM

    file = sparse_file()
    packed = write_decode(file)
    lstm = file.network.lstms[0]
    assert packed.scratch_bytes == sum(a.size for a in (*lstm.kernels, *lstm.recurrents))
    arenas = [TFLM(f).info.arena_bytes for f in (file, check_decode(packed.data))]
    grown = arenas[1] - arenas[0]
    assert packed.scratch_bytes < grown < packed.scratch_bytes + 8_192


def test_matrices_that_would_grow_are_named_and_stay():
    file = sparse_file()
    dense = integer_network((48, 40), (32,), 40, 32)
    layers = (*file.network.layers[:2], *dense.layers[2:])
    mixed = check_bytes(serialise(dataclasses.replace(file.network, layers=layers)))
    packed = write_decode(mixed)
    assert set(packed.left) == {"dense_0/kernel", "mask/kernel"}
    assert "zeros do not pay for" in packed.left["mask/kernel"]
    back = check_decode(packed.data)
    assert same(back.network, mixed.network)
    x = frames(100, 1, 40)
    assert np.array_equal(masks(back, x), masks(mixed, x))


def test_a_dense_file_stays_as_it_is():
    file = check_bytes(serialise(integer_network((9, 7), (5,), 11, 6)))
    packed = write_decode(file)
    assert packed.data == file.data and packed.scratch_bytes == 0 and len(packed.left) == 18


def test_an_empty_gate():
    file = sparse_file()
    nothing = np.zeros((48, 40), bool)
    network = masked_integer(file.network, {"lstm_0/kernel/f": nothing})
    emptied = check_bytes(serialise(network))
    back, x = check_decode(write_decode(emptied).data), frames(100, 1, 40)
    assert same(back.network, network)
    assert np.array_equal(masks(back, x), masks(emptied, x))


def test_both_schemas_write_the_same_bytes():
    import importlib

    file = sparse_file()
    written = [write_decode(file, importlib.import_module(name)).data for name in MODULES]
    assert written[0] == written[1]


def test_names_and_metadata_are_kept():
    file = sparse_file()
    model = parse_model(write_decode(file).data)
    assert model.metadata == file.model.metadata
    assert [t.name for t in model.tensors[: len(file.model.tensors)]] == [
        t.name for t in file.model.tensors
    ]
    assert model.tensors[-1].name == "mask/kernel/values"


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.integers(0, 99))
def test_any_matrix_comes_back(height, width, density, seed):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-127, 128, (height, width)).astype(np.int8)
    weights[generator.random((height, width)) >= density] = 0
    bitmap, values = encode(weights)
    assert np.array_equal(decode(bitmap, values, weights.shape), weights)
    pruned = len(bitmap) + len(values)
    assert encoded_size(weights) in (weights.size, pruned)


def test_the_layout_of_the_form():
    """A drawn example: the highest bit first, a header of 16 bytes, values as they stand."""
    bitmap, values = encode(np.array([[0, 5, 0, 0, -1], [0, 0, 0, 7, 0]], np.int8))
    assert bitmap.tolist() == [0b01001000, 0b10000000]
    assert values.tolist() == [2, 1, 0, 0, 1, *[0] * (HEADER_BYTES - 5), 5, 255, 7]


@pytest.mark.parametrize(
    ("bitmap", "values", "message"),
    [
        ([128], [0] * 16, "is not the pruned form"),
        ([128], [2, 1], "is not the pruned form"),
        ([128, 0], [2, 1, 0, 0, 1, *[0] * 11, 5], "2 bytes of bitmap for 4 weights"),
        ([128], [2, 1, 0, 0, 1, *[0] * 11], "0 values for 1 bits"),
        ([8], [2, 1, 0, 0, 1, *[0] * 11, 5], "1 values for 1 bits"),
    ],
)
def test_damaged_forms_are_refused(bitmap, values, message):
    with pytest.raises(ValueError, match=message):
        decode(np.array(bitmap, np.uint8), np.array(values, np.uint8), (2, 2))


def test_a_damaged_file_is_refused_by_the_tensor(tmp_path):
    data = bytearray(write_decode(sparse_file()).data)
    network = check_decode(bytes(data)).network
    bitmap, _ = encode(network.layers[2].kernel)
    at = bytes(data).index(bitmap.tobytes())
    data[at] ^= 0xFF
    path = tmp_path / "damaged.tflite"
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"damaged.tflite: dense_0/kernel: \d+ values for \d+ bits"
    ):
        check_decode(path.read_bytes(), path)
    with pytest.raises(InputError, match="unsupported operator CUSTOM TFLM_DECODE"):
        load(path)


def edited(change) -> bytes:
    """A file in this form after `change(model)` in the objects of the schema."""
    import flatbuffers

    schema = schema_module()
    model = schema.ModelT.InitFromPackedBuf(write_decode(sparse_file()).data, 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def decode_too_late(model):
    operators = model.subgraphs[0].operators
    operators[-3], operators[-2] = operators[-2], operators[-3]


def split_the_first(model):
    import copy

    operators = model.subgraphs[0].operators
    second = copy.copy(operators[0])
    second.inputs, second.outputs = second.inputs[8:], second.outputs[4:]
    operators[0].inputs, operators[0].outputs = operators[0].inputs[:8], operators[0].outputs[:4]
    operators.insert(1, second)


def drop_a_pair(model):
    operator = model.subgraphs[0].operators[0]
    operator.inputs = operator.inputs[:-2]


def another_version(model):
    next(code for code in model.operatorCodes if code.customCode).version = 2


def another_type(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].type = 3


def an_asymmetric_weight(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].quantization.zeroPoint = np.array([1], np.int64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (decode_too_late, "not read by the operator behind TFLM_DECODE"),
        (split_the_first, "TFLM_DECODE: two in a row"),
        (drop_a_pair, "TFLM_DECODE, version 1: 14 inputs, 8 outputs"),
        (another_version, "TFLM_DECODE, version 2: 16 inputs, 8 outputs"),
        (another_type, "input_gate/kernel: cannot be what TFLM_DECODE puts out"),
        (an_asymmetric_weight, "input_gate/kernel: cannot be what TFLM_DECODE puts out"),
    ],
)
def test_what_tflm_would_run_wrong_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        check_decode(edited(change))


@pytest.mark.parametrize("seed", range(40))
def test_changed_bytes_are_refused_or_harmless(seed):
    """No damage reaches a runtime: what is not refused is a network that was proven to run."""
    data = bytearray(write_decode(sparse_file()).data)
    generator = np.random.default_rng(seed)
    for at in generator.integers(0, len(data), 5):
        data[at] = generator.integers(0, 256)
    try:
        network = check_decode(bytes(data)).network
    except InputError:
        return
    assert isinstance(network, IntegerNetwork)
