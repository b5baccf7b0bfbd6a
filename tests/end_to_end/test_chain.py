"""The main job through the command line: a corpus in, a trained, exported, measured file out."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("tensorflow")
pytest.importorskip("tflite_micro")

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [24, 16]
dense = [20]
[mixing]
rooms = 2
[train]
batch = 4
frames = 60
steps_per_epoch = 20
epochs = 2
learning_rate = 3e-3
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def tinyse(place):
    environment = os.environ | {"XDG_CACHE_HOME": str(place / "cache")}

    def run(*arguments, code=0) -> str:
        command = [sys.executable, "-m", "tinyse", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def run(tinyse, place, tiny_corpus):
    """A trained run with its exported file."""
    record = json.loads(tinyse("train", "recipe.toml", "--data", tiny_corpus, "--json"))
    assert record["steps"] == 40 and record["frames_per_s"] > 0
    assert 0 <= record["waiting_share"] <= 1
    tinyse("export", "runs/tiny")
    return place / "runs" / "tiny"


def test_a_run_holds_everything_that_its_format_names(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {"recipe.toml", "run.json", "log.jsonl", "events", "state", "weights.npz"}
    assert {path.name for path in (run / "state").iterdir()} == {"last.npz", "best.npz"}
    assert any((run / "events").iterdir())


def test_the_same_run_exports_to_the_same_bytes(tinyse, run, place):
    tinyse("export", run, "-o", place / "again")
    for name in ("model.tflite", "manifest.json"):
        assert (place / "again" / name).read_bytes() == (run / name).read_bytes()


def test_the_file_is_measured_against_its_float_network(tinyse, run, tiny_corpus):
    listed = tiny_corpus / "mixtures_test.csv"
    # One process: for five rows a second one would only import TensorFlow once more.
    words = ("--list", listed, "--workers", 1, "--json")
    result = json.loads(tinyse("evaluate", run, *words, "--against", "float"))
    assert result["runtime"] == "tflm" and result["list"]["rows"] == 5
    assert abs(result["against"]["sdr_loss"]) < 0.5
    same = json.loads(tinyse("evaluate", run / "model.tflite", *words, "--runtime", "oracle"))
    assert same["quality"]["sdr_out"] == result["quality"]["sdr_out"]


def test_a_file_and_a_folder_are_enhanced_alike(tinyse, run, tiny_corpus, place):
    noisy = next((tiny_corpus / "test" / "noise").iterdir())
    tinyse("enhance", noisy, "-o", place / "one.wav", "--model", run)
    tinyse("enhance", noisy.parent, "-o", place / "many", "--model", run)
    one, rate = soundfile.read(place / "one.wav")
    many, _ = soundfile.read(place / "many" / noisy.name)
    assert rate == 16_000 and len(one) == len(soundfile.read(noisy)[0])
    np.testing.assert_array_equal(one, many)


def test_a_published_run_passes_its_check_until_a_figure_moves(tinyse, run, place, tiny_corpus):
    pytest.importorskip("espeakng_loader")
    folder = place / "published"
    tinyse("publish", run, "-o", folder, "--list", tiny_corpus / "mixtures_test.csv")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "golden.npz",
        "log.jsonl",
        "manifest.json",
        "metrics.json",
        "model.tflite",
        "recipe.toml",
        "run.json",
        "weights.npz",
    }
    tinyse("check", folder, "--data", tiny_corpus)
    tinyse("card", folder, "--check")
    metrics["check"]["sdr"]["embedded"]["sdr_out"] += 0.5
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "FAILED" in tinyse("check", folder, "--data", tiny_corpus, code=1)
    tinyse("check", "nobody", code=2)


def test_bench_alternates_the_runtimes_that_are_there(tinyse, run, place):
    result = json.loads(tinyse("bench", run, "-o", "bench.json", "--json"))
    assert json.loads((place / "bench.json").read_text()) == result
    rows = result["models"][0]["runtimes"]
    names = [row["runtime"] for row in rows]
    # A compiler brings the native rows, which not every machine has.
    assert [name for name in names if not name.startswith("native")] == [
        "tflm", "litert", "litert_step8", "oracle",
    ]  # fmt: skip
    assert rows[0]["against_first"] == 1 and rows[0]["arena_bytes"] > 1000
    tinyse("bench", run, "-o", "bench.json", code=2)
