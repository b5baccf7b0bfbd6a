"""The oracle defines every byte: TFLM's reference kernels give the same ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.equivalence.compare import compare_with_tflm
from tests.network_maker import frames, integer_network
from tinyse.quant import IntegerDense, IntegerNetwork, Quantisation, logistic_table
from tinyse.runtimes.oracle import Oracle
from tinyse.runtimes.tflm import TFLM
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")


def written(network, folder):
    path = folder / "model.tflite"
    path.write_bytes(serialise(network))
    return path


def test_reference_network_over_2000_frames(tmp_path):
    # A rounding tie shows once in some 10^4 values and the state carries it on: 300 frames would
    # not be enough.
    result = compare_with_tflm(written(integer_network(), tmp_path), frames(2000, 11))
    print(result)
    assert result.compared["mask"] == 256_000
    assert result.equal, result.differing


ODD = {
    "one of each": ((1,), (), 1, 1),
    "seven units": ((7,), (5,), 3, 2),
    "three LSTMs": ((7, 3, 11), (6, 9), 13, 10),
    "wide input": ((5,), (), 1100, 4),
}


@pytest.mark.parametrize("shape", ODD.values(), ids=ODD)
def test_odd_sizes(tmp_path, shape):
    network = integer_network(*shape, seed=3)
    result = compare_with_tflm(written(network, tmp_path), frames(300, 5, shape[2]))
    assert result.equal, result.differing


def changed_lstm(network: IntegerNetwork, **values) -> IntegerNetwork:
    first = dataclasses.replace(network.layers[0], **values)
    return dataclasses.replace(network, layers=(first, *network.layers[1:]))


@pytest.mark.parametrize("exponent", [-18, -16, -15, -13, -12, -10, -6, 0])
def test_every_cell_scale(tmp_path, exponent):
    network = changed_lstm(integer_network((12,), (), 9, 4), cell_scale=2.0**exponent)
    assert compare_with_tflm(written(network, tmp_path), frames(200, 6, 9)).equal


@pytest.mark.parametrize("clip", [0.3, 1.0, 10.0, 1e6])
def test_cell_clip(tmp_path, clip):
    network = changed_lstm(integer_network((12,), (), 9, 4), cell_clip=float(np.float32(clip)))
    assert compare_with_tflm(written(network, tmp_path), frames(200, 6, 9)).equal


def test_input_and_hidden_zero_points(tmp_path):
    """What converters write: asymmetric frames and states."""
    network = integer_network((12,), (), 9, 4)
    hidden = Quantisation(2.0**-7, -5)
    network = changed_lstm(network, input=Quantisation(2.0**-5, 17), hidden=hidden)
    last = dataclasses.replace(network.layers[1], input=hidden)
    network = dataclasses.replace(network, layers=(network.layers[0], last))
    assert compare_with_tflm(written(network, tmp_path), frames(300, 6, 9)).equal


def test_sums_beyond_float32(tmp_path):
    """1,100 products of 127 and 128 exceed 2^24; the oracle must notice."""
    network = integer_network((5,), (), 1100, 4)
    kernels = tuple(np.where(k < 0, -127, 127).astype(np.int8) for k in network.layers[0].kernels)
    x = np.random.default_rng(0).choice(np.array([-128, 127, 5], np.int8), (100, 1100))
    x[::7] = np.where(kernels[0][0] < 0, 127, -128)  # one unit's sum at its largest
    assert compare_with_tflm(written(changed_lstm(network, kernels=kernels), tmp_path), x).equal


def test_extreme_frames(tmp_path):
    x = np.random.default_rng(0).choice(np.array([-128, 127], np.int8), (300, 9))
    assert compare_with_tflm(written(integer_network((12,), (3,), 9, 4), tmp_path), x).equal


@pytest.mark.parametrize("scale", [2.0**-12, 0.01, 0.0489501953125, 0.1, 0.75, 1.0])
@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_every_byte_of_logistic(scale, zero_point):
    """A matrix of one weight lets each logit through as it is."""
    logits = Quantisation(scale, zero_point)
    through = IntegerDense(
        name="mask",
        kernel=np.array([[1]], np.int8),
        bias=np.zeros(1, np.int32),
        kernel_scales=np.array([1.0]),
        input=logits,
        accumulated=logits,
        logistic=Quantisation(2.0**-8, -128),
    )
    network = IntegerNetwork("through", (through,))
    x = np.arange(-128, 128).astype(np.int8)[:, None]
    masks = TFLM(check_bytes(serialise(network))).run(x)
    assert np.array_equal(masks[:, 0], logistic_table(scale, zero_point))
    assert np.array_equal(masks, Oracle(network).run(x))
