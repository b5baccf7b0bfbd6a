"""The graph computes what the exported file computes: integers, states, masks, weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tests.conftest import ROOT
from tests.network_maker import features, float_weights
from tinyse.network import backend, integers
from tinyse.network.build import shapes
from tinyse.network.layers import lstm
from tinyse.network.quantised import (
    Activations,
    Cell,
    quantised_forward,
    quantised_lstm,
    used_parameters,
    weight_steps,
)
from tinyse.quant import (
    IntegerLSTM,
    Multiplier,
    coarsened,
    multiply,
    quantise_network,
    r12,
    read_weights,
)
from tinyse.recipe import Network
from tinyse.runtimes.oracle import Oracle

GOLDEN = ROOT / "models" / "lstm_256" / "golden.npz"
RATIOS = st.floats(2.0**-14, 1.9).map(r12)
SUMS = st.integers(-(2**22), 2**22)


@settings(deadline=None)  # the first call of a shape compiles
@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8))
def test_scales_keep_12_bits_as_in_the_file(scales):
    scales = np.array(scales, np.float32)
    found = np.asarray(integers.r12(scales)).astype(np.float64)
    assert [r12(scale) for scale in found] == found.tolist()
    # Where the rest is a half Python rounds to even, so either neighbour is as near.
    nearest = np.array([abs(r12(float(scale)) - scale) for scale in scales.astype(np.float64)])
    np.testing.assert_array_equal(np.abs(found - scales), nearest)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SUMS, RATIOS), min_size=1, max_size=16))
def test_products_of_gates_are_exact(pairs):
    sums, ratios = map(np.array, zip(*pairs, strict=True))
    by = integers.multiplier(np.float32(ratios))
    found = np.asarray(integers.multiply(np.int32(sums), by))
    np.testing.assert_array_equal(found, multiply(sums.astype(np.int64), Multiplier.of(ratios)))


@settings(deadline=None)
@given(st.lists(st.integers(-(2**30), 2**30), min_size=1), st.integers(2, 30))
def test_products_of_states_are_exact(values, bits):
    found = np.asarray(integers.shifted(np.array(values, np.int32), bits))
    expected = multiply(np.array(values, np.int64), Multiplier.of(2.0**-bits))
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**21), 2**21), min_size=1), st.floats(2.0**-12, 0.99))
def test_products_of_dense_layers_are_at_most_one_off(values, ratio):
    found = np.asarray(integers.multiply_nearly(np.float32(values), np.float32([ratio])))
    by = Multiplier.of(float(np.float32(ratio)))
    expected = multiply(np.array(values, np.int64), by)
    # Twenty-four of 55 bits: what is beyond an int16 is saturated anyway.
    small = np.abs(expected) < 2**15
    assert np.abs(found - expected)[small].max(initial=0) <= 1


def network_of(arrays) -> Network:
    lstms = sum(key.endswith("/recurrent") for key in arrays)
    dense = sum(key.startswith("dense") and key.endswith("/kernel") for key in arrays)
    return Network(
        lstm=tuple(arrays[f"lstm_{i}/recurrent"].shape[0] for i in range(lstms)),
        dense=tuple(arrays[f"dense_{i}/kernel"].shape[1] for i in range(dense)),
        cell_clip=float(arrays.get("lstm_0/cell_clip", 0.0)),
    )


def masks_of(parameters, sparsity: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    kernels = {name: x for name, x in parameters.items() if x.ndim == 2}
    return {name: np.float32(random.random(x.shape) >= sparsity) for name, x in kernels.items()}


def compiled_for(arrays, tmp_path, bits=8):
    """The graph of this shape and these ranges: its masks, and the weights that it uses."""
    np.savez(tmp_path / "before.npz", **arrays)
    network, activations = network_of(arrays), Activations.of(read_weights(tmp_path / "before.npz"))
    of = network, activations
    both = quantised_forward, used_parameters
    return [backend.compiled(partial(f, *of, bits=bits)) for f in both]


def both_ways(arrays, frames, sparsity, tmp_path, compiled, bits):
    """Mask bytes of the graph and of the oracle on the exported weights; steps in the graph."""
    forward, using = compiled
    parameters = {name: arrays[name] for name in shapes(network_of(arrays))}
    masks = masks_of(parameters, sparsity)
    mask = np.asarray(forward(parameters, masks, frames[None]))[0]
    used = using(parameters, masks)
    np.savez(tmp_path / "after.npz", **arrays | {k: np.asarray(v) for k, v in used.items()})
    exported = quantise_network(read_weights(tmp_path / "after.npz"), "x")
    expected = Oracle(exported).run(exported.input.quantise(frames))
    steps = {
        name: np.asarray(weight_steps(parameters[name], kept, 4 if "lstm" in name else 1, bits)[0])
        for name, kept in masks.items()
    }
    return np.rint(mask * 256).astype(int) - 128, expected.astype(int), exported, steps, masks


def exported_steps(network) -> dict[str, np.ndarray]:
    found = {}
    for layer in network.layers:
        if isinstance(layer, IntegerLSTM):
            found[f"{layer.name}/kernel"] = np.concatenate(layer.kernels).T
            found[f"{layer.name}/recurrent"] = np.concatenate(layer.recurrents).T
        else:
            found[f"{layer.name}/kernel"] = layer.kernel.T
    return found


def check_everything(arrays, frames, sparsity, tmp_path, compiled=None, bits=8) -> int:
    compiled = compiled or compiled_for(arrays, tmp_path, bits)
    both = both_ways(arrays, frames, sparsity, tmp_path, compiled, bits)
    found, expected, exported, steps, masks = both
    difference = np.abs(found - expected)
    assert difference.max() <= 1 and difference.mean() < 1e-3  # of a dense layer's last bit
    weights = exported_steps(exported)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, steps[name], err_msg=name)
        assert not array[masks[name] == 0].any() and array.min() >= -127
    return sum(array.size for array in weights.values())


@pytest.fixture(scope="module")
def lstm_256(tmp_path_factory):
    """The published network's arrays and its graph, which takes longer to compile than to run."""
    arrays = dict(np.load(ROOT / "models" / "lstm_256" / "weights.npz"))
    return arrays, compiled_for(arrays, tmp_path_factory.mktemp("lstm_256"))


@pytest.mark.parametrize("sparsity", [0.0, 0.75])
def test_the_graph_is_the_file_on_real_frames(sparsity, tmp_path, lstm_256):
    """500 frames of real speech and all 966,656 weights of the published network."""
    arrays, compiled = lstm_256
    frames = np.load(GOLDEN)["features"]
    frames = np.concatenate([np.roll(frames, shift, axis=1) for shift in range(10)])
    assert check_everything(arrays, frames, sparsity, tmp_path, compiled) == 966_656


@pytest.mark.parametrize("layers", [((9, 7), (5, 3)), ((40,), ())])
@pytest.mark.parametrize("clip", [0.0, 1.5])
def test_the_graph_is_the_file_for_odd_sizes(layers, clip, tmp_path):
    arrays = float_weights(*layers, seed=3)
    if clip:
        arrays |= {f"lstm_{i}/cell_clip": np.float32(clip) for i in range(len(layers[0]))}
    check_everything(arrays, features(150, 4), 0.5, tmp_path)


def test_an_empty_matrix_and_loud_weights_export_as_they_are(tmp_path):
    arrays = float_weights((6,), (4,), seed=3)
    arrays["lstm_0/kernel"][:, :6] = 0
    arrays["lstm_0/recurrent"] *= 30  # a multiplier above one
    check_everything(arrays, features(60, 4), 0.0, tmp_path)


@pytest.mark.parametrize("bits", [2, 4, 5])
def test_weights_of_fewer_bits_are_those_of_the_file_and_of_numpy(bits, tmp_path):
    arrays = float_weights((9, 7), (5, 3), seed=3)
    check_everything(arrays, features(150, 4), 0.5, tmp_path, bits=bits)
    for name, array in coarsened(arrays, bits).items():
        if not name.endswith(("/kernel", "/recurrent")):
            assert array is arrays[name]
            continue
        gates = 4 if "lstm" in name else 1
        steps, scale = weight_steps(arrays[name], None, gates, bits)
        # A scale that lies in the middle of two of 12 bits may go either way in float32.
        np.testing.assert_allclose(array, np.asarray(steps * scale), rtol=2**-11, err_msg=name)
        for column in np.asarray(steps).T:
            assert len(np.unique(np.abs(column))) <= 2 ** (bits - 1)
    assert coarsened(arrays, 8) is arrays


def test_a_weight_has_the_gradient_of_the_value_that_was_used_for_it():
    random = np.random.default_rng(2)
    parameters = {
        "w": random.standard_normal((6, 8)).astype(np.float32),
        "m": np.float32(random.random((6, 8)) < 0.5),
    }
    upstream = random.standard_normal((6, 8)).astype(np.float32)

    def loss(parameters):
        steps, scale = weight_steps(parameters["w"], parameters["m"], 4)
        return ops.sum(steps * scale * upstream)

    inputs = {name: ops.convert_to_tensor(value) for name, value in parameters.items()}
    _, gradient = backend.value_and_gradient(loss)(inputs)
    np.testing.assert_allclose(gradient["w"], upstream, rtol=1e-5)  # masked weights learn too
    np.testing.assert_allclose(gradient["m"], upstream * parameters["w"], rtol=1e-5)


def test_the_lstm_has_the_gradient_of_the_float_one():
    """On a fine grid both are the same function, so their gradients must agree."""
    random = np.random.default_rng(5)
    units, unit, scale = 24, np.float32(2.0**-12), np.float32(2.0**-8)
    sums = np.rint(random.standard_normal((30, 3, 4 * units)) / unit).astype(np.float32)
    recurrent = np.rint(random.standard_normal((units, 4 * units)) * 0.2 / scale)
    recurrent = recurrent.astype(np.float32)
    weight = random.standard_normal((30, 3, units)).astype(np.float32)

    def integer(given):
        units_of = (np.full(4 * units, unit), np.full(4 * units, scale))
        cell = Cell(-12, 32767)
        hidden = quantised_lstm(given["sums"], given["recurrent"], *units_of, cell)
        return ops.sum(hidden * weight) * 2.0**-7

    def floating(given):
        return ops.sum(lstm(given["sums"] * unit, given["recurrent"] * scale) * weight)

    given = {"sums": ops.convert_to_tensor(sums), "recurrent": ops.convert_to_tensor(recurrent)}
    (value, gradient), (expected, expected_gradient) = (
        backend.value_and_gradient(function)(given) for function in (integer, floating)
    )
    assert float(value) == pytest.approx(float(expected), rel=0.05)
    for name, g in gradient.items():
        found, wanted = np.asarray(g).ravel(), np.asarray(expected_gradient[name]).ravel()
        cosine = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
        assert cosine > 0.995 and np.linalg.norm(found) == pytest.approx(
            np.linalg.norm(wanted), rel=0.05
        )
