"""Networks that a compression run reads: a teacher hears features as it was trained on them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import InputError
from tinyse.features import stft
from tinyse.network.build import forward
from tinyse.training.source import Source


def written(folder, name, mean, units, std=12):
    weights = float_weights((units,), (8,), gain=0.8)
    weights["features/mean"][:], weights["features/std"][:] = mean, std
    path = folder / f"{name}.npz"
    np.savez(path, **weights)
    return path


def test_a_teacher_hears_the_features_it_was_trained_on(tmp_path):
    source = Source.read(written(tmp_path, "source", -40, 16))
    teacher = source.taught_by(written(tmp_path, "wider", -34, 24, std=15))
    assert teacher.network.lstm == (24,) and source.network.lstm == (16,)
    own = Source.read(tmp_path / "wider.npz").normalisation
    sound = np.random.default_rng(2).normal(0, 0.03, 256 * 40)
    heard, wanted = (x.features(stft(sound))[None] for x in (source.normalisation, own))
    assert np.abs(heard - wanted).max() > 0.4 and np.abs(heard).max() < 4
    told = np.asarray(teacher.mask(teacher.parameters, heard))
    alone = np.asarray(forward(teacher.network, teacher.parameters, wanted))
    np.testing.assert_allclose(told, alone, atol=1e-5)


def test_a_network_that_teaches_itself_hears_what_it_hears(tmp_path):
    path = written(tmp_path, "source", -40, 16)
    teacher = Source.read(path).taught_by(path)
    assert not teacher.offset.any() and (teacher.scale == 1).all()


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
