"""The examples' own commands, as their pages show them, on data of seconds."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import soundfile

from tests.conftest import ROOT
from tests.test_docs_commands import blocks
from tinyse.recipe import read_recipe

EXAMPLE = ROOT / "examples" / "own_data"
KEYWORD = ROOT / "examples" / "keyword"
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


@pytest.mark.slow
def test_a_network_for_another_task_goes_through_the_chain(tmp_path):
    """Keyword spotting: the page's commands, with one take of each word and two epochs."""
    for package in ("tensorflow", "espeakng_loader", "tflite_micro"):
        pytest.importorskip(package)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (commands,) = [
        b.text for b in blocks(KEYWORD / "README.md") if b.language == "sh" and not b.mark
    ]
    said = {}
    for line in commands.splitlines():
        program, *words = shlex.split(line)
        if words[0].endswith("train.py"):
            words += ["1", "2"]
        start = [sys.executable] if program == "python" else [sys.executable, "-m", "tinyse"]
        done = subprocess.run(
            [*start, *words], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[words[0]] = done.stdout
    assert len(re.findall(r"% of 32 words found", said["examples/keyword/score.py"])) == 2
    assert "cortex_m4" in said["bench"] or not shutil.which("qemu-system-arm")
    assert (tmp_path / "keyword_c" / "Makefile").exists()
    assert not read_recipe(tmp_path / "keyword_sparse" / "recipe.toml").network.gru
