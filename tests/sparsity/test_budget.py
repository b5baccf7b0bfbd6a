"""Budgets: exact to the group, never starving a half, and what cannot be reached is named."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.network_maker import features, float_weights, integer_network
from tests.sparsity.networks import gru_weights
from tinyse.errors import InputError
from tinyse.sparsity.budget import (
    FLOOR,
    Curve,
    budgets,
    fit_curve,
    largest_sparsity,
    scan,
    sparsity_for_bytes,
    weights_left,
)
from tinyse.sparsity.calibration import energies, forward
from tinyse.sparsity.graph import free_spaces
from tinyse.sparsity.groups import (
    apply_masks,
    array_of,
    group_norms,
    groups_left,
    halves,
    parse_structure,
    total_sparsity,
)
from tinyse.sparsity.offline import prune_integer, prune_offline, weights_of

WEIGHTS = float_weights((24, 16), (12,), 20, 16)
ENERGY = energies(forward(WEIGHTS, features(100, 0, 20)).inputs)
CURVES = {name: Curve(0.01 * (1 + i % 5), 2 + i % 7) for i, name in enumerate(halves(WEIGHTS))}
SPARSITIES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.97)
WAYS = {"table": {}, "energy": {"energy": ENERGY}, "curves": {"curves": CURVES}}


def counted(weights, structure, shares):
    """(groups, groups that stay) of every half."""
    sizes = {n: math.prod(structure.grid(m.shape)) for n, m in halves(weights).items()}
    return sizes, {name: groups_left(size, shares[name]) for name, size in sizes.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", ["weight", "block:4x4", "block:3x5"])
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_the_total_is_exact_to_the_group(text, sparsity, way):
    structure = parse_structure(text)
    sparsity = min(sparsity, largest_sparsity(WEIGHTS, structure))
    shares = budgets(WEIGHTS, structure, sparsity, **WAYS[way])
    sizes, left = counted(WEIGHTS, structure, shares)
    assert sum(left.values()) == groups_left(sum(sizes.values()), sparsity)
    assert all(1 <= left[name] <= size for name, size in sizes.items())
    mean = sum(left.values()) / sum(sizes.values())
    floor = FLOOR * mean
    assert all(left[name] >= math.floor(floor * size) for name, size in sizes.items())


@given(
    st.floats(0, 0.96),
    st.lists(st.integers(4, 12), min_size=1, max_size=3),
    st.sampled_from(["weight", "block:2x2", "block:4x1"]),
)
@settings(max_examples=30, deadline=None)
def test_the_total_is_exact_for_any_network(sparsity, units, text):
    weights = float_weights(tuple(units), (), 9, 8)
    structure = parse_structure(text)
    shares = budgets(weights, structure, min(sparsity, largest_sparsity(weights, structure)))
    sizes, left = counted(weights, structure, shares)
    asked = min(sparsity, largest_sparsity(weights, structure))
    assert sum(left.values()) == groups_left(sum(sizes.values()), asked)


def test_forget_gates_give_most_and_dense_layers_least():
    shares = budgets(float_weights(), parse_structure("block:4x4"), 0.9)
    i, f, c, o = (shares[f"lstm_0/recurrent/{gate}"] for gate in "ifco")
    assert f > i > c > o > shares["dense_0/kernel"] > 0.5
    assert shares["dense_0/kernel"] == pytest.approx(shares["mask/kernel"], abs=0.01)


def test_energy_ranks_groups_by_what_they_add_to_the_sums():
    """Columns that hear nothing go first, whatever their weights are."""
    energy = {key: np.ones(len(value)) for key, value in ENERGY.items()}
    energy["lstm_0/kernel"] = np.where(np.arange(20) < 10, 1.0, 1e-6)
    quiet = budgets(WEIGHTS, parse_structure("weight"), 0.5, energy=energy)
    loud = budgets(WEIGHTS, parse_structure("weight"), 0.5, energy=dict.fromkeys(energy, 1.0))
    assert all(quiet[f"lstm_0/kernel/{g}"] > loud[f"lstm_0/kernel/{g}"] + 0.1 for g in "co")


def test_curves_make_the_next_group_cost_the_same():
    structure = parse_structure("weight")
    shares = budgets(WEIGHTS, structure, 0.6, curves=CURVES, floor=0.0)
    sizes, _ = counted(WEIGHTS, structure, shares)
    slopes = [
        CURVES[name].a * CURVES[name].b * math.exp(CURVES[name].b * share) / sizes[name]
        for name, share in shares.items()
        if 0.01 < share < 0.99
    ]
    assert len(slopes) > 5 and max(slopes) / min(slopes) < 1.2


def test_a_curve_is_found_again():
    levels = np.array([0.5, 0.75, 0.9])
    found = fit_curve(levels, 0.02 * np.expm1(4.5 * levels))
    assert found.a == pytest.approx(0.02, rel=0.1) and found.b == pytest.approx(4.5, rel=0.03)
    free = fit_curve(levels, np.array([-0.01, 0.0, -0.03]))
    assert 0 < free.a * math.expm1(free.b * 0.9) < 1e-3


def test_a_scan_prunes_one_half_at_a_time():
    structure = parse_structure("weight")
    seen = []

    def loss(weights):
        changed = [n for n, m in halves(weights).items() if (m == 0).any()]
        seen.append((changed, total_sparsity(structure, weights)))
        # The forget gates cost nothing, all others something.
        return 0.0 if changed[0].endswith("/f") else 0.1

    curves = scan(WEIGHTS, structure, prune_offline, loss, (0.5, 0.9))
    assert set(curves) == set(halves(WEIGHTS)) and len(seen) == 2 * len(curves)
    assert all(len(changed) == 1 for changed, _ in seen)
    shares = budgets(WEIGHTS, structure, 0.6, curves=curves)
    assert min(shares["lstm_0/kernel/f"], shares["lstm_1/recurrent/f"]) > 0.8


def test_by_hand_and_the_others_share_the_rest():
    structure = parse_structure("weight")
    hand = {"lstm_*/recurrent/f": 0.97, "mask/kernel": 0.0, "lstm_1/recurrent/f": 0.5}
    shares = budgets(WEIGHTS, structure, 0.8, by_hand=hand)
    assert shares["lstm_0/recurrent/f"] == pytest.approx(0.97, abs=0.002)
    assert shares["mask/kernel"] == 0 and shares["lstm_1/recurrent/f"] == 0.5
    sizes, left = counted(WEIGHTS, structure, shares)
    assert sum(left.values()) == groups_left(sum(sizes.values()), 0.8)
    every = budgets(WEIGHTS, structure, 0.8, by_hand={"*": 0.5})
    assert set(every.values()) == {0.5}
    with pytest.raises(InputError, match="lstm_9: fits no matrix"):
        budgets(WEIGHTS, structure, 0.8, by_hand={"lstm_9": 0.5})
    with pytest.raises(InputError, match="mask/kernel: expected 0 <= sparsity <= 1, got 2"):
        budgets(WEIGHTS, structure, 0.8, by_hand={"mask/kernel": 2})
    with pytest.raises(InputError, match="the smallest that can be reached is"):
        budgets(WEIGHTS, structure, 0.1, by_hand={"lstm_*": 0.9})


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, math.nan])
def test_a_sparsity_that_is_none_is_refused(sparsity):
    with pytest.raises(InputError, match="expected 0 <= sparsity < 1"):
        budgets(WEIGHTS, parse_structure("weight"), sparsity)


@pytest.mark.parametrize("text", ["block:4x4", "unit"])
def test_what_cannot_be_reached_names_what_can(text):
    structure = parse_structure(text)
    with pytest.raises(InputError, match="the largest that can be reached is") as refused:
        budgets(WEIGHTS, structure, 0.9999)
    largest = float(re.search(r"reached is ([\d.]+)", str(refused.value))[1])
    assert largest == pytest.approx(largest_sparsity(WEIGHTS, structure), abs=1e-6)
    budgets(WEIGHTS, structure, math.floor(largest * 1e5) / 1e5)


def test_a_block_larger_than_a_matrix_is_refused():
    with pytest.raises(InputError, match="dense_0/kernel: a block of 16x1 is larger"):
        budgets(WEIGHTS, parse_structure("block:16x1"), 0.5)


def test_units_by_hand():
    unit = parse_structure("unit")
    shares = budgets(WEIGHTS, unit, 0.6, by_hand={"lstm_1": 0.25, "dense_0": 0.0})
    assert shares["lstm_1"] == 0.25 and shares["dense_0"] == 0 and shares["lstm_0"] > 0.5
    every = budgets(WEIGHTS, unit, 0.3, by_hand={"*": 0.5})
    assert set(every.values()) == {0.5}
    less = budgets(WEIGHTS, unit, 0.9, by_hand={"*": 0.25})
    assert set(less.values()) == {0.25}
    for hand in ({"lstm_0": 1.0}, {"*": 1.0}):
        with pytest.raises(InputError, match="would leave a layer without units"):
            budgets(WEIGHTS, unit, 0.5, by_hand=hand)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("weights", [WEIGHTS, gru_weights((24, 16), 20, 16)])
def test_units_leave_no_more_weights_than_asked_and_less_than_one_unit_less(weights, sparsity):
    shares = budgets(weights, parse_structure("unit"), sparsity)
    sizes = {name: space.size for name, space in free_spaces(weights).items()}
    kept = {name: groups_left(sizes[name], share) for name, share in shares.items()}
    total = sum(m.size for m in halves(weights).values())
    asked = (1 - sparsity) * total
    assert weights_left(weights, kept) <= asked
    for name in shares:
        if kept[name] < sizes[name]:
            assert weights_left(weights, kept | {name: kept[name] + 1}) > asked


def test_weights_left_counts_what_is_there():
    assert weights_left(WEIGHTS, {}) == sum(m.size for m in halves(WEIGHTS).values())
    smaller = float_weights((10, 16), (3,), 20, 16)
    left = weights_left(WEIGHTS, {"lstm_0": 10, "dense_0": 3})
    assert left == sum(m.size for m in halves(smaller).values())


def test_the_least_sparsity_for_a_number_of_bytes():
    structure = parse_structure("weight")

    def bytes_at(sparsity):
        shares = budgets(WEIGHTS, structure, sparsity)
        return sum(
            np.count_nonzero(m) for m in halves(prune_offline(WEIGHTS, structure, shares)).values()
        )

    everything = bytes_at(0.0)
    assert sparsity_for_bytes(everything, bytes_at, "nonzero", 0.99) == 0
    found = sparsity_for_bytes(everything // 4, bytes_at, "nonzero", 0.99)
    assert bytes_at(found) <= everything // 4 and found == pytest.approx(0.75, abs=1e-3)
    with pytest.raises(InputError, match=r"budget: 10 bytes \(nonzero\) cannot .* smallest is \d+"):
        sparsity_for_bytes(10, bytes_at, "nonzero", 0.99)


def test_a_budget_of_bytes_by_an_account_of_the_file():
    from tinyse.audit import account_bytes

    network, structure = integer_network((24, 16), (12,), 20, 16), parse_structure("block:4x4")
    weights = weights_of(network)

    def bytes_at(sparsity):
        pruned = prune_integer(network, structure, budgets(weights, structure, sparsity))
        return account_bytes(pruned, "npu_weights")

    largest = largest_sparsity(weights, structure)
    limit = bytes_at(0.0) // 2
    found = sparsity_for_bytes(limit, bytes_at, "npu_weights", largest)
    assert bytes_at(found) <= limit < bytes_at(found - 0.02)


def test_saliency_is_the_norm_of_what_comes_in():
    structure = parse_structure("block:4x4")
    name = "lstm_1/kernel/o"
    matrix = halves(WEIGHTS)[name]
    heard = group_norms(structure, matrix * np.sqrt(ENERGY[array_of(name)]))
    x = forward(WEIGHTS, features(100, 0, 20)).inputs["lstm_1/kernel"].reshape(-1, 24)
    block = matrix[4:8, 8:12]
    power = np.mean((x[:, 8:12] ** 2) @ (block.T**2), axis=0).sum()
    assert heard[1, 2] == pytest.approx(np.sqrt(power / 16), rel=1e-5)
    assert apply_masks(WEIGHTS, {})["mask/bias"] is not WEIGHTS["mask/bias"]
