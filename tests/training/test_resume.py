"""A run that is killed in mid-epoch and resumed has the losses of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("tensorflow")

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [16]
dense = [8]
[mixing]
rooms = 2
[train]
optimiser = "OPTIMISER"
batch = 2
frames = 40
steps_per_epoch = 12
epochs = 3
save_every = 5
"""


@pytest.fixture(params=["adam", "muon"])
def command(request, tiny_corpus, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("OPTIMISER", request.param))
    data = ["--data", str(tiny_corpus)]
    return [sys.executable, "-m", "tinyse", "train", str(recipe), *data, "--run"]


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def _log(run):
    keep = ("epoch", "step", "loss", "valid_si_sdr_gain")
    lines = (run / "log.jsonl").read_text().splitlines()
    return [{key: json.loads(line)[key] for key in keep} for line in lines]


def _kill_in_mid_epoch(command, environment, run):
    process = subprocess.Popen([*command, str(run)], env=environment, stderr=subprocess.DEVNULL)
    # The first line is written when the first epoch ends: what follows is the second.
    while process.poll() is None:
        if (run / "log.jsonl").exists() and len(_log(run)) == 1:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(_log(run)) < 3, "the run was over before it was killed"


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_losses(command, environment, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], env=environment, check=True, capture_output=True)
    _kill_in_mid_epoch(command, environment, killed)
    resume = [*command, str(killed), "--resume"]
    subprocess.run(resume, env=environment, check=True, capture_output=True)
    assert _log(killed) == _log(whole) and len(_log(whole)) == 3
    first, second = (json.loads((run / "run.json").read_text()) for run in (whole, killed))
    assert first["valid_si_sdr_gain"] == second["valid_si_sdr_gain"]
    assert (whole / "weights.npz").read_bytes() == (killed / "weights.npz").read_bytes()

    other = subprocess.run(
        [*command, str(killed), "--resume", "--seed", "2"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert other.returncode == 2
    assert "was made with another recipe_sha256, seed" in other.stderr.replace("\n", " ")
