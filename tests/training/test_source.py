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
