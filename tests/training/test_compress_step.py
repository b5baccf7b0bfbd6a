"""A step of compression: what learns before the choice is fixed, and what after."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras import ops

from tests.network.gradients import batch
from tests.network_maker import float_weights
from tinyse.features import Normalisation
from tinyse.network import backend
from tinyse.network.build import forward, shapes
from tinyse.network.quantised import Activations
from tinyse.quant import read_weights
from tinyse.recipe import Compress, Network, Recipe, Train
from tinyse.sparsity.choice import norms_of
from tinyse.sparsity.groups import parse_structure
from tinyse.sparsity.learned import start
from tinyse.training.compress_step import (
    Knobs,
    forward_pass,
    make_compress_step,
    of_what_stays,
)
from tinyse.training.groups_in_graph import THRESHOLD, Selection
from tinyse.training.losses import mask_distance, mixed_task
from tinyse.training.source import Teacher
from tinyse.training.step import State

NETWORK = Network(lstm=(8,), dense=(8,))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Parameters, activations and statistics of a small network, and masks of half of it."""
    path = tmp_path_factory.mktemp("network") / "weights.npz"
    arrays = float_weights((8,), (8,))
    np.savez(path, **arrays)
    floats = read_weights(path)
    parameters = {name: arrays[name] for name in shapes(NETWORK)}
    random = np.random.default_rng(1)
    masks = {
        name: (random.random(x.shape) < 0.5).astype(np.float32)
        for name, x in parameters.items()
        if x.ndim == 2
    }
    return parameters, masks, Activations.of(floats), (floats.mean, floats.std)


UNBOUND = Train(optimiser="adam", clip_norm=1e9)


def stepped(
    parts, train: Train, *made, state=None, teachers=(), penalty=0.0, frozen=False, asked=None
):
    """The state and the loss of one step; `made` goes to `make_compress_step`."""
    parameters, masks, activations, statistics = parts
    recipe = Recipe(name="x", network=NETWORK, train=train, compress=asked or Compress())
    step = make_compress_step(recipe, activations, statistics, *made, frozen=frozen)
    fixed = {"masks": masks, "teachers": teachers}
    knobs = Knobs(1, 1e-3, penalty, threshold_rate=1e-2)
    new, loss, _ = step(tuple(state or State.fresh(parameters)), batch(), fixed, knobs.arrays())
    return State(*new), float(loss)


def test_what_is_out_learns_until_the_choice_is_fixed(parts):
    parameters, masks, *_ = parts
    (open_, loss), (frozen, same) = (
        stepped(parts, Train(optimiser="adam"), frozen=bool(is_frozen)) for is_frozen in (0, 1)
    )
    assert loss == same
    for name, mask in masks.items():
        out = mask == 0
        before, learned, kept = (x[name] for x in (parameters, open_.parameters, frozen.parameters))
        learned, kept = np.asarray(learned), np.asarray(kept)
        assert np.any(learned[out] != before[out])
        np.testing.assert_array_equal(kept[out], before[out])
        np.testing.assert_allclose(kept[~out], learned[~out], atol=2e-6)


def test_a_fixed_choice_gives_muon_the_gradient_of_what_is_in(parts):
    parameters, masks, *_ = parts
    before = State.fresh(parameters)
    for name, x in parameters.items():
        before.first[name][...] = x  # as after many steps without a choice
    before = of_what_stays(before, masks)
    state, _ = stepped(parts, Train(optimiser="muon"), state=before, frozen=True)
    for name, mask in masks.items():
        assert not np.asarray(state.first[name])[mask == 0].any()
        assert np.asarray(before.first[name])[mask == 1].any()


def test_a_penalty_raises_every_threshold_and_touches_no_weight(parts):
    parameters, masks, *_ = parts
    structure, energy = (
        parse_structure("weight"),
        {name: np.ones(len(masks[name])) for name in masks},
    )
    norms = norms_of(parameters, structure, energy)
    starts = {THRESHOLD + name: np.float32(np.log(x)) for name, x in start(norms, {}).items()}
    selection = Selection(parameters, structure, energy)
    found = {}
    for penalty in (0.0, 1e4):
        state = State.fresh(parameters | starts)
        found[penalty] = stepped(parts, UNBOUND, selection, state=state, penalty=penalty)
    (free, loss), (pressed, same) = found.values()
    assert loss == same  # what is told is the task's alone
    for name, before in starts.items():
        assert pressed.parameters[name] > before
    assert any(free.parameters[name] < before for name, before in starts.items())
    for name in parameters:
        np.testing.assert_array_equal(pressed.first[name], free.first[name])


@pytest.mark.parametrize(("seeds", "least_dbfs"), [((5,), -50), ((5, 6), -50), ((5,), -20)])
def test_teachers_add_the_gradient_of_the_distance_to_their_mean(parts, seeds, least_dbfs):
    parameters, masks, activations, (mean, std) = parts
    found = [float_weights((8,), (8,), seed=seed) for seed in seeds]
    teachers = [{name: arrays[name] for name in parameters} for arrays in found]
    alike = Normalisation(mean, std)
    taught_by = [Teacher.of(NETWORK, each, alike, alike) for each in teachers]
    alone, loss = stepped(parts, UNBOUND)
    asked = Compress(teacher_dbfs=least_dbfs)
    taught, same = stepped(parts, UNBOUND, None, taught_by, teachers=teachers, asked=asked)
    louder = np.maximum(least_dbfs - batch()["level_dbfs"], 0)[:2]
    assert (least_dbfs == -50) == (not louder.any())
    recipe = Recipe(name="x", network=NETWORK, compress=Compress())
    frames = mixed_task(recipe.loss, batch(), mean, std).features
    masks_of = forward_pass(recipe, activations)
    heard = ops.clip(frames[:2] + louder[:, None, None] / std, -4, 4)

    def distance(parameters):
        mask = masks_of(parameters, masks, frames)[:2]  # half of the rows stand for all
        followed = ops.mean([forward(NETWORK, each, heard) for each in teachers], axis=0)
        return 100 * mask_distance(mask, followed)

    gradient = backend.compiled(lambda p: backend.value_and_gradient(distance)(p)[1])(parameters)
    assert loss == same
    for name, g in gradient.items():
        added = 10 * (np.asarray(taught.first[name]) - np.asarray(alone.first[name]))
        np.testing.assert_allclose(added, g, atol=1e-4 + 1e-3 * np.abs(g).max())
        assert np.asarray(g).any()
