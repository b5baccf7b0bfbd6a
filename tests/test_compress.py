"""Offline runs, byte budgets, and what is refused; nothing here needs Keras."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse.audit import all_accounts
from tinyse.cli import main
from tinyse.export import export_model
from tinyse.quant import read_weights
from tinyse.sparsity.groups import halves, parse_structure, total_sparsity
from tinyse.tflite.check import load

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [16, 12]
dense = [8]
"""
LEVELS = (0.25, 0.5, 0.75, 0.85, 0.9, 0.95)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a finished float run in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYSE_DATA", raising=False)
    (tmp_path / "float").mkdir()
    (tmp_path / "float" / "recipe.toml").write_text(RECIPE)
    np.savez(tmp_path / "float" / "weights.npz", **float_weights((16, 12), (8,)))
    return tmp_path


def call(*words, code=0):
    done = CliRunner().invoke(main, ["compress", "float", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "block:3x5"])
def test_a_curve_from_one_command(place, structure):
    asked = ",".join(map(str, LEVELS))
    call("--structure", structure, "--levels", asked, "--method", "offline", "-o", "run")
    record = json.loads((place / "run" / "run.json").read_text())
    groups = sum(
        np.prod(parse_structure(structure).grid(m.shape))
        for m in halves(dict(np.load(place / "float" / "weights.npz"))).values()
    )
    for level, found in zip(LEVELS, record["levels"], strict=True):
        arrays = dict(np.load(place / "run" / "levels" / f"{level:g}" / "weights.npz"))
        sparsity = total_sparsity(parse_structure(structure), arrays)
        assert found["sparsity"] == sparsity
        assert round(sparsity * groups) == int(level * groups + 0.5)
        read_weights(place / "run" / "levels" / f"{level:g}" / "weights.npz")


def test_units_leave_a_smaller_network(place):
    call("--structure", "unit", "--sparsity", 0.5, "--method", "offline", "-o", "run")
    network = read_weights(place / "run" / "weights.npz")
    assert all(layer.units < 16 for layer in network.layers[:-1])
    export_model(place / "run", place / "run")


def test_a_budget_in_bytes_is_kept_and_used(place):
    words = ["--structure", "weight", "--method", "offline", "-o", "run"]
    call(*words, "--budget", 6000, "--account", "bound")
    export_model(place / "run", place / "run")
    found = all_accounts(load(place / "run" / "model.tflite"))["bound"]
    assert 0.97 * 6000 <= found <= 6000


def test_the_run_says_what_it_was_made_from(place):
    call("--structure", "block:4x4", "--sparsity", 0.5, "--method", "offline")
    run = place / "runs" / "tiny-block4x4-0.5-offline"
    assert 'source = "float"' in (run / "recipe.toml").read_text()
    assert 'structure = "block:4x4"' in (run / "recipe.toml").read_text()


REFUSED = {
    "no such run": (("--structure", "unit", "--sparsity", 0.5), "there is no such run or model"),
    "nothing asked": (("--structure", "weight"), "give one of --sparsity"),
    "too much asked": (("--structure", "weight", "--sparsity", 0.5, "--levels", "0.5"), "not "),
    "structure": (("--structure", "blocks", "--sparsity", 0.5), "expected weight, block:"),
    "block": (("--structure", "block:17x1", "--sparsity", 0.5), "lstm_0/kernel/i: a block of 17x1"),
    "sparsity of one": (("--structure", "weight", "--sparsity", 1), "Expected `float` < 1.0"),
    "sparsity": (("--structure", "block:8x8", "--sparsity", 0.99), "largest that can be reached"),
    "empty layer": (("--structure", "unit", "--sparsity", 0.99), "without units; the largest that"),
    "budget": (
        ("--structure", "weight", "--budget", 10, "--account", "zip"),
        "10 bytes (zip) cannot be reached; the smallest is",
    ),
    "account": (("--structure", "weight", "--budget", 10, "--account", "size"), "use fp32, tflite"),
    "no account": (("--structure", "weight", "--budget", 10), "belong together"),
    "levels": (("--structure", "weight", "--levels", "0.5,many"), "compress.levels"),
    "key": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.stps=3"),
        "compress.stps: unknown key, did you mean steps?",
    ),
    "by hand": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", 'compress.budgets={"gru*"=0.5}'),
        "gru*: fits no matrix of the network; the names are lstm_0/kernel/i",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_is_refused_in_one_line(place, case):
    words, says = REFUSED[case]
    if case == "no such run":
        (place / "float").rename(place / "elsewhere")
    before = sorted(place.rglob("*"))
    done = call(*words, "--method", "offline", "-o", "run", code=2)
    assert len(done.stderr.splitlines()) == 1 and says in done.stderr, done.stderr
    assert done.stdout == "" and sorted(place.rglob("*")) == before


def test_a_method_that_trains_needs_data(place):
    done = call("--structure", "weight", "--sparsity", 0.5, "--method", "magnitude", code=2)
    assert "--data: is needed by this method" in done.stderr


def test_calibration_hears_what_training_hears():
    pytest.importorskip("tensorflow")
    from tests.network.gradients import batch
    from tinyse.compress import features_of
    from tinyse.features import Normalisation
    from tinyse.network import features_in_graph as graph
    from tinyse.training.losses import mixed

    statistics = Normalisation(np.full(128, -40, np.float32), np.full(128, 12, np.float32))
    drawn = batch()
    expected = np.asarray(graph.feature_frames(mixed(drawn)[0], statistics.mean, statistics.std))
    found = features_of(statistics, drawn)[:, 1 : 1 + expected.shape[1]]
    # Frames at the ends, which the graph leaves out, count in the levels here.
    assert np.abs(found - expected).mean() < 0.02


def test_a_run_is_not_overwritten(place):
    words = ["--structure", "weight", "--sparsity", 0.5, "--method", "offline", "-o", "run"]
    call(*words)
    assert "holds a run already" in call(*words, code=2).stderr
    call(*words, "--force")
