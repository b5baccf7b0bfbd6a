"""A compression that ends at any moment and is resumed has the losses of one that did not."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import TinySEError
from tinyse.recipe import Compress, Mixing, Network, Recipe, Train
from tinyse.training.compress import train_compressed
from tinyse.training.levels import levels
from tinyse.training.logbook import Told
from tinyse.training.validation import Validation

pytestmark = pytest.mark.slow

SHORT = Compress(
    structure="weight",
    levels=(0.4, 0.7),
    steps=12,
    update_every=2,
    validate_every=5,
    learning_rate=3e-3,
    distil=0.0,
    share_by="table",
)
STEPS = {"after the freeze": 10, "in the next level": 17, "after its freeze": 22}
CASES = {
    "learned": ({}, {}, ("after the freeze", "in the next level")),
    "units": ({"structure": "unit"}, {}, ("in the next level",)),
    "magnitude with Muon": (
        {"method": "magnitude", "structure": "block:2x2"},
        {"optimiser": "muon"},
        ("after the freeze", "in the next level"),
    ),
    "magnitude in float": ({"method": "magnitude", "int8": False}, {}, ("after its freeze",)),
}


@pytest.fixture
def compressed(tmp_path, tiny_corpus, monkeypatch):
    """Calls the compression of a small network, killed at a step where one is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weights = float_weights((12,), (), gain=0.8)
    weights["features/mean"][:], weights["features/std"][:] = -40, 12
    np.savez(tmp_path / "weights.npz", **weights)

    def call(run, settings, training, killed_at=None, resume=False):
        train = Train(batch=2, frames=16, save_every=2, **training)
        network = Network(lstm=(12,), dense=(), cell_clip=0.0)
        recipe = Recipe(name="tiny", network=network, mixing=Mixing(rooms=2), train=train)
        recipe = msgspec.structs.replace(recipe, compress=settings)

        def tell(told):
            if isinstance(told, Told) and told.step == killed_at:
                raise KeyboardInterrupt

        return train_compressed(
            recipe, tmp_path / "weights.npz", tiny_corpus, run, resume, tell=tell
        )

    return call


def log_of(run):
    keep = ("step", "loss", "valid_si_sdr_gain", "sparsity", "penalty")
    lines = (run / "log.jsonl").read_text().splitlines()
    return [{key: json.loads(line)[key] for key in keep} for line in lines]


def test_the_steps_lie_where_they_say():
    first, second = levels(SHORT)
    before, within, after = STEPS.values()
    saved = 2  # a killed run goes on from a step at most so much earlier
    assert first.freeze < before - saved and before < SHORT.steps
    assert SHORT.steps < within - saved and within - SHORT.steps < second.freeze
    assert second.freeze < after - saved - SHORT.steps


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_resumes_with_the_same_losses(compressed, tmp_path, case):
    changes, training, kills = CASES[case]
    if changes.get("method") == "magnitude":
        pytest.importorskip("tensorflow_model_optimization")
    settings = msgspec.structs.replace(SHORT, **changes)
    whole = tmp_path / "whole"
    record = compressed(whole, settings, training)
    for number, kill in enumerate(kills):
        run = tmp_path / f"killed_{number}"
        with pytest.raises(KeyboardInterrupt):
            compressed(run, settings, training, killed_at=STEPS[kill])
        assert len(log_of(run)) < len(log_of(whole))
        resumed = compressed(run, settings, training, resume=True)
        assert log_of(run) == log_of(whole)
        assert resumed["levels"] == record["levels"]
        for level in ("weights.npz", "levels/0.4/weights.npz", "levels/0.7/weights.npz"):
            assert (run / level).read_bytes() == (whole / level).read_bytes()


def test_a_validation_that_is_no_number_ends_the_run(compressed, tmp_path, monkeypatch):
    monkeypatch.setattr(Validation, "si_sdr_gain", lambda *_: math.nan)
    settings = msgspec.structs.replace(SHORT, levels=(0.4,))
    with pytest.raises(TinySEError, match="the validation gain is nan at step 5; lower compress"):
        compressed(tmp_path / "run", settings, {})
    assert not (tmp_path / "run" / "levels").exists()
