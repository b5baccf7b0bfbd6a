"""The example's own commands, as its page shows them, on a corpus of seconds."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import soundfile

from tests.conftest import ROOT
from tinyse.recipe import read_recipe

EXAMPLE = ROOT / "examples" / "own_data"
SHORT = ("network.lstm=[8]", "network.dense=[]", "train.steps_per_epoch=2", "train.epochs=1",
         "train.batch=2", "train.frames=40")  # fmt: skip


def shown() -> list[str]:
    """The lines of the page that begin with tinyse."""
    return re.findall(r"^    (tinyse .*)$", (EXAMPLE / "README.md").read_text("utf-8"), re.M)


def test_the_recipe_is_small():
    recipe = read_recipe(EXAMPLE / "recipe.toml")
    assert recipe.name == "own_data" and recipe.network.lstm == (96,)


@pytest.mark.slow
def test_the_page_leads_from_folders_to_a_measured_file(tmp_path, tiny_corpus, monkeypatch):
    pytest.importorskip("tensorflow")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYSE_DATA", raising=False)
    for kind in ("speech", "noise"):
        for path in tiny_corpus.glob(f"*/{kind}/*.flac"):
            target = tmp_path / kind / path.stem / path.name
            target.parent.mkdir(parents=True)
            shutil.copyfile(path, target)
    shutil.copyfile(EXAMPLE / "recipe.toml", tmp_path / "recipe.toml")
    samples, rate = soundfile.read(next((tmp_path / "noise").rglob("*.flac")))
    soundfile.write(tmp_path / "noisy.wav", samples, rate)
    lines = shown()
    assert [line.split()[1] for line in lines] == [
        "data", "data", "train", "export", "evaluate", "enhance"
    ]  # fmt: skip
    for line in lines:
        words = shlex.split(line)[1:]
        if words[:2] == ["data", "prepare"]:
            words += ["--rows", "4"]
        if words[0] == "train":
            words += [word for key in SHORT for word in ("--set", key)]
        command = [sys.executable, "-m", "tinyse", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "runs" / "own_data" / "model.tflite").stat().st_size > 1000
    clean, rate = soundfile.read(tmp_path / "clean.wav")
    assert rate == 16_000 and len(clean) == len(samples)
