"""How a run ends before its last step: nothing gets better, or the loss is no number."""

import json

import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tinyse.errors import InputError, ResumeRefused, TinySEError
from tinyse.network.build import initial_parameters
from tinyse.recipe import Compress, Network, Recipe, Train
from tinyse.training import checkpoint
from tinyse.training.compress import train_compressed
from tinyse.training.logbook import Told
from tinyse.training.loop import train
from tinyse.training.step import State


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


def begun(run, network, **fixed):
    """A folder as a run leaves it that was killed after its first checkpoint."""
    state = State.fresh(initial_parameters(network, 1))
    checkpoint.save(run / "state" / "last.npz", state, checkpoint.Progress(step=1), fixed)
    (run / "run.json").write_text("{}")


STATISTICS = {"mean": np.zeros(128, np.float32), "std": np.ones(128, np.float32)}


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Network(lstm=(12,), dense=()), r"lstm_0/bias has shape \(48,\), not \(32,\)"),
        (Network(lstm=(8, 8), dense=()), r"lstm_1/bias has shape \(32,\), not None"),
    ],
)
def test_a_run_does_not_go_on_with_another_network(tiny_corpus, tmp_path, network, says):
    run = tmp_path / "run"
    begun(run, network, **STATISTICS)
    with pytest.raises(ResumeRefused, match=says):
        train(recipe(), tiny_corpus, run, resume=True, force=True)
    assert (run / "run.json").read_text() == "{}"


def test_a_training_does_not_go_on_from_a_compression_nor_the_other_way(tiny_corpus, tmp_path):
    run, network = tmp_path / "run", recipe().network
    begun(run, network, steering=np.zeros(3))
    with pytest.raises(ResumeRefused, match="is of another kind of run"):
        train(recipe(), tiny_corpus, run, resume=True, force=True)
    begun(run, network, **STATISTICS)
    np.savez(tmp_path / "weights.npz", **float_weights((8,), ()))
    settings = Compress(structure="weight", levels=(0.5,), share_by="table")
    asked = msgspec.structs.replace(recipe(), compress=settings)
    with pytest.raises(ResumeRefused, match="is of another kind of run"):
        train_compressed(asked, tmp_path / "weights.npz", tiny_corpus, run, True, True)


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(tiny_corpus, tmp_path):
    with pytest.raises(TinySEError, match=r"the validation gain is nan at step \d+ \(seed 1\)"):
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
