"""The choices of scale, their limits, and how near the integer network comes to the float one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import features, float_forward, float_weights
from tinyse.errors import InputError
from tinyse.quant import Quantisation, quantise_for, quantise_network, r12, read_weights
from tinyse.runtimes import open_runtime
from tinyse.runtimes.oracle import Oracle
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise


def quantised(tmp_path, arrays):
    np.savez(tmp_path / "weights.npz", **arrays)
    return quantise_network(read_weights(tmp_path / "weights.npz"), "test")


def test_fixed_quantisations(tmp_path):
    network = quantised(tmp_path, float_weights((8,), (4,), 6, 2))
    lstm, _, mask = network.layers
    assert network.input == Quantisation(2.0**-5, 0)
    assert lstm.hidden == Quantisation(2.0**-7, 0) and lstm.cell_clip == 0
    assert network.output == Quantisation(2.0**-8, -128)
    assert mask.accumulated.scale * 255 <= 2 * 6.25


@pytest.mark.parametrize(
    ("largest", "exponent"), [(0.1, -14), (1.3, -14), (1.4, -13), (10.0, -11), (40.0, -9)]
)
def test_cell_scale_covers_the_range_with_a_margin(tmp_path, largest, exponent):
    arrays = float_weights((8,), (), 6, 2)
    arrays["range/lstm_0/cell"] = np.float32([-largest, largest / 2])
    lstm = quantised(tmp_path, arrays).layers[0]
    assert lstm.cell_exponent == exponent and lstm.cell_scale == 2.0**exponent
    assert 1.5 * largest <= 32768 * lstm.cell_scale


def test_every_weight_is_within_half_a_step_and_zero_stays_zero(tmp_path):
    arrays = float_weights((8,), (4,), 6, 2)
    arrays["lstm_0/kernel"][::2] = 0
    lstm, dense, _ = quantised(tmp_path, arrays).layers
    gates = np.split(arrays["lstm_0/kernel"].T, 4)
    for gate, kernel, scale in zip(gates, lstm.kernels, lstm.kernel_scales, strict=True):
        # The largest weight may be clipped by what rounding the scale took away.
        assert np.abs(kernel * scale - gate).max() <= scale * (0.5 + 127 * 2.0**-12)
        assert (kernel[:, ::2] == 0).all() and scale == r12(scale)
    rows = arrays["dense_0/kernel"].T
    assert np.abs(dense.kernel * dense.kernel_scales[:, None] - rows).max() <= (
        dense.kernel_scales.max() * 0.54
    )
    assert dense.accumulated.zero_point == -128 and dense.relu


def test_biases_are_in_steps_of_input_times_weight(tmp_path):
    arrays = float_weights((8,), (), 6, 2)
    lstm = quantised(tmp_path, arrays).layers[0]
    biases = np.split(arrays["lstm_0/bias"], 4)
    for bias, steps, scale in zip(biases, lstm.biases, lstm.kernel_scales, strict=True):
        assert np.abs(steps * scale * 2.0**-5 - bias).max() <= scale * 2.0**-6 * 1.001


def test_silent_weights_and_ranges_still_give_a_file_that_runs(tmp_path):
    arrays = {key: np.zeros_like(value) for key, value in float_weights((8,), (4,), 6, 2).items()}
    arrays["features/std"] += 1
    arrays["mask/bias"] += np.float32(3)
    network = check_bytes(serialise(quantised(tmp_path, arrays))).network
    assert Oracle(network).step(np.zeros(6, np.int8)).shape == (2,)


@pytest.mark.parametrize("runtime", ["oracle", "tflm"])
@pytest.mark.parametrize("profile", ["fused", "step16x8"])
@pytest.mark.parametrize("dense", [(), (4,)], ids=["behind an LSTM", "behind a silent layer"])
def test_outputs_without_weights_keep_their_bias(tmp_path, runtime, profile, dense):
    if runtime == "tflm":
        pytest.importorskip("tflite_micro")
    arrays = float_weights((16,), dense, 6, 3)
    arrays |= {key: np.zeros_like(value) for key, value in arrays.items() if "dense" in key}
    arrays["mask/kernel"][:, :2] = 0
    arrays["mask/bias"][:2] = -5, 5
    arrays["range/mask/logits"] = np.float32([-5.5, 5.5])
    np.savez(tmp_path / "weights.npz", **arrays)
    network = quantise_for(read_weights(tmp_path / "weights.npz"), "test", profile)
    (tmp_path / "model.tflite").write_bytes(serialise(network, profile))
    opened = open_runtime(runtime, tmp_path / "model.tflite")
    mask = network.output.dequantise(opened.run(network.input.quantise(features(3, 1, 6))))
    assert np.abs(mask[:, :2] - 1 / (1 + np.exp([5, -5]))).max() <= 2.0**-8


@pytest.mark.parametrize(("bias", "holds"), [(-31.0, True), (33.0, False)])
def test_a_bias_beyond_the_steps_of_weights_that_are_zero_is_refused(tmp_path, bias, holds):
    arrays = float_weights((8, 4), (), 6, 2)
    arrays["lstm_1/kernel"][:, :4] = 0
    arrays["lstm_1/bias"][1] = bias
    if holds:
        steps = quantised(tmp_path, arrays).layers[1].biases[0][1]
        assert steps * 2.0**-23 == bias
        return
    with pytest.raises(InputError, match="lstm_1/bias: 33 is more than the steps"):
        quantised(tmp_path, arrays)


def test_the_integer_network_is_near_the_float_one(tmp_path):
    arrays = float_weights((64, 64), (32,), 128, 128, seed=5, gain=1.0)
    network = quantised(tmp_path, arrays)
    x = features(400, 9)
    expected = float_forward(arrays, x.astype(np.float64))["mask"]
    mask = network.output.dequantise(Oracle(network).run(network.input.quantise(x)))
    error = mask - expected
    assert np.sqrt((error**2).mean()) < 0.006 and np.abs(error).max() < 0.06
