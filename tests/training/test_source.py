"""Networks that a compression run reads: a teacher must hear the features that it teaches."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import InputError
from tinyse.training.source import Source


def written(folder, name, mean, units):
    weights = float_weights((units,), (8,), gain=0.8)
    weights["features/mean"][:], weights["features/std"][:] = mean, 12
    path = folder / f"{name}.npz"
    np.savez(path, **weights)
    return path


def test_a_teacher_hears_the_same_features(tmp_path):
    source = Source.read(written(tmp_path, "source", -40, 16))
    wider = source.taught_by(written(tmp_path, "wider", -40, 24))
    assert wider.network.lstm == (24,) and source.network.lstm == (16,)
    with pytest.raises(InputError, match="other statistics of the features"):
        source.taught_by(written(tmp_path, "other", -30, 16))


@pytest.mark.parametrize("order", [("gru_0", "lstm_0"), ("lstm_0", "dense_0", "gru_0")])
def test_layers_in_an_order_that_no_recipe_has_are_refused(tmp_path, order):
    """An imported network runs in the order of its file; training would run another one."""
    arrays = float_weights((128,), (128,), gru=(128,))
    found = {}
    for layer in (*order, "mask"):
        found |= {key: x for key, x in arrays.items() if layer in key.split("/")[:2]}
    rest = {key: x for key, x in arrays.items() if key.startswith("features/")}
    np.savez(tmp_path / "weights.npz", **found, **rest)
    with pytest.raises(InputError, match=f"got {', '.join(order)}, mask; use --method offline"):
        Source.read(tmp_path / "weights.npz")
