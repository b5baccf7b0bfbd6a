"""Profiles: which widths and scales a network gets, and that its weights stay what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.network_maker import float_weights, integer_network
from tinyse.errors import InputError
from tinyse.quant import GATE_ARITHMETIC, PROFILES, Quantisation, find_profile, same

SHAPE = ((9, 7), (5,), 11, 6)


@pytest.mark.parametrize("profile", PROFILES)
def test_widths_are_those_of_the_profile(profile):
    network = integer_network(*SHAPE, 0, profile)
    wanted = PROFILES[profile]
    assert {layer.input.bits for layer in network.layers} == {wanted.bits}
    assert {layer.output.bits for layer in network.layers} == {wanted.bits}
    assert {layer.gate_bits for layer in network.lstms} == {wanted.gate_bits}
    assert network.layers[0].biases[0].dtype == {8: np.int32, 16: np.int64}[wanted.bits]


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "fused"])
def test_recurrent_weights_are_the_same_in_every_profile(profile):
    for plain, other in zip(
        integer_network(*SHAPE).lstms, integer_network(*SHAPE, 0, profile).lstms, strict=True
    ):
        assert same(plain.kernels, other.kernels) and same(plain.recurrents, other.recurrents)
        assert plain.kernel_scales == other.kernel_scales
        assert plain.recurrent_scales == other.recurrent_scales


def test_biases_are_the_floats_in_finer_steps():
    arrays = float_weights(*SHAPE)
    network = integer_network(*SHAPE, 0, "fused16x8")
    for layer in network.lstms:
        steps = [layer.input.scale * scale for scale in layer.kernel_scales]
        real = np.concatenate([b * s for b, s in zip(layer.biases, steps, strict=True)])
        np.testing.assert_allclose(real, arrays[f"{layer.name}/bias"], atol=max(steps))


def test_a_wide_dense_matrix_has_one_scale_and_keeps_its_zeros():
    network = integer_network(*SHAPE, 0, "step16x8")
    plain = integer_network(*SHAPE)
    for wide, narrow in zip(network.layers[2:], plain.layers[2:], strict=True):
        assert len(wide.kernel_scales) == 1 and abs(wide.kernel).max() == 127
        assert not wide.kernel[narrow.kernel == 0].any()


@pytest.mark.parametrize(("clip", "kept"), [(0.0, 0.0), (8.0, 0.0), (5.0, 5.0), (0.30003, 0.3)])
def test_a_clip_where_int16_saturates_needs_no_operator(tmp_path, clip, kept):
    from tinyse.quant import quantise_for, read_weights

    arrays = float_weights(*SHAPE) | {"lstm_0/cell_clip": np.float32(clip)}
    np.savez(tmp_path / "weights.npz", **arrays)
    layer = quantise_for(read_weights(tmp_path / "weights.npz"), "x", "step16x8").layers[0]
    assert layer.cell_clip == pytest.approx(kept, abs=2.0**-13)
    assert (layer.cell_clip / layer.cell_scale).is_integer()


def test_the_8_bit_cell_is_at_most_4():
    layer = integer_network(*SHAPE, 0, "step8").layers[0]
    assert 0.25 < layer.cell_scale * 127 <= 4.001 and layer.cell_clip == 0
    network = integer_network(*SHAPE, 0, "step8")
    assert network.states == {
        "h_lstm_0": (9, network.layers[0].hidden),
        "c_lstm_0": (9, Quantisation(network.layers[0].cell_scale)),
        "h_lstm_1": (7, network.layers[1].hidden),
        "c_lstm_1": (7, Quantisation(network.layers[1].cell_scale)),
    }


def test_a_profile_that_is_not_there():
    with pytest.raises(InputError, match="profile: unknown profile 'wide'; use fused, fused16x8"):
        find_profile("wide")


@pytest.mark.parametrize("bits", [8, 16])
def test_gates_are_near_sigmoid_and_tanh(bits):
    gates = GATE_ARITHMETIC[bits]
    low, high = gates.before.bounds
    x = gates.before.scale * np.arange(low, high + 1)
    for table, out, exact in (
        (gates.sigmoid_table(), gates.sigmoid, 1 / (1 + np.exp(-x))),
        (gates.tanh_table(), gates.tanh, np.tanh(x)),
        (gates.tanh_table(2.0**-12 if bits == 16 else 0.03), gates.tanh, None),
    ):
        scale = 2.0**-12 if bits == 16 else 0.03
        exact = np.tanh(scale * np.arange(low, high + 1)) if exact is None else exact
        assert table.min() >= out.bounds[0] and table.max() <= out.bounds[1]
        real = (table - out.zero_point) * out.scale
        assert np.abs(real - exact).max() < 1.01 * out.scale + 1e-4


@pytest.mark.parametrize("bits", [8, 16])
def test_quantisation_rounds_and_saturates(bits):
    of = Quantisation(2.0**-5, 0, bits)
    low, high = of.bounds
    steps = of.quantise(np.array([-1e9, -0.5, 0.0, 0.046875, 1e9]))
    assert steps.dtype == f"int{bits}"
    assert steps.tolist() == [low, -16, 0, 2, high]
    assert of.dequantise(steps[1:3]).tolist() == [-0.5, 0.0]
    assert dataclasses.replace(of, zero_point=3).quantise(np.array([0.0]))[0] == 3
