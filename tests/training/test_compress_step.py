"""A step of compression: what learns before the choice is fixed, and what after."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network.gradients import batch
from tests.network_maker import float_weights
from tinyse.network.build import shapes
from tinyse.network.quantised import Activations
from tinyse.quant import read_weights
from tinyse.recipe import Compress, Network, Recipe, Train
from tinyse.training.compress_step import Knobs, make_compress_step
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


def stepped(parts, frozen: bool, optimiser: str):
    parameters, masks, activations, statistics = parts
    recipe = Recipe(
        name="x", network=NETWORK, train=Train(optimiser=optimiser), compress=Compress()
    )
    step = make_compress_step(recipe, activations, statistics, frozen=frozen)
    fixed = {"masks": masks, "teacher": parameters}
    state = tuple(State.fresh(parameters))
    new, loss, _ = step(state, batch(), fixed, Knobs(1, 1e-3).arrays())
    return State(*new), float(loss)


def test_what_is_out_learns_until_the_choice_is_fixed(parts):
    parameters, masks, *_ = parts
    (open_, loss), (frozen, same) = (stepped(parts, is_frozen, "adam") for is_frozen in (0, 1))
    assert loss == same
    for name, mask in masks.items():
        out = mask == 0
        before, learned, kept = (x[name] for x in (parameters, open_.parameters, frozen.parameters))
        learned, kept = np.asarray(learned), np.asarray(kept)
        assert np.any(learned[out] != before[out])
        np.testing.assert_array_equal(kept[out], before[out])
        np.testing.assert_allclose(kept[~out], learned[~out], atol=2e-6)


def test_a_fixed_choice_gives_muon_the_gradient_of_what_is_in(parts):
    masks = parts[1]
    state, _ = stepped(parts, True, "muon")
    for name, mask in masks.items():
        assert not np.asarray(state.first[name])[mask == 0].any()
