"""TF-MOT's schedules, called by TF-MOT, and what happens without it."""

from __future__ import annotations

import pytest

from tinyse.errors import MissingExtra, TinySEError
from tinyse.sparsity import magnitude
from tinyse.sparsity.magnitude import Schedule, updates


def test_without_tf_mot_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(magnitude, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"tensorflow-model-optimization .*tinyse\[train\]"):
        updates([[]], 10)


def test_polynomial_decay_and_what_follows_it():
    pytest.importorskip("tensorflow_model_optimization")
    growing = {"initial_sparsity": 0.5, "final_sparsity": 0.9, "begin_step": 0, "end_step": 40}
    constant = {"target_sparsity": 0.9, "begin_step": 40, "end_step": 60, "frequency": 10}
    schedules = [
        Schedule("PolynomialDecay", {**growing, "power": 3, "frequency": 10}),
        Schedule("ConstantSparsity", constant),
    ]
    found = updates([schedules], 100)[0]
    assert list(found) == [0, 10, 20, 30, 40, 50, 60]
    for step, sparsity in found.items():
        left = max(1 - step / 40, 0.0)
        assert sparsity == pytest.approx(0.9 - 0.4 * left**3, abs=1e-6)


def test_what_tf_mot_says_is_passed_on():
    pytest.importorskip("tensorflow_model_optimization")
    with pytest.raises(TinySEError, match="target_sparsity must be in range"):
        updates([[Schedule("ConstantSparsity", {"target_sparsity": 1.5, "begin_step": 0})]], 3)
