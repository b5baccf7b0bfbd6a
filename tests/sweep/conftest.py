"""A small network and the plans that go over it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import float_weights
from tests.sweep.plans import CASES, GRID, HALVING


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a small network, a recipe and the plans; the working folder."""
    small = tmp_path / "small"
    small.mkdir()
    weights = float_weights(lstm=(8,), dense=(8,), gain=0.8)
    np.savez(small / "weights.npz", **weights)
    recipe = 'name = "small"\n[network]\nlstm = [8]\ndense = [8]\n'
    (small / "recipe.toml").write_text(recipe)
    (tmp_path / "small.toml").write_text(recipe)
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "halving.toml").write_text(HALVING)
    (tmp_path / "cases.toml").write_text(CASES)
    monkeypatch.delenv("TINYSE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
