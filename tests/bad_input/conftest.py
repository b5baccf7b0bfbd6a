"""A folder with a good one of everything, and the proof that a refusal changed nothing in it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from tests.network_maker import float_weights
from tinyse.cli import main
from tinyse.export import export_model

RECIPE = """\
schema = 1
name = "small"
[network]
lstm = [8]
dense = []
[train]
steps_per_epoch = 1
epochs = 1
"""


@pytest.fixture(scope="session")
def good_folder(tmp_path_factory, tiny_corpus) -> Path:
    """corpus/ run/ recipe.toml noisy.wav, all of them fine."""
    folder = tmp_path_factory.mktemp("good")
    shutil.copytree(tiny_corpus, folder / "corpus")
    (folder / "run").mkdir()
    np.savez(folder / "run" / "weights.npz", **float_weights((8,), ()))
    for path in (folder / "recipe.toml", folder / "run" / "recipe.toml"):
        path.write_text(RECIPE)
    export_model(folder / "run", folder / "run")
    noise = np.random.default_rng(3).normal(0, 0.1, 20_000)
    soundfile.write(folder / "noisy.wav", noise, 16_000, subtype="PCM_16")
    return folder


@pytest.fixture
def place(tmp_path, good_folder, monkeypatch) -> Path:
    """A copy of the good folder, which is the working folder."""
    folder = tmp_path / "place"
    shutil.copytree(good_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYSE_DATA", raising=False)
    return folder


@pytest.fixture
def refused(place) -> Callable[..., Result]:
    """Calls a command that must end with one line of error and leave everything as it was."""

    def call(*arguments: object, says: str = "", code: int = 2) -> Result:
        before = snapshot(place)
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert isinstance(done.exception, SystemExit), done.exception
        one_line(done.stderr, says)
        assert done.exit_code == code, done.output
        assert done.stdout == ""
        assert snapshot(place) == before
        return done

    return call


def one_line(stderr: str, says: str) -> None:
    """The one line that says what is wrong."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ") and says in lines[0], stderr
    assert "Traceback" not in stderr


def snapshot(folder: Path) -> dict[str, str]:
    """Every file with its hash, and every folder, below `folder`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }
