"""The learning rate's path, and that steps make the loss smaller."""

import itertools

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras import ops

from tests.network.gradients import batch
from tinyse.network.build import initial_parameters
from tinyse.recipe import Network, Recipe, Train
from tinyse.training.muon import orthogonalised
from tinyse.training.step import (
    OPTIMISERS,
    State,
    clipped,
    finite_or_zero,
    learning_rate,
    make_step,
)


def test_the_rate_warms_up_stays_and_falls_to_its_final_share():
    train = Train(steps_per_epoch=100, epochs=10, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(train, step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[400] == 1.0
    assert rates[999] == pytest.approx(0.02, abs=1e-4)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_few_steps_on_one_batch_lower_its_loss(optimiser):
    mean, std = np.full(128, -30, np.float32), np.full(128, 15, np.float32)
    recipe = Recipe(
        name="x", network=Network(lstm=(16,), dense=()), train=Train(optimiser=optimiser)
    )
    step = make_step(recipe, mean, std)
    state = State.fresh(initial_parameters(recipe.network, 1))
    losses = []
    for number in range(1, 31):
        count, rate = np.float32(number), np.float32(3e-3)
        new, loss, norm = step(tuple(state), batch(), np.asarray(count), np.asarray(rate))
        state = State(*new)
        losses.append(float(loss))
        assert float(norm) > 0
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
def test_a_step_keeps_the_order_of_the_parameters(optimiser):
    """The gradient's norm is a sum in that order, and a checkpoint has it."""
    parameters = initial_parameters(Network(lstm=(16,), dense=(8,)), 1)
    state = State.fresh(parameters)
    gradient = {name: ops.ones_like(part) for name, part in parameters.items()}
    new = OPTIMISERS[optimiser](tuple(state), gradient, np.float32(1), np.float32(1e-3))
    assert [list(part) for part in new] == 3 * [list(parameters)]


def test_muon_moves_every_direction_of_a_matrix_alike():
    random = np.random.default_rng(2)
    thin = random.standard_normal((3, 48, 32)) @ random.standard_normal((3, 32, 32))
    values = np.linalg.svd(np.asarray(orthogonalised(thin.astype(np.float32))), compute_uv=False)
    assert values.max() < 1.3
    assert np.median(values) > 0.6


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e30])
def test_a_gradient_without_a_finite_norm_becomes_zero(value):
    gradient = {"a": [1.0, value], "b": [1.0, 1.0, 1.0]}
    tensors = {name: ops.convert_to_tensor(part, "float32") for name, part in gradient.items()}
    found, norm = clipped(tensors, 5.0)
    found = finite_or_zero(found, norm)
    assert not np.isfinite(float(norm))
    assert not any(np.asarray(part).any() for part in found.values())


def test_a_large_gradient_is_brought_down_to_the_bound():
    found, norm = clipped({"a": ops.convert_to_tensor([10.0] * 4, "float32")}, 5.0)
    assert float(norm) == pytest.approx(20) and np.asarray(found["a"]) == pytest.approx(2.5)
