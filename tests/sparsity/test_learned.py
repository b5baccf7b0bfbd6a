"""Thresholds start where they should, the cut is exact, the controller arrives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import float_weights
from tinyse.sparsity.choice import array_masks, everything, norms_of, sparsity_of
from tinyse.sparsity.groups import parse_structure
from tinyse.sparsity.learned import PENALTIES, Controller, cut, in_time, kept, start

WEIGHTS = float_weights((12, 9), (8,), 10, 6)
LEVELS = (0.0, 0.3, 0.5, 0.75, 0.9, 0.95)
STRUCTURES = ("weight", "block:4x4", "block:3x5", "block:1x8", "unit")


def norms(structure):
    return norms_of(WEIGHTS, parse_structure(structure))


@pytest.mark.parametrize("structure", STRUCTURES[:4])
@pytest.mark.parametrize("level", LEVELS)
def test_the_cut_leaves_exactly_as_many_groups_as_asked(structure, level):
    found = norms(structure)
    thresholds = start(found, dict.fromkeys(found, 0.4))
    keep = cut(WEIGHTS, parse_structure(structure), found, thresholds, level)
    total = sum(values.size for values in found.values())
    left = total - int(level * total + 0.5)
    assert sum(int(part.sum()) for part in keep.values()) == left
    assert all(part.any() for part in keep.values()) or left < len(keep)


@pytest.mark.parametrize("structure", STRUCTURES[:4])
def test_the_cut_is_one_constant_added_to_all_log_thresholds(structure):
    found = norms(structure)
    random = np.random.default_rng(1)
    thresholds = {name: float(np.exp(random.normal())) for name in found}
    keep = cut(WEIGHTS, parse_structure(structure), found, thresholds, 0.6)
    over = {name: values / thresholds[name] for name, values in found.items()}
    first = {name: np.unravel_index(np.argmax(x), x.shape) for name, x in over.items()}
    lowest = min(
        over[name][part & ~_only(part.shape, first[name])].min(initial=np.inf)
        for name, part in keep.items()
    )
    highest = max(over[name][~part].max(initial=0) for name, part in keep.items())
    assert highest <= lowest


def _only(shape, place):
    found = np.zeros(shape, bool)
    found[place] = True
    return found


@pytest.mark.parametrize("level", LEVELS[1:5])
def test_units_go_until_the_share_of_weights_is_reached_and_no_further(level):
    structure, found = parse_structure("unit"), norms("unit")
    thresholds = start(found, dict.fromkeys(found, 0.2))
    keep = cut(WEIGHTS, structure, found, thresholds, level)
    assert sparsity_of(WEIGHTS, structure, keep) >= level
    over = {name: values / thresholds[name] for name, values in found.items()}
    gone = [(over[name][i], name, i) for name in keep for i in np.flatnonzero(~keep[name])]
    _, name, last = max(gone)
    keep[name][last] = True
    assert sparsity_of(WEIGHTS, structure, keep) < level


def test_units_leave_as_many_zeros_as_their_sparsity_says():
    structure = parse_structure("unit")
    found = norms("unit")
    keep = cut(WEIGHTS, structure, found, start(found, {}), 0.4)
    masks = array_masks(WEIGHTS, structure, keep)
    zeros = sum((mask == 0).sum() for mask in masks.values())
    assert zeros / sum(mask.size for mask in masks.values()) == pytest.approx(
        sparsity_of(WEIGHTS, structure, keep), abs=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_everything_is_dense(structure):
    structure = parse_structure(structure)
    keep = everything(WEIGHTS, structure)
    assert sparsity_of(WEIGHTS, structure, keep) == 0
    assert all(mask.all() for mask in array_masks(WEIGHTS, structure, keep).values())


@pytest.mark.parametrize("budget", [0.0, 0.5, 0.8])
def test_thresholds_start_at_the_budgets(budget):
    found = norms("weight")
    keep = kept(found, start(found, dict.fromkeys(found, budget)))
    for part in keep.values():
        assert 1 - part.mean() == pytest.approx(max(budget, 0.02), abs=2 / part.size + 1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(("there", "asked"), [(0.9, 0.3), (0.9, 0.7), (0.2, 0.5), (0.5, 0.8)])
def test_thresholds_out_of_time_are_moved_together(structure, there, asked):
    found, structure = norms(structure), parse_structure(structure)
    before = start(found, dict.fromkeys(found, there))
    bounds = (0.0, asked) if asked < there else (asked, 1.0)
    moved = in_time(WEIGHTS, structure, found, before, *bounds)
    sparsity = sparsity_of(WEIGHTS, structure, kept(found, moved))
    largest = len(found) / sum(values.size for values in found.values())  # each half's may stay
    assert sparsity == pytest.approx(asked, abs=0.1 if structure.kind == "unit" else largest)
    factors = [moved[name] / before[name] for name in found]
    assert max(factors) == pytest.approx(min(factors))
    assert (factors[0] > 1) == (asked > there)
    assert in_time(WEIGHTS, structure, found, before, there / 2, 0.99) == before


@pytest.mark.parametrize("structure", STRUCTURES)
def test_where_only_the_largest_of_each_are_left_there_is_nothing_to_move(structure):
    found, structure = norms(structure), parse_structure(structure)
    before = start(found, dict.fromkeys(found, 0.5))
    assert in_time(WEIGHTS, structure, found, before, 0.99999999, 1.0) == before


def test_the_controller_brings_a_sluggish_plant_to_its_target():
    """Thresholds move at a bounded pace, up where the penalty is above what the task bears."""
    controller, sparsity = Controller(0.3, 0.02), 0.0
    for step in range(600):
        target = 0.75 * min(step / 300, 1.0)
        bears = 2.0 * np.exp(4 * sparsity)  # dB for the next weight: it rises as weights go
        drive = np.clip(np.log(controller.penalty / bears), -1, 1)
        sparsity = float(np.clip(sparsity + 0.01 * drive, 0, 1))
        controller.steer(target, sparsity)
    assert sparsity == pytest.approx(0.75, abs=0.01)


def test_the_penalty_stays_within_its_bounds_and_does_not_wind_up():
    controller = Controller(0.3, 0.02)
    for _ in range(5000):
        controller.steer(0.9, 0.0)
    assert controller.penalty == pytest.approx(PENALTIES[1])
    for _ in range(20):
        controller.steer(0.0, 0.9)
    assert controller.penalty < PENALTIES[1] / 100
