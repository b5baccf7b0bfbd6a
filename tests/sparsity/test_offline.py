"""Pruning without training: exact counts, a brute-force optimum, and what re-solving is worth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.network_maker import features, float_weights, integer_network
from tests.sparsity.networks import gru_weights
from tests.sparsity.test_shrink import quantised
from tinyse.audit import account_bytes, matrices
from tinyse.errors import InputError
from tinyse.quant import IntegerLSTM
from tinyse.sparsity import resolve
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.calibration import forward, layer_forward
from tinyse.sparsity.groups import (
    choose_groups,
    diagonal_groups,
    group_norms,
    groups_left,
    halves,
    live_groups,
    masks_of,
    parse_structure,
    total_sparsity,
)
from tinyse.sparsity.offline import (
    choose,
    masked_integer,
    prune_integer,
    prune_offline,
    weights_of,
)
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytestmark = pytest.mark.slow

WEIGHTS = float_weights((24, 16), (12,), 20, 16, gain=0.8)
NETWORKS = {"lstm": WEIGHTS, "gru": gru_weights((24, 16), 20, 16, gain=0.5)}
FEATURES = np.stack([features(150, seed, 20) for seed in range(4)])
HELD_OUT = np.stack([features(150, seed, 20) for seed in range(20, 24)])


def dead(structure, weights):
    return {n: int((~live_groups(structure, m)).sum()) for n, m in halves(weights).items()}


@pytest.mark.parametrize("calibration", [None, FEATURES], ids=["plain", "resolved"])
@pytest.mark.parametrize("text", ["weight", "block:4x4", "block:3x5"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_half_has_the_sparsity_of_its_budget(kind, text, calibration):
    weights, structure = NETWORKS[kind], parse_structure(text)
    shares = budgets(weights, structure, 0.7)
    pruned = prune_offline(weights, structure, shares, calibration)
    norms = {name: group_norms(structure, m) for name, m in halves(weights).items()}
    assert dead(structure, pruned) == {
        name: values.size - groups_left(values.size, shares[name]) for name, values in norms.items()
    }
    assert total_sparsity(structure, pruned) == pytest.approx(0.7, abs=1 / 200)
    assert all(pruned[key].dtype == weights[key].dtype for key in weights)
    assert all(np.isfinite(array).all() for array in pruned.values())


def test_halves_without_a_budget_stay_as_they_are():
    structure = parse_structure("weight")
    pruned = prune_offline(WEIGHTS, structure, {"lstm_1/recurrent/f": 0.9})
    for name, matrix in halves(WEIGHTS).items():
        if name != "lstm_1/recurrent/f":
            assert np.array_equal(halves(pruned)[name], matrix), name


def test_the_largest_groups_stay_and_the_diagonal_with_them():
    structure = parse_structure("block:4x4")
    masks = choose(WEIGHTS, structure, dict.fromkeys(halves(WEIGHTS), 0.6))
    for name in ("lstm_0/recurrent/c", "lstm_0/kernel/c"):
        matrix = halves(WEIGHTS)[name]
        norms, keep = group_norms(structure, matrix), live_groups(structure, masks[name])
        along = diagonal_groups(structure, matrix.shape) & ("recurrent" in name)
        assert (keep | ~along).all()
        assert norms[keep & ~along].min() >= norms[~keep].max()


def test_the_diagonal_goes_where_it_would_take_more_than_half():
    norms = 1 - np.eye(6) + np.arange(36).reshape(6, 6) / 100
    kept = {s: choose_groups(parse_structure("weight"), "l/recurrent/i", norms, (6, 6), s)
            for s in (0.5, 0.8)}  # fmt: skip
    assert kept[0.5].diagonal().all() and not kept[0.8].diagonal().any()


def test_energy_takes_away_what_hears_nothing():
    energy = {"lstm_0/kernel": np.where(np.arange(20) < 10, 1e-9, 1.0)}
    masks = choose(WEIGHTS, parse_structure("weight"), {"lstm_0/kernel/o": 0.5}, energy)
    assert not masks["lstm_0/kernel/o"][:, :10].any() and masks["lstm_0/kernel/o"][:, 10:].all()


def test_what_was_zero_before_stays_so_where_nothing_is_asked():
    """The two halves of a gate are solved for together; one of them is sparse already."""
    structure = parse_structure("weight")
    sparse = prune_offline(WEIGHTS, structure, {"lstm_0/kernel/c": 0.5})
    further = prune_offline(sparse, structure, {"lstm_0/recurrent/c": 0.5}, FEATURES)
    assert dead(structure, further)["lstm_0/kernel/c"] == 240
    assert dead(structure, further)["lstm_0/recurrent/c"] == 288
    assert np.array_equal(further["lstm_1/kernel"], sparse["lstm_1/kernel"])


def test_survivors_are_the_least_squares_solution():
    """One dense row at a time, against the normal equations over its survivors."""
    weights = {key: WEIGHTS[key] for key in WEIGHTS if key.startswith(("lstm_0", "mask"))}
    generator = np.random.default_rng(0)
    weights["mask/kernel"] = generator.normal(0, 0.3, (24, 16)).astype(np.float32)
    shares = {"mask/kernel": 0.5}
    pruned = prune_offline(weights, parse_structure("weight"), shares, FEATURES)
    seen = forward(weights, FEATURES)
    x = seen.inputs["mask/kernel"].reshape(-1, 24).astype(np.float64)
    wanted = x @ weights["mask/kernel"] + weights["mask/bias"]
    ridge = resolve.RIDGE * x.var(axis=0).mean()
    kernel, bias = pruned["mask/kernel"].astype(np.float64), pruned["mask/bias"]
    for row in range(16):
        kept = np.flatnonzero(kernel[:, row])
        centred = x[:, kept] - x[:, kept].mean(axis=0)
        a = centred.T @ centred / len(x) + ridge * np.eye(len(kept))
        b = centred.T @ (wanted[:, row] - wanted[:, row].mean()) / len(x)
        solution = np.linalg.solve(a, b + ridge * weights["mask/kernel"][kept, row])
        assert np.allclose(kernel[kept, row], solution, atol=1e-5)
    assert np.allclose((x @ kernel + bias).mean(axis=0), wanted.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("text", ["weight", "block:4x4"])
def test_a_layer_that_hears_nothing_keeps_what_stays_as_it_was(text):
    """Constant inputs say nothing; neither does a layer that is dead, nor one that goes whole."""
    structure = parse_structure(text)
    dead_layer = WEIGHTS | {"dense_0/bias": np.full(12, -100, np.float32)}
    for weights, gone in ((dead_layer, 0.0), (WEIGHTS, 1.0)):
        shares = budgets(weights, structure, 0.5, by_hand={"dense_0/kernel": gone})
        pruned = prune_offline(weights, structure, shares, FEATURES)
        mask = halves(pruned)["mask/kernel"] != 0
        assert np.allclose(pruned["mask/kernel"], weights["mask/kernel"] * mask.T, atol=1e-6)
        assert all(np.isfinite(array).all() for array in pruned.values())


def test_the_removal_that_costs_least_is_found():
    """Against trying every removal of one column of a single row, the others re-solved."""
    generator = np.random.default_rng(3)
    mixing = generator.normal(size=(6, 6))
    x = (generator.normal(size=(400, 6)) @ mixing).astype(np.float32)
    weights = {"mask/kernel": generator.normal(size=(6, 1)).astype(np.float32)}
    bias = ("mask/bias", 0, slice(None))
    read = resolve._Statistics.of(x, x)
    system = resolve._System.of(weights, ("mask/kernel",), read, bias)
    structure = parse_structure("block:1x2")
    everything = np.ones((1, 6), bool)
    costs = resolve._removal_costs(system, system.matrix, everything, structure)["mask/kernel"][0]
    gram = np.cov(x.T, bias=True)
    gram += resolve.RIDGE * np.trace(gram) / 6 * np.eye(6)
    row = weights["mask/kernel"][:, 0].astype(np.float64)
    for block, cost in enumerate(costs):
        rest = [c for c in range(6) if c // 2 != block]
        solution = np.zeros(6)
        solution[rest] = np.linalg.solve(gram[np.ix_(rest, rest)], (gram @ row)[rest])
        change = solution - row
        assert cost == pytest.approx(change @ gram @ change / 2, rel=1e-5)


def test_columns_of_blocks_are_those_counted_by_hand():
    """Edges smaller than the block, two matrices side by side, and groups that are gone."""
    structure = parse_structure("block:2x3")
    spans = resolve._column_blocks(structure, [(4, 5), (4, 4)])
    assert spans.tolist() == [[0, 1, 2], [3, 4, 9], [5, 6, 7], [8, 9, 9]]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("text", ["weight", "block:4x4", "unit"])
def test_resolving_comes_nearer_to_the_network_on_frames_it_has_not_seen(kind, text):
    weights, structure = NETWORKS[kind], parse_structure(text)
    shares = budgets(weights, structure, 0.5)
    expected = forward(weights, HELD_OUT).output
    errors = [
        np.square(forward(prune_offline(weights, structure, shares, c), HELD_OUT).output - expected)
        for c in (None, FEATURES)
    ]
    assert errors[1].mean() < 0.8 * errors[0].mean()


def test_an_integer_network_keeps_exactly_what_is_asked():
    network = integer_network((24, 16), (12,), 20, 16)
    for text, sparsity in itertools.product(("weight", "block:4x4"), (0.5, 0.9)):
        structure = parse_structure(text)
        shares = budgets(weights_of(network), structure, sparsity)
        pruned = prune_integer(network, structure, shares)
        found = dead(structure, weights_of(pruned))
        for name, matrix in halves(weights_of(network)).items():
            groups = int(np.prod(structure.grid(matrix.shape)))
            # Bytes that were zero before may empty a group more, of single weights a few.
            asked = groups - groups_left(groups, shares[name])
            assert asked <= found[name] <= asked + 0.02 * groups
        check_bytes(serialise(pruned))


def test_equal_bytes_are_told_apart_by_energy_then_by_place():
    network = integer_network((24, 16), (12,), 20, 16)
    ones = [
        masked(layer, 5) if isinstance(layer, IntegerLSTM) else layer for layer in network.layers
    ]
    network = type(network)(network.name, tuple(ones), network.normalisation)
    structure, shares = parse_structure("weight"), {"lstm_0/kernel/i": 0.75}
    plain = prune_integer(network, structure, shares).layers[0].kernels[0]
    assert plain.ravel().nonzero()[0].tolist() == list(range(plain.size // 4))
    energy = {"lstm_0/kernel": np.arange(20.0)}
    told = prune_integer(network, structure, shares, energy).layers[0].kernels[0]
    assert told[:, 15:].all() and not told[:, :15].any()


def masked(layer: IntegerLSTM, value: int) -> IntegerLSTM:
    import dataclasses

    kernels = tuple(np.full_like(kernel, value) for kernel in layer.kernels)
    return dataclasses.replace(layer, kernels=kernels)


def test_units_of_an_integer_network():
    network = integer_network((24, 16), (12,), 20, 16)
    structure = parse_structure("unit")
    shares = budgets(weights_of(network), structure, 0.5)
    pruned = prune_integer(network, structure, shares)
    empty = ~pruned.layers[0].kernels[0].any(axis=1)
    assert empty.sum() == 24 - groups_left(24, shares["lstm_0"])
    assert not any(recurrent[:, empty].any() for recurrent in pruned.layers[0].recurrents)
    assert not any(kernel[:, empty].any() for kernel in pruned.layers[1].kernels)


def test_real_units_of_an_integer_network_are_its_own():
    network = integer_network((9, 7), (5,), 11, 6)
    arrays = weights_of(network)
    original = float_weights((9, 7), (5,), 11, 6)
    for key, array in arrays.items():
        step = np.abs(original[key]).max() / 100
        assert array.shape == original[key].shape and np.abs(array - original[key]).max() < step
    untouched = masked_integer(network, {name: m != 99 for name, m in masks_of(arrays).items()})
    assert all(
        np.array_equal(a, b)
        for a, b in zip(untouched.layers[0].kernels, network.layers[0].kernels, strict=True)
    )


def test_a_gru_of_integers(tmp_path):
    weights = NETWORKS["gru"]
    network, structure = quantised(weights, tmp_path), parse_structure("block:4x4")
    found = weights_of(network)
    for key, array in found.items():
        step = np.abs(weights[key]).max() / 60
        assert array.shape == weights[key].shape and np.abs(array - weights[key]).max() < step
    pruned = prune_integer(network, structure, budgets(found, structure, 0.6))
    assert total_sparsity(structure, weights_of(pruned)) == pytest.approx(0.6, abs=1 / 200)
    names = [name for layer in pruned.layers for name, _ in matrices(layer)]
    assert "gru_1/candidate_gate/recurrent" in names
    assert account_bytes(pruned, "dense") == sum(
        weights[key].size * (4 if key.endswith("bias") else 1) for key in found
    )


@pytest.mark.parametrize("calibration", [None, FEATURES], ids=["plain", "resolved"])
def test_bad_input(calibration):
    with pytest.raises(InputError, match="dense_0/kernel: a block of 16x4 is larger"):
        prune_offline(WEIGHTS, parse_structure("block:16x4"), {"dense_0/kernel": 0.5}, calibration)
    with pytest.raises(InputError, match=r"calibration: expected \[S, T, 20\], got \[5, 7\]"):
        prune_offline(WEIGHTS, parse_structure("weight"), {}, np.zeros((5, 7), np.float32))


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_pass_is_that_of_keras(kind):
    keras = pytest.importorskip("keras")
    weights = NETWORKS[kind]
    first = f"{kind}_0"
    layer = (keras.layers.LSTM if kind == "lstm" else keras.layers.GRU)(24, return_sequences=True)
    layer.build(FEATURES.shape)
    layer.set_weights([weights[f"{first}/{part}"] for part in ("kernel", "recurrent", "bias")])
    expected = np.asarray(layer(FEATURES))
    assert np.abs(layer_forward(weights, first, FEATURES).output - expected).max() < 1e-5
