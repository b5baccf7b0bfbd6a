"""Both backends compute the same losses and gradients from the same code."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("jax")


def _on(backend: str, tmp_path):
    path = tmp_path / f"{backend}.npz"
    command = [sys.executable, "-m", "tests.network.gradients", str(path)]
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": backend})
    return dict(np.load(path))


@pytest.mark.slow
def test_tensorflow_and_jax_agree_on_losses_and_gradients(tmp_path):
    first, second = _on("tensorflow", tmp_path), _on("jax", tmp_path)
    assert first.keys() == second.keys() and len(first) == 2 * 11 + 1
    for name, value in first.items():
        worst = np.max(np.abs(value - second[name])) / np.max(np.abs(value))
        assert worst < 2e-5, f"{name}: {worst:.1e}"
    np.testing.assert_allclose(first["saturating"], np.array([0, 0.1, 0.1, 0.1, 0.1, 0]), rtol=1e-6)
