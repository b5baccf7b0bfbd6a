"""What `read_weights` accepts, and what it says about the rest."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import float_weights
from tinyse.errors import InputError
from tinyse.quant import read_weights


def arrays():
    return float_weights((3, 4), (5,), 6, 2)


def read(tmp_path, values):
    np.savez(tmp_path / "weights.npz", **values)
    return read_weights(tmp_path / "weights.npz")


def test_layers_in_the_order_of_the_forward_pass(tmp_path):
    network = read(tmp_path, arrays())
    assert [layer.name for layer in network.layers] == ["lstm_0", "lstm_1", "dense_0", "mask"]
    assert [layer.units for layer in network.layers] == [3, 4, 5, 2]
    assert network.layers[0].recurrent.shape == (3, 12) and network.mean.shape == (6,)


@pytest.mark.parametrize("layers", [((3,), ()), ((2, 3, 4), (5, 6))])
def test_any_number_of_layers(tmp_path, layers):
    network = read(tmp_path, float_weights(*layers, 6, 2))
    assert len(network.layers) == len(layers[0]) + len(layers[1]) + 1


@pytest.mark.parametrize("key", sorted(arrays()))
def test_a_missing_key_is_named(tmp_path, key):
    values = arrays()
    del values[key]
    # Without all of a layer's keys the next layer's may be the first that does not fit.
    with pytest.raises(InputError, match=r"weights\.npz: .*(missing|expected shape|unknown key)"):
        read(tmp_path, values)


CHANGES = {
    "lstm_0/bias: expected finite values": ("lstm_0/bias", np.full(12, np.nan, np.float32)),
    "lstm_1/kernel: expected shape": ("lstm_1/kernel", np.zeros((5, 16), np.float32)),
    "lstm_1/recurrent: expected shape": ("lstm_1/recurrent", np.zeros((4, 15), np.float32)),
    "lstm_0/kernel: expected shape": ("lstm_0/kernel", np.zeros((6, 13), np.float32)),
    "mask/kernel: expected float32, got float64": ("mask/kernel", np.zeros((5, 2))),
    "features/std: expected values above zero": ("features/std", np.zeros(6, np.float32)),
    "features/mean: expected a vector": ("features/mean", np.zeros((6, 1), np.float32)),
    "range/mask/logits: expected min <= max": ("range/mask/logits", np.float32([1, -1])),
    "range/lstm_0/cell: expected shape": ("range/lstm_0/cell", np.zeros(3, np.float32)),
    "unknown key lstm_0/extra": ("lstm_0/extra", np.zeros(3, np.float32)),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_wrong_array_is_named(tmp_path, message):
    key, value = CHANGES[message]
    with pytest.raises(InputError, match=message):
        read(tmp_path, arrays() | {key: value})


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_npz(tmp_path, content):
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.npz: is not a weights\.npz"):
        read_weights(tmp_path / "weights.npz")


def test_a_file_that_is_cut(tmp_path):
    np.savez(tmp_path / "weights.npz", **arrays())
    whole = (tmp_path / "weights.npz").read_bytes()
    for length in range(100, len(whole), len(whole) // 9):
        (tmp_path / "weights.npz").write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_weights(tmp_path / "weights.npz")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path / "weights.npz")
