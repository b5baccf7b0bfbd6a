"""A user's own network: a Keras LSTM and GRU of odd sizes, imported, exported, run and read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from tests.network_maker import features
from tinyse.audit import inspect
from tinyse.errors import InputError
from tinyse.export import export_model
from tinyse.quant import read_weights
from tinyse.runtimes import open_runtime

pytest.importorskip("tensorflow")
pytest.importorskip("tflite_micro")

import keras

from tinyse.network.import_keras import from_keras

pytestmark = pytest.mark.slow

WIDTH, BANDS = 13, 6


def chain(*layers):
    layers = [keras.Input((None, WIDTH)), *layers, keras.layers.Dense(BANDS, "sigmoid")]
    return keras.Sequential(layers)


def recurrent(kind, units, **options):
    return getattr(keras.layers, kind)(units, return_sequences=True, **options)


def lstm_and_gru():
    return chain(
        recurrent("LSTM", 11),
        recurrent("GRU", 7),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(5, "relu"),
    )


MODELS = {
    "lstm": lambda: chain(recurrent("LSTM", 9, use_bias=False)),
    "gru": lambda: chain(keras.layers.Dense(8, "relu"), recurrent("GRU", 9)),
    "both": lstm_and_gru,
}


def saved(tmp_path, model):
    (tmp_path / "run").mkdir()
    np.savez(tmp_path / "run" / "weights.npz", **from_keras(model, features(300, 1, WIDTH)))
    return tmp_path / "run"


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_the_arrays_are_the_model(tmp_path, build):
    model = build()
    x = features(80, 2, WIDTH)
    runtime = open_runtime("keras_model", saved(tmp_path, model))
    expected = np.asarray(model(x[None], training=False))[0]
    np.testing.assert_allclose(runtime.run(x), expected, atol=1e-5)
    runtime.reset()
    np.testing.assert_allclose(np.stack([runtime.step(frame) for frame in x]), expected, atol=1e-5)


def test_ranges_are_those_of_the_model(tmp_path):
    model = chain(recurrent("LSTM", 9), keras.layers.Dense(4, "relu"))
    x = features(60, 2, WIDTH)
    arrays = from_keras(model, x)
    dense = keras.Model(model.inputs, model.layers[1].output)
    seen = np.asarray(dense(x[None]))
    np.testing.assert_allclose(arrays["range/dense_0/output"], [0, seen.max()], atol=1e-5)


@pytest.mark.parametrize("profile", ["step16x8", "step8"])
def test_through_export_run_and_inspect(tmp_path, profile):
    model = lstm_and_gru()
    run = saved(tmp_path, model)
    file = export_model(run, tmp_path / "out", profile)
    tflm, oracle = open_runtime("tflm", file), open_runtime("oracle", file)
    x = features(500, 3, WIDTH)
    steps = tflm.info.input.quantise(x)
    masks = tflm.run(steps)
    assert np.array_equal(masks, oracle.run(steps))
    expected = np.asarray(model(x[None], training=False))[0]
    error = np.abs(tflm.info.output.dequantise(masks) - expected).max()
    assert error < {"step16x8": 0.02, "step8": 0.1}[profile]
    report = inspect(file)
    assert [layer["kind"] for layer in report["layers"]] == ["lstm", "gru", "dense", "dense"]
    assert report["sparsity"]["weights"] < 0.2


def test_a_keras_file_and_a_functional_model(tmp_path):
    inputs = keras.Input((None, WIDTH))
    hidden = recurrent("GRU", 5)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(BANDS, "sigmoid")(hidden))
    model.save(tmp_path / "own.keras")
    x = features(30, 1, WIDTH)
    live, stored = from_keras(model, x), from_keras(tmp_path / "own.keras", x)
    assert live.keys() == stored.keys()
    assert all(np.array_equal(live[key], stored[key]) for key in live)


def branched():
    inputs = keras.Input((None, WIDTH))
    a, b = recurrent("LSTM", 5)(inputs), recurrent("LSTM", 5)(inputs)
    both = keras.layers.Add()([a, b])
    return keras.Model(inputs, keras.layers.Dense(BANDS, "sigmoid")(both))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = keras.layers.Dense(5, "relu"), keras.layers.Dense(BANDS, "sigmoid")

    def call(self, x):
        return self.last(self.first(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 3, WIDTH), np.float32))
    return model


REFUSED = {
    "does not say what it reads; use Sequential or a functional chain": subclassed,
    "does not read the layer before it": branched,
    "return_sequences is False, expected True": lambda: chain(
        keras.layers.LSTM(4), keras.layers.Dense(3, "relu")
    ),
    "activation is relu, expected tanh": lambda: chain(recurrent("LSTM", 4, activation="relu")),
    "reset_after is False, expected True": lambda: chain(recurrent("GRU", 4, reset_after=False)),
    "activation is linear, expected relu": lambda: chain(keras.layers.Dense(3)),
    "a layer BatchNormalization cannot be": lambda: chain(keras.layers.BatchNormalization()),
    "is the last layer": lambda: keras.Sequential(
        [keras.Input((None, WIDTH)), recurrent("LSTM", 4)]
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_taken_over_is_named(message):
    with pytest.raises(InputError, match=message):
        from_keras(REFUSED[message](), features(10, 1, WIDTH))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((5, WIDTH + 1)), rf"expected \[T, {WIDTH}\], got \[5, {WIDTH + 1}\]"),
        (np.zeros((0, WIDTH)), "expected"),
        (np.full((5, WIDTH), 40.0), "100.0 % of the values are beyond"),
    ],
)
def test_wrong_frames_are_named(frames, message):
    with pytest.raises(InputError, match=message):
        from_keras(chain(recurrent("LSTM", 4)), frames)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "own.keras").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"own\.keras: Keras cannot load it"):
        from_keras(tmp_path / "own.keras", np.zeros((1, 1)))
    with pytest.raises(InputError, match="there is no such file"):
        from_keras(tmp_path / "none.keras", np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("member", "says"), [("other.json", "no item named 'config.json'"), ("config.json", "Bad CRC")]
)
def test_an_archive_that_is_not_whole(tmp_path, member, says):
    with ZipFile(tmp_path / "own.keras", "w") as archive:
        archive.writestr(member, "{}")
    data = (tmp_path / "own.keras").read_bytes()
    (tmp_path / "own.keras").write_bytes(data.replace(b"{}", b"[]"))
    with pytest.raises(InputError, match=rf"own\.keras: Keras cannot load it .*{says}"):
        from_keras(tmp_path / "own.keras", np.zeros((1, 1)))


@pytest.mark.parametrize("message", ["", "\n"])
def test_an_error_of_keras_without_words_has_its_kind(tmp_path, monkeypatch, message):
    def load(*_, **__):
        raise ValueError(message)

    (tmp_path / "own.keras").write_bytes(b"nothing")
    monkeypatch.setattr(keras.saving, "load_model", load)
    with pytest.raises(InputError, match=r"Keras cannot load it \(ValueError\); save it again"):
        from_keras(tmp_path / "own.keras", np.zeros((1, 1)))


PRUNED = """
import sys
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from tests.network_maker import features

kept = tfmot.sparsity.keras.ConstantSparsity(0.75, 0, frequency=1)
prune = lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, kept)
model = keras.Sequential([
    keras.layers.InputLayer((None, 13)),
    prune(keras.layers.LSTM(11, return_sequences=True)),
    prune(keras.layers.GRU(7, return_sequences=True)),
    prune(keras.layers.Dense(6, "sigmoid")),
])
model.compile("adam", "mse")
x = features(64, 1, 13).reshape(8, 8, 13)
updating = tfmot.sparsity.keras.UpdatePruningStep()
model.fit(x, np.zeros((8, 8, 6)), epochs=2, verbose=0, callbacks=[updating])
from tinyse.network.import_keras import from_keras
np.savez(sys.argv[1], **from_keras(model, features(100, 2, 13)))
"""


@pytest.mark.slow
def test_a_tf_keras_model_pruned_with_tfmot(tmp_path):
    """In a process of its own: TF-MOT needs Keras 2."""
    pytest.importorskip("tensorflow_model_optimization")
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", PRUNED, str(tmp_path / "weights.npz")]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    layers = read_weights(tmp_path / "weights.npz").layers
    assert [layer.name for layer in layers] == ["lstm_0", "gru_0", "mask"]
    file = export_model(tmp_path, tmp_path / "out", "step16x8", name="own")
    assert 0.7 < inspect(file)["sparsity"]["weights"] < 0.85
    x = open_runtime("oracle", file).info.input.quantise(features(200, 3, 13))
    masks = [open_runtime(name, file).run(x) for name in ("oracle", "tflm")]
    assert np.array_equal(*masks)
