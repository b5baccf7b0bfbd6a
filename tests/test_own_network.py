"""A user's own network of odd sizes: imported, pruned offline, exported as step16x8, inspected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow")

import keras

from tests.conftest import ROOT
from tests.network_maker import features
from tinyse.audit import inspect
from tinyse.cli import main
from tinyse.export import export_model
from tinyse.network.import_keras import from_keras
from tinyse.recipe import read_recipe
from tinyse.runtimes import open_runtime

pytestmark = pytest.mark.slow

WIDTH, BANDS = 37, 19
LAYERS = {
    "lstm": {"lstm": (23, 14), "gru": (), "dense": ()},
    "gru": {"lstm": (), "gru": (21,), "dense": (9,)},
    "both": {"lstm": (13,), "gru": (11,), "dense": (7,)},
}


def model_of(lstm, gru, dense):
    return keras.Sequential(
        [
            keras.Input((None, WIDTH)),
            *(keras.layers.LSTM(units, return_sequences=True) for units in lstm),
            *(keras.layers.GRU(units, return_sequences=True) for units in gru),
            *(keras.layers.Dense(units, "relu") for units in dense),
            keras.layers.Dense(BANDS, "sigmoid"),
        ]
    )


def compressed(folder, *words):
    command = ["compress", str(folder / "own"), "--method", "offline", "-o", str(folder / "run")]
    done = CliRunner().invoke(main, [*command, *map(str, words)])
    assert done.exit_code == 0, done.output
    return done


def exported_and_equal(folder):
    """The report on the exported file, which TFLM runs as the oracle does."""
    file = export_model(folder / "run", folder / "out", "step16x8")
    oracle = open_runtime("oracle", file)
    steps = oracle.info.input.quantise(features(120, 3, WIDTH))
    masks = oracle.run(steps)
    if find_spec("tflite_micro"):
        assert np.array_equal(open_runtime("tflm", file).run(steps), masks)
    return inspect(file, ((3, 4),))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("structure", ["weight", "block:3x4", "unit"])
def test_of_odd_sizes_through_compress_export_and_inspect(tmp_path, kind, structure):
    (tmp_path / "own").mkdir()
    arrays = from_keras(model_of(**LAYERS[kind]), features(300, 1, WIDTH))
    np.savez(tmp_path / "own" / "weights.npz", **arrays)
    done = compressed(tmp_path, "--structure", structure, "--sparsity", 0.6)
    report = exported_and_equal(tmp_path)
    kinds = [row["kind"] for row in report["layers"]]
    expected = [kind for kind, units in LAYERS[kind].items() for _ in units]
    assert kinds == [*expected, "dense"]
    (level,) = json.loads((tmp_path / "run" / "run.json").read_text())["levels"]
    network = read_recipe(tmp_path / "run" / "recipe.toml").network
    if structure == "unit":
        before = sum(x.size for key, x in arrays.items() if key.endswith(("kernel", "recurrent")))
        after = sum(row["weights"] for row in report["layers"])
        assert level["sparsity"] == pytest.approx(1 - after / before) and after < 0.4 * before
        units = [row["units"] for row in report["layers"][:-1]]
        assert [*network.lstm, *network.gru, *network.dense] == units
    else:
        # Rounding to int8 may take a few more weights.
        by = "weights" if structure == "weight" else "blocks"
        found = report["sparsity"][by]
        found = found if by == "weights" else found["3x4"]
        assert 0.595 < found < 0.63
        assert {name: getattr(network, name) for name in LAYERS[kind]} == LAYERS[kind]
    assert ("padded" in done.stderr) == (structure == "block:3x4")


PRUNED = """
import sys
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from tests.network_maker import features

kept = tfmot.sparsity.keras.ConstantSparsity(0.5, 0, frequency=1)
prune = lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, kept)
model = keras.Sequential([
    keras.layers.InputLayer((None, 37)),
    prune(keras.layers.LSTM(13, return_sequences=True)),
    prune(keras.layers.Dense(19, "sigmoid")),
])
model.compile("adam", "mse")
updating = tfmot.sparsity.keras.UpdatePruningStep()
x = features(64, 1, 37).reshape(8, 8, 37)
model.fit(x, np.zeros((8, 8, 19)), epochs=2, verbose=0, callbacks=[updating])
from tinyse.network.import_keras import from_keras
np.savez(sys.argv[1], **from_keras(model, features(100, 2, 37)))
"""


@pytest.mark.slow
def test_pruned_with_tfmot_and_further_here(tmp_path):
    """What TF-MOT's wrappers set to zero stays zero; in a process of its own, for Keras 2."""
    pytest.importorskip("tensorflow_model_optimization")
    (tmp_path / "own").mkdir()
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    path = tmp_path / "own" / "weights.npz"
    command = [sys.executable, "-c", PRUNED, str(path)]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    compressed(tmp_path, "--structure", "weight", "--sparsity", 0.75)
    with np.load(path) as before, np.load(tmp_path / "run" / "weights.npz") as after:
        for key in ("lstm_0/kernel", "lstm_0/recurrent", "mask/kernel"):
            assert not after[key][before[key] == 0].any()
    assert 0.75 <= exported_and_equal(tmp_path)["sparsity"]["weights"] < 0.8
