"""The path of a level: its phases, its targets, its rate."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("tensorflow")

from tinyse.recipe import Compress
from tinyse.sparsity.magnitude import updates
from tinyse.training.levels import levels


def test_levels_follow_one_another():
    asked = Compress(levels=(0.5, 0.9), steps=1000, update_every=30, distil_share=0.7)
    first, second = levels(asked)
    assert (first.before, first.sparsity, second.before) == (0.0, 0.5, 0.5)
    assert first.ramp == 510 and first.freeze == 610 and first.distilled == 700
    assert second.target(0) == pytest.approx(0.5) and second.target(510) == 0.9
    targets = [second.target(step) for step in range(1000)]
    assert all(a <= b for a, b in itertools.pairwise(targets))


def test_the_float_network_is_followed_to_the_end():
    (level,) = levels(Compress(levels=(0.5,), steps=1000))
    assert level.distilled == 1000


def test_the_rate_is_flat_over_the_ramp_and_falls_to_its_share():
    (level,) = levels(Compress(steps=1000, learning_rate=1.0, warmup_share=0.01))
    rates = [level.learning_rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[level.ramp] == 1.0
    assert rates[999] == pytest.approx(0.02, abs=1e-3)


def test_sparsity_zero_is_a_level_without_choices():
    (level,) = levels(Compress(levels=(0.0,), steps=100))
    assert not level.selects and level.ramp == level.freeze == 0


def test_a_level_below_the_one_before_starts_from_its_own_sparsity():
    _, second = levels(Compress(levels=(0.9, 0.5)))
    assert second.before == second.target(0) == 0.5


def test_a_ramp_leaves_a_step_for_what_was_chosen():
    (level,) = levels(Compress(steps=200, update_every=20, ramp_share=1.0))
    assert level.ramp == 180 and level.freeze == 199


def test_the_slope_narrows_over_the_ramp():
    (level,) = levels(Compress(steps=1000, slope=(0.3, 0.1)))
    assert level.slope(0) == pytest.approx(0.3)
    assert level.slope(level.ramp) == level.slope(999) == pytest.approx(0.1)


def test_magnitude_asks_tf_mot_and_ends_at_its_sparsity():
    pytest.importorskip("tensorflow_model_optimization")
    (level,) = levels(Compress(steps=200, update_every=10))
    (at_once,) = levels(Compress(steps=200, update_every=10, schedule="ConstantSparsity"))
    found, constant = updates([level.schedules, at_once.schedules], 200)
    assert max(found) <= level.freeze and found[max(found)] == pytest.approx(0.75)
    for step, sparsity in found.items():  # learned is steered along the same path
        assert sparsity == pytest.approx(level.target(step), abs=1e-6)
    assert set(constant.values()) == {0.75}


def test_thresholds_go_as_far_in_any_ramp_but_not_past_the_next_choice():
    (long,) = levels(Compress(steps=10_000, threshold_pace=20.0))
    assert sum(map(long.threshold_rate, range(long.ramp))) == pytest.approx(20)
    (short,) = levels(Compress(steps=100, threshold_pace=20.0, update_every=10))
    assert short.threshold_rate(0) * 10 == pytest.approx(0.25)
    (units,) = levels(Compress(steps=100, structure="unit", update_every=10))
    assert units.threshold_rate(0) * 10 == pytest.approx(0.03)


def test_thresholds_come_to_rest_before_the_cut():
    (level,) = levels(Compress(steps=1000))
    settling = range(level.ramp, level.freeze)
    rates = [level.threshold_rate(step) for step in settling]
    assert rates[0] == level.threshold_rate(0) and rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(rates[0] / len(settling))
