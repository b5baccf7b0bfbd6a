"""What the writer puts into a file: deterministic, named, the same from either schema package."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tests.network_maker import BANDS, integer_network, small_network
from tinyse.errors import InputError, MissingExtra
from tinyse.tflite import schema
from tinyse.tflite.read import parse_model
from tinyse.tflite.write import serialise


@pytest.mark.parametrize("network", [small_network, integer_network])
def test_both_schema_packages_give_the_same_bytes(network):
    files = []
    for name in schema.MODULES:
        module = pytest.importorskip(name)
        files.append(serialise(network(), schema=module))
    assert files[0] == files[1]


def test_writing_twice_gives_the_same_bytes():
    assert serialise(small_network()) == serialise(small_network())


def test_tensors_carry_the_names_of_the_layers():
    names = [tensor.name for tensor in parse_model(serialise(small_network())).tensors]
    for name in ("features", "lstm_0/input_gate/kernel", "lstm_1/cell_gate/recurrent", "mask"):
        assert name in names
    assert len(set(names)) == len(names)


def test_feature_statistics_and_name_travel_as_metadata():
    network = small_network()
    metadata = parse_model(serialise(network)).metadata
    assert metadata["tinyse.features"] == network.normalisation.astype("<f4").tobytes()
    assert metadata["tinyse.model"] == b"random"


def test_the_reference_network_is_its_weights_and_little_more():
    data = serialise(integer_network())
    weights = 4 * 256 * (BANDS + 256) + 4 * 256 * 512 + 256 * 128 + 128 * 128
    assert 0 < len(data) - weights < 24_000


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown profile 'fast'; use fused"):
        serialise(small_network(), "fast")


def test_without_a_schema_package_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name.split(".")[0])

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"tinyse\[tflm\]"):
        schema.schema_module()


def test_a_broken_schema_package_is_not_called_missing(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError(name="numpy")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        schema.schema_module()


def test_the_packer_of_the_schema_agrees_with_our_reader():
    module = schema.schema_module()
    data = serialise(small_network())
    theirs = module.ModelT.InitFromPackedBuf(data, 0)
    ours = parse_model(data)
    for a, b in zip(theirs.subgraphs[0].tensors, ours.tensors, strict=True):
        assert a.name.decode() == b.name and tuple(a.shape) == b.shape
        if b.data is not None:
            assert theirs.buffers[a.buffer].data.tobytes() == b.data.tobytes()
            assert np.array_equal(a.quantization.scale, b.scales)
    operators = zip(theirs.subgraphs[0].operators, ours.operators, strict=True)
    assert all(tuple(a.inputs) == b.inputs for a, b in operators)
