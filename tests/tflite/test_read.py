"""Reading back what was written, and naming what is damaged."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import integer_network, small_network
from tests.tflite.edited import Sharing, edited, operator, tensor, valid_file
from tinyse.errors import InputError
from tinyse.quant import same
from tinyse.tflite.check import check_bytes, load
from tinyse.tflite.read import parse_model, read_model
from tinyse.tflite.write import serialise


@pytest.mark.parametrize(
    "shape", [((9, 7), (5,), 11, 6), ((1,), (), 1, 1), ((3, 2, 4), (5, 6), 7, 3)]
)
def test_written_read_and_lifted_is_the_same_network(shape):
    network = integer_network(*shape)
    assert same(check_bytes(serialise(network)).network, network)


def test_a_file_without_our_metadata_has_no_statistics():
    network = check_bytes(edited(lambda model: setattr(model, "metadata", None))).network
    assert network.normalisation is None and network.name == ""
    assert same(network.layers, small_network().layers)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.tflite: cannot be read"):
        read_model(tmp_path / "none.tflite")


def test_the_path_stands_in_the_message(tmp_path):
    (tmp_path / "cut.tflite").write_bytes(valid_file()[:1000])
    with pytest.raises(InputError, match=r"cut\.tflite: not a usable \.tflite"):
        load(tmp_path / "cut.tflite")


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\xff" * 64, bytes(64)])
def test_bytes_that_are_no_model(data):
    with pytest.raises(InputError, match="not a usable"):
        parse_model(data)


def set_buffer(model, name, length):
    model.buffers[tensor(model, name).buffer].data = np.zeros(length, np.uint8)


DAMAGE = {
    "has 3 bytes, its shape needs": lambda m: set_buffer(m, "mask/kernel", 3),
    "has buffer 999 of": lambda m: setattr(tensor(m, "mask/kernel"), "buffer", 999),
    "unknown type 99": lambda m: setattr(tensor(m, "mask/kernel"), "type", 99),
    "has shape": lambda m: setattr(tensor(m, "mask"), "shape", [1, -1, 6]),
    "operator has code 77 of": lambda m: setattr(operator(m, 0), "opcodeIndex", 77),
    "inputs names a tensor outside": lambda m: setattr(operator(m, 0), "inputs", [500]),
    "outputs names a tensor outside": lambda m: setattr(m.subgraphs[0], "outputs", [-2]),
    "input or output of the graph is absent": lambda m: setattr(m.subgraphs[0], "outputs", [-1]),
    "schema version 2": lambda m: setattr(m, "version", 2),
    "holds no subgraph": lambda m: setattr(m, "subgraphs", []),
    "outside the flatbuffer": lambda m: setattr(m.buffers[3], "offset", 4096),
    "lies in another file": lambda m: setattr(tensor(m, "mask"), "externalBuffer", 1),
    "1 scales, 2 zero points": lambda m: setattr(
        tensor(m, "mask").quantization, "zeroPoint", [0, 0]
    ),
    "not a positive number": lambda m: setattr(tensor(m, "mask").quantization, "scale", [np.nan]),
    "for axis 1 of": lambda m: setattr(
        tensor(m, "mask/kernel").quantization, "quantizedDimension", 1
    ),
    "metadata b?'?tinyse.model'? has buffer": lambda m: setattr(m.metadata[1], "buffer", 999),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named(message):
    with pytest.raises(InputError, match=message):
        parse_model(edited(DAMAGE[message]))


def long_names(model):
    for each in model.subgraphs[0].tensors:
        each.name = "n" * 100_000


def many_inputs(model):
    for each in model.subgraphs[0].operators:
        each.inputs = each.outputs = np.zeros(50_000, np.int32)


def one_buffer(model):
    model.buffers[model.metadata[0].buffer].data = np.zeros(100_000, np.uint8)
    first = model.metadata[0].buffer
    entry = type(model.metadata[0])
    for number in range(40):
        more = entry()
        more.name, more.buffer = f"more {number}", first
        model.metadata.append(more)


@pytest.mark.parametrize("change", [long_names, many_inputs, one_buffer])
def test_a_small_file_takes_little_memory(change):
    """What tables share is read for each of them."""
    data = edited(change, writer=Sharing)
    assert len(data) < 300_000
    with pytest.raises(InputError, match="reads the same bytes again and again"):
        parse_model(data)


def test_what_tables_share_is_read():
    data = edited(lambda model: None, writer=Sharing)
    assert len(data) < len(valid_file())
    assert same(check_bytes(data).network, small_network())
