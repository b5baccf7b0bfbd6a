"""`tinyse train`: what it says around a training, with a trainer in place of the real one."""

from __future__ import annotations

import sys
import types

import pytest
from click.testing import CliRunner

from tinyse.cli import main
from tinyse.errors import InputError

RECORD = {"valid_si_sdr_gain": 1.5, "best_epoch": 0, "frames_per_s": 9000, "waiting_share": 0.25}


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls the command with a trainer that gives a record, or raises."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text('schema = 1\nname = "tiny"\n')

    def command(*words, gives=RECORD):
        def train(recipe, *_, **__):
            assert recipe.compress is None
            if isinstance(gives, InputError):
                raise gives
            return gives

        module = types.ModuleType("tinyse.training.loop")
        module.train = train
        monkeypatch.setitem(sys.modules, "tinyse.training.loop", module)
        return CliRunner().invoke(main, ["train", "recipe.toml", "--data", "corpus", *words])

    return command


def test_a_seed_is_given_once(call):
    done = call("--seed", "1", "--set", "train.seed=2")
    assert done.exit_code == 2
    says = "error: --set: train.seed has an option of its own, which is given too; leave one"
    assert done.stderr.startswith(says) and len(done.stderr.splitlines()) == 1


def test_a_table_that_is_left_out_is_no_second_line_of_an_error(call):
    words = "--set", "compress.levels=[0.5]"
    done = call(*words, gives=InputError("holds a run already", "runs/tiny"))
    assert done.stderr == "error: runs/tiny: holds a run already\n"
    assert "note: [compress] of the recipe" in call(*words).stderr
    assert call().stderr == ""


def test_a_pace_that_was_not_measured_is_not_printed(call):
    assert call().stdout.endswith("(epoch 0), 9,000 frames/s, 25.0% of the time waiting for data\n")
    done = call(gives=RECORD | {"frames_per_s": 0, "waiting_share": 0.0})
    assert done.stdout.endswith("valid SI-SDR gain 1.50 dB (epoch 0)\n")
