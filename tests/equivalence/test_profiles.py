"""Every export profile: the oracle and TFLM agree on every byte of masks and states."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.equivalence.compare import compare_with_tflm
from tests.network_maker import features, float_forward, float_weights, frames, integer_network
from tinyse.files import packaged
from tinyse.quant import (
    GATE_ARITHMETIC,
    PROFILES,
    IntegerDense,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
    quantise_for,
    read_weights,
    same,
    tanh8_table,
)
from tinyse.runtimes.oracle import Oracle
from tinyse.runtimes.tflm import TFLM
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")

OTHERS = [name for name in PROFILES if name != "fused"]
STEPS = [name for name, profile in PROFILES.items() if profile.form == "step"]
WIDE = [name for name, profile in PROFILES.items() if profile.bits == 16]


def written(network, profile, folder):
    path = folder / "model.tflite"
    path.write_bytes(serialise(network, profile))
    return path


@pytest.mark.parametrize("profile", OTHERS)
def test_published_network_over_2000_frames(tmp_path, profile):
    weights = packaged("models", "lstm_256", "weights.npz")
    network = quantise_for(read_weights(weights), "lstm_256", profile)
    x = frames(2000, 11, of=network.input)
    result = compare_with_tflm(written(network, profile, tmp_path), x)
    print(f"{profile}: {result}")
    assert result.compared["mask"] == 256_000
    assert result.equal, result.differing


@pytest.mark.parametrize("profile", OTHERS)
def test_odd_sizes_over_2000_frames(tmp_path, profile):
    network = integer_network((7, 3, 11), (6, 9), 13, 10, 3, profile)
    x = frames(2000, 5, 13, network.input)
    result = compare_with_tflm(written(network, profile, tmp_path), x)
    print(f"{profile}: {result}")
    assert result.equal, result.differing


@pytest.mark.parametrize("profile", STEPS)
def test_a_network_with_grus_over_2000_frames(tmp_path, profile):
    network = integer_network((7,), (6,), 13, 10, 4, profile, (9, 5))
    x = frames(2000, 5, 13, network.input)
    result = compare_with_tflm(written(network, profile, tmp_path), x)
    print(f"{profile} with GRUs: {result}")
    assert set(result.compared) == {"mask", "h_lstm_0", "c_lstm_0", "h_gru_0", "h_gru_1"}
    assert result.equal, result.differing


@pytest.mark.parametrize("profile", OTHERS)
def test_extreme_frames(tmp_path, profile):
    gru = (5,) if profile in STEPS else ()
    network = integer_network((12,), (3,), 9, 4, 0, profile, gru)
    ends = np.array(network.input.bounds, network.input.dtype)
    x = np.random.default_rng(0).choice(ends, (300, 9))
    assert compare_with_tflm(written(network, profile, tmp_path), x).equal


@pytest.mark.parametrize("profile", WIDE)
@pytest.mark.parametrize("exponent", [-18, -15, -12, -11, -10, -6, 0])
def test_every_cell_scale_in_16_bits(tmp_path, profile, exponent):
    network = changed_lstm(profile, cell_scale=2.0**exponent)
    x = frames(200, 6, 9, network.input)
    assert compare_with_tflm(written(network, profile, tmp_path), x).equal


@pytest.mark.parametrize("scale", [2.0**-8, 4 / 127, 0.063, 1.0])
def test_cell_scales_in_8_bits(tmp_path, scale):
    network = changed_lstm("step8", cell_scale=float(np.float32(scale)))
    x = frames(200, 6, 9, network.input)
    assert compare_with_tflm(written(network, "step8", tmp_path), x).equal


@pytest.mark.parametrize("profile", WIDE)
@pytest.mark.parametrize("steps", [1, 300, 20_480])
def test_cell_clip(tmp_path, profile, steps):
    """As the operator's option and as MINIMUM and MAXIMUM."""
    network = changed_lstm(profile, cell_clip=steps * 2.0**-13, cell_scale=2.0**-13)
    x = frames(200, 6, 9, network.input)
    path = written(network, profile, tmp_path)
    assert same(check_bytes(path.read_bytes()).network, network)
    assert compare_with_tflm(path, x).equal


def changed_lstm(profile: str, **values) -> IntegerNetwork:
    network = integer_network((12,), (), 9, 4, 0, profile)
    first = dataclasses.replace(network.layers[0], **values)
    return dataclasses.replace(network, layers=(first, *network.layers[1:]))


def test_both_forms_of_16x8_give_the_same_bytes():
    shape = ((24, 13), (7,), 11, 6)
    networks = [integer_network(*shape, 2, profile) for profile in ("fused16x8", "step16x8")]
    assert same(*networks)
    x = frames(500, 3, 11, networks[0].input)
    fused, step = (
        TFLM(check_bytes(serialise(network, profile))).run(x)
        for network, profile in zip(networks, ("fused16x8", "step16x8"), strict=True)
    )
    assert np.array_equal(fused, step)


def test_sums_beyond_float32_and_int32(tmp_path):
    """1,100 products of 127 and 32,768 are more than 2^32."""
    network = integer_network((5,), (), 1100, 4, 0, "fused16x8")
    kernels = tuple(np.where(k < 0, -127, 127).astype(np.int8) for k in network.layers[0].kernels)
    first = dataclasses.replace(network.layers[0], kernels=kernels)
    network = dataclasses.replace(network, layers=(first, *network.layers[1:]))
    ends = np.array([-32768, 32767, 5], np.int16)
    x = np.random.default_rng(0).choice(ends, (100, 1100))
    x[::7] = np.where(kernels[0][0] < 0, 32767, -32768)
    assert compare_with_tflm(written(network, "fused16x8", tmp_path), x).equal


@pytest.mark.parametrize("scale", [2.0**-9, 0.01, 4 / 127, 2.0**-4, 0.1, 0.75, 1.0])
def test_every_byte_of_int8_tanh(scale):
    """A cell that keeps nothing and takes in one byte lets it through as it is."""
    scale = float(np.float32(scale))
    network = _tanh_of_the_cell(scale)
    model = TFLM(check_bytes(serialise(network, "step8")))
    model.reset()
    found = []
    for value in range(-128, 128):
        model._carried[1] = np.full((1, 1, 1), value, np.int8)
        model.step(np.zeros(1, np.int8))
        found.append(int(model.states()["h_lstm_0"][0]))
    forget = GATE_ARITHMETIC[8].sigmoid_table()[127 + 128] + 128  # of 256
    cells = np.arange(-128, 128) * forget
    kept = np.sign(cells) * ((np.abs(cells) + 128) // 256)
    squashed = tanh8_table(scale, 0)[kept + 128] * forget
    assert found == list(np.sign(squashed) * ((np.abs(squashed) + 128) // 256))


def _tanh_of_the_cell(scale: float) -> IntegerNetwork:
    """One unit with gates wide open for what was, closed for what comes."""
    nothing, one = np.zeros((1, 1), np.int8), Quantisation(2.0**-7)
    lstm = IntegerLSTM(
        name="lstm_0",
        kernels=(nothing,) * 4,
        recurrents=(nothing,) * 4,
        biases=tuple(np.array([b], np.int32) for b in (-(2**20), 2**20, 0, 2**20)),
        kernel_scales=(2.0**-7,) * 4,
        recurrent_scales=(2.0**-7,) * 4,
        input=Quantisation(2.0**-5),
        hidden=one,
        cell_scale=scale,
        gate_bits=8,
    )
    mask = IntegerDense(
        name="mask",
        kernel=np.array([[1]], np.int8),
        bias=np.zeros(1, np.int32),
        kernel_scales=np.array([2.0**-7]),
        input=one,
        accumulated=one,
        logistic=Quantisation(2.0**-8, -128),
    )
    return IntegerNetwork("tanh", (lstm, mask))


@pytest.mark.parametrize("profile", PROFILES)
def test_error_against_the_float_network(profile):
    """16 bits are nearer to float than 8; everything in 8 bits is furthest."""
    shape = ((24, 20), (12,), 16, 16)
    arrays = {k: v.astype(np.float64) for k, v in float_weights(*shape).items()}
    x = features(600, 9, 16)
    network = integer_network(*shape, 0, profile)
    masks = network.output.dequantise(Oracle(network).run(network.input.quantise(x)))
    error = float(np.sqrt(((masks - float_forward(arrays, x)["mask"]) ** 2).mean()))
    print(f"{profile}: RMS of the mask against float {error:.4f}")
    assert error < {"fused": 0.02, "fused16x8": 0.012, "step16x8": 0.012, "step8": 0.08}[profile]
