"""Reordered units: the same bytes out of the file, more energy in the blocks that stay."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import features, float_weights, frames
from tests.sparsity.networks import gru_weights
from tests.sparsity.test_shrink import quantised
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.oracle import Oracle
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.calibration import energies, forward
from tinyse.sparsity.graph import free_spaces, reindex
from tinyse.sparsity.groups import array_of, group_sums, groups_left, halves, parse_structure
from tinyse.sparsity.permute import permute
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytestmark = pytest.mark.slow

WEIGHTS = float_weights((24, 16), (12,), 20, 16)
BLOCKS = ("block:4x4", "block:8x2", "block:3x5", "block:1x8")


def total(weights, structure, sparsity, energy=None):
    """Share of the energy that stays, halves weighed by their size."""
    shares, matrices, found = budgets(weights, structure, sparsity), halves(weights), 0.0
    for name, matrix in matrices.items():
        heard = 1 if energy is None else energy[array_of(name)]
        sums = np.sort(group_sums(structure, matrix.astype(float) ** 2 * heard), axis=None)
        kept = sums[sums.size - groups_left(sums.size, shares[name]) :]
        found += matrix.size * kept.sum() / sums.sum()
    return found / sum(matrix.size for matrix in matrices.values())


def file_of(network: IntegerNetwork):
    return check_bytes(serialise(network))


@pytest.mark.parametrize("text", BLOCKS)
def test_the_file_computes_the_same_bytes(text, tmp_path):
    reordered, orders = permute(WEIGHTS, parse_structure(text), 0.8, steps=20)
    assert any((order != np.arange(len(order))).any() for order in orders.values())
    before, after = quantised(WEIGHTS, tmp_path), quantised(reordered, tmp_path)
    x = frames(600, 2, 20)
    expected = Oracle(before).run(x)
    assert np.array_equal(Oracle(after).run(x), expected)
    tflm = pytest.importorskip("tinyse.runtimes.tflm").TFLM
    pytest.importorskip("tflite_micro")
    assert np.array_equal(tflm(file_of(after)).run(x), expected)


@pytest.mark.parametrize("weights", [WEIGHTS, gru_weights((24, 16), 20, 16)])
def test_the_orders_say_which_unit_stands_where(weights):
    reordered, orders = permute(weights, parse_structure("block:4x4"), 0.8, steps=20)
    again = dict(weights)
    for name, space in free_spaces(weights).items():
        assert sorted(orders[name]) == list(range(space.size))
        again = reindex(again, space, orders[name])
    assert all(np.array_equal(again[key], reordered[key]) for key in weights)
    x = features(80, 3, 20)
    assert np.abs(forward(weights, x).output - forward(reordered, x).output).max() < 1e-5


@pytest.mark.parametrize("text", BLOCKS)
def test_more_energy_stays_and_the_search_adds_to_the_start(text):
    structure = parse_structure(text)
    started, _ = permute(WEIGHTS, structure, 0.8, steps=0)
    searched, _ = permute(WEIGHTS, structure, 0.8, steps=60)
    before, start, found = (total(w, structure, 0.8) for w in (WEIGHTS, started, searched))
    assert before <= start < found


def test_scattered_blocks_are_put_together_again():
    """Weights that do lie in blocks, units shuffled: nearly all of the energy is found again."""
    structure = parse_structure("block:4x4")
    generator = np.random.default_rng(0)
    weights = float_weights((24, 16), (12,), 20, 16)
    for matrix in halves(weights).values():
        live = generator.random(structure.grid(matrix.shape)) < 0.15
        mask = np.kron(live, np.ones((4, 4)))[: matrix.shape[0], : matrix.shape[1]]
        matrix *= np.where(mask, 1, 0.02)
    shuffled = weights
    for space in free_spaces(weights).values():
        shuffled = reindex(shuffled, space, generator.permutation(space.size))
    found, _ = permute(shuffled, structure, 0.8, steps=200)
    best, scattered = (total(w, structure, 0.8) for w in (weights, shuffled))
    assert (total(found, structure, 0.8) - scattered) / (best - scattered) > 0.6


def test_energy_moves_with_the_units():
    structure = parse_structure("block:4x4")
    energy = energies(forward(WEIGHTS, features(200, 1, 20)).inputs)
    values = {}
    for name, told in (("blind", None), ("told", energy)):
        reordered, orders = permute(WEIGHTS, structure, 0.8, steps=60, energy=told)
        moved = dict(energy)
        for space in free_spaces(WEIGHTS).values():
            for axis in space.columns:
                moved[axis.array] = energy[axis.array][orders[space.name]]
        values[name] = total(reordered, structure, 0.8, moved)
    assert values["told"] > values["blind"] > total(WEIGHTS, structure, 0.8, energy)


def test_one_seed_gives_one_order():
    structure = parse_structure("block:4x4")
    first, second = (permute(WEIGHTS, structure, 0.8, steps=20, seed=3)[1] for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("text", ["weight", "unit"])
def test_where_order_does_not_matter_it_stays(text):
    reordered, orders = permute(WEIGHTS, parse_structure(text), 0.5)
    assert all(np.array_equal(reordered[key], WEIGHTS[key]) for key in WEIGHTS)
    assert all(np.array_equal(order, np.arange(len(order))) for order in orders.values())
