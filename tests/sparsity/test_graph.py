"""The dependency graph: which axes belong together, and what follows for whoever moves units."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import features, float_weights
from tests.sparsity.networks import gru_weights
from tinyse.errors import InputError
from tinyse.sparsity.calibration import forward
from tinyse.sparsity.graph import Axis, free_spaces, reindex, spaces, unit_masks
from tinyse.sparsity.groups import apply_masks, halves


def test_the_axes_of_a_chain():
    found = spaces(float_weights((9, 7), (5,), 11, 6))
    assert [(name, space.size, space.free) for name, space in found.items()] == [
        ("features", 11, False),
        ("lstm_0", 9, True),
        ("lstm_1", 7, True),
        ("dense_0", 5, True),
        ("mask", 6, False),
    ]
    assert found["lstm_0"].rows == (
        Axis("lstm_0/kernel", 1, 4),
        Axis("lstm_0/recurrent", 1, 4),
        Axis("lstm_0/bias", 0, 4),
    )
    assert found["lstm_0"].columns == (Axis("lstm_0/recurrent", 0), Axis("lstm_1/kernel", 0))
    assert found["dense_0"].axes == (
        Axis("dense_0/kernel", 1),
        Axis("dense_0/bias", 0),
        Axis("mask/kernel", 0),
    )
    assert {axis.array for axis in found["features"].axes} == {
        "features/mean",
        "features/std",
        "lstm_0/kernel",
    }


def test_a_gru_and_its_two_biases():
    found = spaces(gru_weights())
    assert Axis("gru_0/bias", 1, 3) in found["gru_0"].rows
    assert found["gru_0"].columns == (Axis("gru_0/recurrent", 0), Axis("gru_1/kernel", 0))


def test_names_mean_nothing():
    weights = float_weights((9, 7), (5,), 11, 6)
    new = {"lstm_0": "cleaner", "lstm_1": "second", "dense_0": "narrow", "mask": "gains"}
    renamed = {
        "/".join([new.get(key.split("/")[0], key.split("/")[0]), key.split("/")[1]]): array
        for key, array in weights.items()
        if not key.startswith("range")
    }
    assert [space.free for space in spaces(renamed).values()] == [False, True, True, True, False]
    assert spaces(renamed)["cleaner"].columns[1] == Axis("second/kernel", 0)


@pytest.mark.parametrize("weights", [float_weights((9, 7), (5,), 11, 6), gru_weights()])
def test_a_permutation_is_the_same_network(weights):
    x = features(60, 3, 11)
    expected = forward(weights, x).output
    generator = np.random.default_rng(1)
    for name, space in free_spaces(weights).items():
        weights = reindex(weights, space, generator.permutation(space.size))
        assert np.abs(forward(weights, x).output - expected).max() < 1e-5, name


@pytest.mark.parametrize("weights", [float_weights((9, 7), (5,), 11, 6), gru_weights()])
def test_masks_of_units_cover_rows_and_all_that_reads_them(weights):
    name = next(iter(free_spaces(weights)))
    keep = np.ones(9, bool)
    keep[[2, 5]] = False
    masks = unit_masks(weights, {name: keep})
    second = list(free_spaces(weights))[1]
    for half, mask in masks.items():
        gone = np.zeros(mask.shape, bool)
        if half.startswith(name):
            gone[[2, 5], :] = True
        if half.startswith((f"{name}/recurrent", f"{second}/kernel")):
            gone[:, [2, 5]] = True
        assert np.array_equal(mask, ~gone), half
    # Whatever the units themselves compute: nobody hears it any longer.
    pruned = apply_masks(weights, masks)
    loud = {key: np.array(array) for key, array in pruned.items()}
    for half, matrix in halves(loud).items():
        if half.startswith(f"{name}/kernel"):
            matrix[[2, 5], :] = 3.0
    x = features(40, 3, 11)
    assert np.array_equal(forward(pruned, x).output, forward(loud, x).output)


def test_layers_that_do_not_fit_are_refused_by_name():
    weights = float_weights((9, 7), (5,), 11, 6)
    weights["dense_0/kernel"] = weights["dense_0/kernel"][:-1]
    with pytest.raises(InputError, match="dense_0/kernel: axis 0 has 6 places for 1 x 7 units"):
        spaces(weights)
