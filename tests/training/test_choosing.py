"""Which groups stay while a run goes on, without training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import ResumeRefused, TinySEError
from tinyse.recipe import Compress
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.choice import norms_of
from tinyse.sparsity.learned import start
from tinyse.training.choosing import Chooser
from tinyse.training.groups_in_graph import THRESHOLD
from tinyse.training.levels import levels

WEIGHTS = {
    name: x for name, x in float_weights((16, 12), (8,)).items() if name.split("/")[1] != "std"
}
PARAMETERS = {
    name: x for name, x in WEIGHTS.items() if name.split("/")[-1] in ("kernel", "recurrent", "bias")
}
ENERGY = {name: np.ones(len(x)) for name, x in PARAMETERS.items() if x.ndim == 2}


def fresh(structure: str, *asked: float, **changes):
    """A chooser that has not shared anything out, and its levels."""
    given = {"structure": structure, "method": "learned", "levels": asked, "steps": 100}
    settings = Compress(**given | changes)
    every = levels(settings)
    return Chooser(settings, every, PARAMETERS, ENERGY), every


def chooser(structure: str, *asked: float, **changes):
    choice, every = fresh(structure, *asked, **changes)
    choice.share_out(every, PARAMETERS)
    return choice, every


def test_a_run_that_ends_short_says_by_how_much():
    choice, (level,) = chooser("block:4x4", 0.75)
    with pytest.raises(TinySEError, match=r"^run: ended 75\.0000% short of a sparsity of 0\.75"):
        choice.refuse_short(level, Path("run"))


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
@pytest.mark.parametrize("asked", [0.5, 0.75, 0.85, 0.9])
def test_the_cut_of_thresholds_is_exact_to_the_group(structure, asked):
    choice, (level,) = chooser(structure, asked)
    parameters = choice.begin(level, dict(PARAMETERS))
    for name in parameters:
        if name.startswith(THRESHOLD):  # wherever training took them
            parameters[name] = np.float32(parameters[name] + math.log(1.4))
    choice.update(level, level.freeze, parameters)
    choice.refuse_short(level, Path("run"))
    groups = sum(part.size for part in choice.keep.values())
    if structure == "unit":
        assert asked <= choice.sparsity() < asked + 0.1
    else:
        assert round(choice.sparsity() * groups) == math.floor(asked * groups + 0.5)
    assert all(part.any() for part in choice.keep.values())
    kept = {name: mask.numpy().mean() for name, mask in choice.masks.items()}
    assert all(share > 0 for share in kept.values())


def test_no_half_is_starved_by_its_threshold():
    choice, (level,) = chooser("weight", 0.9)
    step = 20
    there = start(
        norms_of(PARAMETERS, choice.structure, ENERGY),
        dict.fromkeys(choice.keep, level.target(step)),
    )
    thresholds = {THRESHOLD + name: np.float32(math.log(each)) for name, each in there.items()}
    runaway, other = f"{THRESHOLD}lstm_0/recurrent/f", f"{THRESHOLD}lstm_0/kernel/c"
    thresholds[runaway] = np.float32(10.0)
    held = choice.update(level, step, PARAMETERS | thresholds)
    least = 0.25 * (1 - level.target(step))
    part = choice.keep["lstm_0/recurrent/f"]
    assert part.sum() == math.ceil(least * part.size)
    assert held[runaway] < 10 and held[other] == pytest.approx(thresholds[other])
    assert choice.update(level, step + 1, held) is held


def test_no_layer_is_starved_of_units_by_its_threshold():
    choice, (level,) = chooser("unit", 0.9)
    step = level.ramp
    there = start(norms_of(PARAMETERS, choice.structure, ENERGY), dict.fromkeys(choice.keep, 0.5))
    thresholds = {THRESHOLD + name: np.float32(math.log(each)) for name, each in there.items()}
    choice.update(level, step, PARAMETERS | thresholds | {f"{THRESHOLD}lstm_0": np.float32(10.0)})
    gone = budgets(PARAMETERS, choice.structure, level.target(step))
    sizes = {name: part.size for name, part in choice.keep.items()}
    mean = sum((1 - gone[name]) * size for name, size in sizes.items()) / sum(sizes.values())
    least = {name: math.ceil(0.25 * mean * size) for name, size in sizes.items()}
    assert choice.keep["lstm_0"].sum() == least["lstm_0"] > 1


def test_a_choice_goes_on_among_its_own_groups_and_levels():
    choice, every = chooser("block:4x4", 0.5)
    arrays = {name: np.asarray(value) for name, value in choice.arrays().items()}
    chooser("block:4x4", 0.5)[0].take_up(every, arrays)
    for structure, asked, says in (
        ("block:2x2", (0.5,), "compress.structure: has other groups"),
        ("unit", (0.5,), "compress.structure: has other groups"),
        ("block:4x4", (0.5, 0.75), "compress.levels: are more than were begun"),
    ):
        other, levels_of_other = fresh(structure, *asked)
        with pytest.raises(ResumeRefused, match=says):
            other.take_up(levels_of_other, arrays)


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
def test_parameters_may_come_in_any_order(structure):
    choice, (level,) = chooser(structure, 0.75)
    parameters = choice.begin(level, dict(PARAMETERS))
    choice.update(level, level.freeze, parameters)
    expected = choice.keep
    choice.update(level, level.freeze, dict(sorted(parameters.items())))
    for name, part in expected.items():
        np.testing.assert_array_equal(choice.keep[name], part)


def test_shares_by_hand_stay_where_dead_units_leave_something_over():
    pytest.importorskip("tensorflow_model_optimization")
    by_hand = {"lstm_0/kernel/*": 0.98}
    choice, (level,) = chooser("weight", 0.97, method="magnitude", budgets=by_hand, steps=40)
    choice.update(level, level.freeze, PARAMETERS)
    assert choice.sparsity() == pytest.approx(0.97, abs=1e-3)
    assert {choice.shares()[f"lstm_0/kernel/{gate}"] for gate in "ifco"} == {0.97998}


@pytest.mark.parametrize(("pace", "rises"), [(0.25, False), (-0.25, True)])
def test_the_penalty_is_steered_by_where_thresholds_went_not_by_where_they_are_held(pace, rises):
    choice, (level,) = chooser("weight", 0.75)
    there = start(norms_of(PARAMETERS, choice.structure, ENERGY), dict.fromkeys(choice.keep, 0.75))
    moved = {THRESHOLD + name: np.float32(math.log(x) + pace) for name, x in there.items()}
    before = choice.penalty
    choice.update(level, level.ramp, PARAMETERS | moved)
    assert choice.sparsity() <= 0.75
    assert (choice.penalty > before) == rises
