"""A run on the JAX backend ends in files that export takes."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("jax")

from tinyse.export import export_model

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [16, 12]
dense = [8]
[mixing]
rooms = 2
[train]
batch = 2
frames = 40
steps_per_epoch = 4
epochs = 1
optimiser = "muon"
"""


@pytest.mark.slow
def test_a_run_on_jax_is_exported(tiny_corpus, tmp_path):
    """JAX gives dicts back in the order of the alphabet; layers must keep that of the network."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "tinyse", "train", "recipe.toml", "--run", "run"]
    command += ["--data", str(tiny_corpus)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert export_model(tmp_path / "run", tmp_path / "run").stat().st_size > 0
