"""How a run ends before its last step: nothing gets better, or the loss is no number."""

import json

import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tinyse.errors import InputError, TinySEError
from tinyse.recipe import Network, Recipe, Train
from tinyse.training import checkpoint
from tinyse.training.logbook import Told
from tinyse.training.loop import train


def recipe(**changes) -> Recipe:
    settings = {"batch": 2, "frames": 20, "steps_per_epoch": 3, "epochs": 6} | changes
    return Recipe(name="tiny", network=Network(lstm=(8,), dense=()), train=Train(**settings))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_that_gets_no_better_stops_after_its_patience(tiny_corpus, tmp_path):
    # A rate below the last bit of every parameter: each epoch is as good as the first.
    record = train(recipe(learning_rate=1e-30, patience=2), tiny_corpus, tmp_path / "run")
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert len(lines) == 3 and record["steps"] == 9 and record["best_epoch"] == 0
    assert (tmp_path / "run" / "weights.npz").exists()


@pytest.mark.slow
def test_a_new_run_in_the_place_of_another_does_not_go_on_from_it(tiny_corpus, tmp_path):
    run = tmp_path / "run"
    train(recipe(epochs=1), tiny_corpus, run)
    (run / "levels" / "0.5").mkdir(parents=True)
    (run / "model.tflite").touch()

    def killed(told):
        if isinstance(told, Told):  # at the first step
            raise KeyboardInterrupt

    other = recipe(epochs=1, seed=2)
    with pytest.raises(KeyboardInterrupt):
        train(other, tiny_corpus, run, force=True, tell=killed)
    gone = {"state", "levels", "weights.npz", "model.tflite"}
    assert not gone & {path.name for path in run.iterdir()}
    assert train(other, tiny_corpus, run, resume=True)["steps"] == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, damage):
    path = tmp_path / "last.npz"
    path.write_bytes(damage)
    with pytest.raises(InputError, match="is no checkpoint"):
        checkpoint.load(path)
    np.savez(path, **{"progress/unknown": 1})
    with pytest.raises(InputError, match="is no checkpoint"):
        checkpoint.load(path)


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(tiny_corpus, tmp_path):
    with pytest.raises(TinySEError, match=r"the loss is nan at step \d+ \(seed 1\)"):
        train(recipe(learning_rate=1e38, warmup_steps=0), tiny_corpus, tmp_path / "run")
    assert not (tmp_path / "run" / "weights.npz").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 1


@pytest.mark.slow
def test_a_gru_trains_and_is_exported_as_steps(tiny_corpus, tmp_path):
    from tinyse.export import export_model
    from tinyse.runtimes import open_runtime

    made = msgspec.structs.replace(recipe(epochs=1), network=Network(lstm=(), gru=(8,), dense=()))
    assert train(made, tiny_corpus, tmp_path / "run")["steps"] == 3
    file = export_model(tmp_path / "run", tmp_path / "run", "step16x8")
    assert open_runtime("oracle", file).info.exact
