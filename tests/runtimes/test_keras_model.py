"""The float runtime: a stock Keras model that carries its state."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.network_maker import features, float_forward, float_weights
from tinyse.errors import InputError
from tinyse.runtimes import open_runtime

pytest.importorskip("keras")


@pytest.fixture(scope="module")
def arrays():
    return float_weights((10, 7), (5,), 12, 6, seed=2)


@pytest.fixture(scope="module")
def runtime(arrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    np.savez(folder / "weights.npz", **arrays)
    return open_runtime("keras_model", folder)


@pytest.fixture
def x(runtime):
    runtime.reset()
    return features(50, 3, 12)


def test_it_is_the_network_of_the_weights(runtime, arrays, x):
    expected = float_forward(arrays, x.astype(np.float64))["mask"]
    mask = runtime.run(x)
    assert mask.dtype == np.float32 and np.abs(mask - expected).max() < 1e-5


def test_a_cell_is_clipped_before_it_is_heard(arrays, tmp_path):
    clips = {f"lstm_{index}/cell_clip": np.float32(0.5) for index in range(2)}
    np.savez(tmp_path / "weights.npz", **arrays, **clips)
    x = features(50, 3, 12)
    expected = float_forward(arrays | clips, x.astype(np.float64))["mask"]
    assert np.abs(expected - float_forward(arrays, x.astype(np.float64))["mask"]).max() > 0.01
    assert np.abs(open_runtime("keras_model", tmp_path).run(x) - expected).max() < 1e-5


def test_state_is_carried_over_any_division(runtime, x):
    whole = runtime.run(x)
    runtime.reset()
    parts = [runtime.run(x[:7]), runtime.step(x[7])[None], runtime.run(x[8:])]
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-6


def test_reset_gives_the_stream_again(runtime, x):
    first = runtime.run(x)
    assert np.abs(runtime.run(x) - first).max() > 1e-4
    runtime.reset()
    assert np.array_equal(runtime.run(x), first)


def test_one_trace_serves_every_length(runtime, x):
    for count in (1, 2, 9, 30):
        runtime.run(x[:count])
    assert runtime._call.experimental_get_tracing_count() == 1


def test_its_layers_are_stock(runtime):
    modules = {type(layer).__module__ for layer in runtime.model.layers}
    assert all(module.startswith("keras.") for module in modules)
    assert runtime.info.input is None and not runtime.info.exact


def test_integer_frames_are_refused(runtime):
    with pytest.raises(InputError, match="expected float32"):
        runtime.run(np.zeros((2, 12), np.int8))


def test_it_is_tensorflows_where_training_runs_on_jax(tmp_path) -> None:
    """A sweep that trains on JAX scores its runs against the float network in workers."""
    np.savez(tmp_path / "weights.npz", **float_weights())
    ask = (
        "import sys; from tinyse.runtimes.keras_model import KerasModel;"
        "print(KerasModel.open(sys.argv[1]).info.version)"
    )
    command = [sys.executable, "-c", ask, str(tmp_path)]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(" on tensorflow")
