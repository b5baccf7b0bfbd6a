"""A sweep of real trainings on a cluster, one of whose workers is killed in mid-run."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clusters import SAFE, wait_for, workers_at_work

pytest.importorskip("optuna")
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
batch = 2
frames = 40
steps_per_epoch = 40
epochs = 6
save_every = 5
"""
PLAN = """
schema = 1
name = "seeds"
command = "train"
source = "recipe.toml"
evaluate = "mixtures_valid.csv"
[keys]
"train.seed" = [1, 2]
"""


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The table without the seconds that a run took."""
    with (folder / "table.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def log_of(folder: Path, number: int) -> list[tuple]:
    """Step, loss and gain of each validation of a run."""
    path = folder / "runs" / str(number) / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    keys = ("step", "loss", "valid_si_sdr_gain")
    return [tuple(json.loads(line)[key] for key in keys) for line in lines]


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_costs_the_sweep_nothing(cluster, tiny_corpus, tmp_path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "seeds.toml").write_text(PLAN)
    alone, together = tmp_path / "alone", tmp_path / "together"
    command = [sys.executable, "-m", "tinyse", "sweep", "seeds.toml", "--data", str(tiny_corpus)]
    options = {"cwd": tmp_path, "env": os.environ | SAFE, "text": True}

    running = subprocess.Popen(
        [*command, "-o", str(together), "--where", cluster], stderr=subprocess.PIPE, **options
    )
    try:
        wait_for(lambda: running.poll() is not None or all(log_of(together, run) for run in (0, 1)))
        assert running.poll() is None, running.communicate()
        at_work = workers_at_work()
        assert len(at_work) == 2  # a run each
        assert not list(together.glob("runs/*/row.json"))
        os.kill(at_work[0], signal.SIGKILL)
        _, err = running.communicate(timeout=1200)
    finally:
        running.kill()
    assert running.returncode == 0, err

    # A task of Ray has one thread: with more, a mean differs in its last bit.
    options["env"] |= {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "-o", str(alone)], check=True, capture_output=True, **options)
    assert rows_of(together) == rows_of(alone) and len(rows_of(alone)) == 2
    for run in (0, 1):
        assert log_of(together, run) == log_of(alone, run) and len(log_of(alone, run)) == 6
