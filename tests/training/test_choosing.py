"""Which groups stay while a run goes on, without training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import TinySEError
from tinyse.recipe import Compress
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


def chooser(structure: str, *asked: float):
    settings = Compress(structure=structure, method="learned", levels=asked, steps=100)
    every = levels(settings)
    choice = Chooser(settings, every, PARAMETERS, ENERGY)
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


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
def test_parameters_may_come_in_any_order(structure):
    choice, (level,) = chooser(structure, 0.75)
    parameters = choice.begin(level, dict(PARAMETERS))
    choice.update(level, level.freeze, parameters)
    expected = choice.keep
    choice.update(level, level.freeze, dict(sorted(parameters.items())))
    for name, part in expected.items():
        np.testing.assert_array_equal(choice.keep[name], part)


@pytest.mark.parametrize(("pace", "rises"), [(0.25, False), (-0.25, True)])
def test_the_penalty_is_steered_by_where_thresholds_went_not_by_where_they_are_held(pace, rises):
    choice, (level,) = chooser("weight", 0.75)
    there = start(norms_of(PARAMETERS, choice.structure, ENERGY), dict.fromkeys(choice.keep, 0.75))
    moved = {THRESHOLD + name: np.float32(math.log(x) + pace) for name, x in there.items()}
    before = choice.penalty
    choice.update(level, level.ramp, PARAMETERS | moved)
    assert choice.sparsity() <= 0.75
    assert (choice.penalty > before) == rises
