"""Dead units: what leads nowhere goes, and no byte that the network puts out changes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import features, float_weights, frames
from tests.sparsity.networks import gru_weights
from tests.sparsity.test_shrink import quantised
from tinyse.runtimes.oracle import Oracle
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.calibration import forward
from tinyse.sparsity.choice import array_masks, by_budget, everything, norms_of
from tinyse.sparsity.dead import connected_units, fullest, living_units, without_dead
from tinyse.sparsity.graph import free_spaces
from tinyse.sparsity.groups import (
    apply_masks,
    expand,
    halves,
    live_groups,
    parse_structure,
)
from tinyse.sparsity.shrink import shrink

NETWORKS = {"lstm": float_weights((24, 16), (12,), 20, 16), "gru": gru_weights((24, 16), 20, 16)}


def choice(weights, structure):
    """Groups by magnitude, and nobody but themselves reads units 8 to 15 of the first layer."""
    shares = budgets(weights, structure, 0.7)
    keep = by_budget(weights, structure, norms_of(weights, structure), shares)
    first, second, *_ = free_spaces(weights)
    for name, part in keep.items():
        across = slice(8 // structure.columns, 16 // structure.columns)
        if name.startswith(f"{second}/kernel"):
            part[:, across] = False
        elif name.startswith(f"{first}/recurrent"):
            part[: 8 // structure.rows, across] = part[16 // structure.rows :, across] = False
    return keep


def masked(weights, structure, keep):
    shapes = {name: matrix.shape for name, matrix in halves(weights).items()}
    masks = {name: expand(structure, part, shapes[name]) for name, part in keep.items()}
    return apply_masks(weights, masks)


def lean(sparse, structure):
    """Sparse weights without dead units and what leads there, and the widths of all layers."""
    groups = {name: live_groups(structure, m) for name, m in halves(sparse).items()}
    left = masked(sparse, structure, without_dead(sparse, structure, groups))
    return shrink(left, connected_units(left, structure))


def live(structure, weights):
    return sum(int(live_groups(structure, m).sum()) for m in halves(weights).values())


@pytest.mark.parametrize("text", ["weight", "block:4x4", "block:2x8"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_same_network_without_them(kind, text):
    weights, structure, x = NETWORKS[kind], parse_structure(text), features(500, 4, 20)
    sparse = masked(weights, structure, choice(weights, structure))
    small, widths = lean(sparse, structure)
    first = next(iter(widths))
    assert widths[first] <= 16
    assert np.abs(forward(sparse, x).output - forward(small, x).output).max() < 1e-5
    # Blocks lie on the grid that they lay on, and nothing is left to take.
    assert live(structure, small) < live(structure, sparse)
    assert lean(small, structure)[1] == widths


def test_every_byte_of_the_file_is_that_of_the_sparse_one(tmp_path):
    weights, structure = NETWORKS["lstm"], parse_structure("block:4x4")
    keep = without_dead(weights, structure, choice(weights, structure))
    big = masked(weights, structure, keep)
    small, _ = lean(big, structure)
    assert small["lstm_0/bias"].size < big["lstm_0/bias"].size
    x = frames(500, 5, 20)
    outputs = [Oracle(quantised(each, tmp_path)).run(x) for each in (big, small)]
    assert np.array_equal(*outputs)


@pytest.mark.parametrize("text", ["weight", "block:4x4"])
def test_what_dead_units_had_goes_to_others(text):
    weights, structure = NETWORKS["lstm"], parse_structure(text)
    norms = norms_of(weights, structure)
    for sparsity in (0.5, 0.9, 0.95):

        def choose(asked):
            return by_budget(weights, structure, norms, dict.fromkeys(norms, asked))

        most = sum(int(part.sum()) for part in choose(sparsity).values())
        plain = without_dead(weights, structure, choose(sparsity))
        found = fullest(choose, weights, structure, sparsity)
        counts = [sum(int(part.sum()) for part in keep.values()) for keep in (plain, found)]
        assert max(counts[0], 0.97 * most) <= counts[1] <= most
        again = without_dead(weights, structure, found)
        assert all(np.array_equal(again[name], found[name]) for name in found)


def test_units_that_only_dead_ones_read_are_dead():
    weights = {name: array.copy() for name, array in NETWORKS["lstm"].items()}
    weights["dense_0/kernel"][3] = 0  # nobody but itself and unit 5 reads unit 3 of lstm_1 ..
    weights["lstm_1/recurrent"][3] = 0
    units = weights["lstm_1/recurrent"].shape[0]
    weights["lstm_1/recurrent"][3, [3, 5]] = 1
    weights["dense_0/kernel"][5] = 0  # .. and unit 5 is not read at all
    weights["lstm_1/recurrent"][5] = 0
    assert np.flatnonzero(~living_units(weights)["lstm_1"]).tolist() == [3, 5]
    read = {"lstm_1": np.arange(units) == 5}
    assert living_units(weights, read)["lstm_1"].all()


def test_no_matrix_loses_its_last_group():
    weights, structure = NETWORKS["lstm"], parse_structure("weight")
    keep = everything(weights, structure)
    for name, part in keep.items():  # one weight each, and none of them leads to the next
        part[:] = False
        part[0 if "kernel" in name else 1, 2] = True
    left = without_dead(weights, structure, keep)
    assert {name: int(part.sum()) for name, part in left.items()} == dict.fromkeys(keep, 1)
    masks = array_masks(weights, structure, left)
    assert all(units.any() for units in connected_units(masks, structure).values())


def test_a_dense_network_has_none():
    for weights in NETWORKS.values():
        assert all(units.all() for units in living_units(weights).values())
        structure = parse_structure("block:4x4")
        assert all(units.all() for units in connected_units(weights, structure).values())
