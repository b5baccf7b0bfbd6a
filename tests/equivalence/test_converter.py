"""The TensorFlow converter as an independent witness of what our writer writes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.equivalence.compare import compare_with_tflm
from tests.network_maker import features, float_forward, float_weights, frames
from tinyse.quant import same
from tinyse.runtimes.tflm import TFLM
from tinyse.tflite.check import check_bytes, load
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")

SIZES = ((24, 20), (12,), 16, 16)
SCRIPT = Path(__file__).parent / "convert_with_tensorflow.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("tf_keras"), reason="needs tf_keras"),
]


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    np.savez(folder / "weights.npz", **float_weights(*SIZES))
    np.save(folder / "features.npy", features(200, 1, 16))
    names = ("weights.npz", "features.npy", "model.tflite")
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop("KERAS_BACKEND", None)
    command = [sys.executable, SCRIPT, *(folder / name for name in names)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "model.tflite"


def test_rewritten_by_our_writer_it_gives_the_same_bytes(converted):
    file = load(converted)
    rewritten = check_bytes(serialise(file.network))
    assert same(rewritten.network.layers, file.network.layers)
    x = frames(1000, 7, 16)
    assert np.array_equal(TFLM(rewritten).run(x), TFLM(file).run(x))
    assert len(rewritten.data) < len(file.data) + 2000


def test_the_oracle_equals_tflm_on_the_converters_file(converted):
    result = compare_with_tflm(converted, frames(1000, 8, 16))
    assert result.equal, result.differing


def test_our_ranges_are_no_worse_than_the_converters(converted, tmp_path):
    """Error against the float network, both files on the same frames."""
    from tinyse.export import export_model

    weights = converted.parent / "weights.npz"
    x = features(600, 9, 16)
    expected = float_forward(dict(np.load(weights)), x.astype(np.float64))["mask"]
    errors = []
    for path in (export_model(weights, tmp_path, name="ours"), converted):
        file = load(path)
        masks = file.network.output.dequantise(TFLM(file).run(file.network.input.quantise(x)))
        errors.append(float(np.sqrt(((masks - expected) ** 2).mean())))
    print("RMS of the mask against float: ours {:.4f}, converter {:.4f}".format(*errors))
    assert errors[0] < 1.5 * errors[1]


def test_layers_without_our_names_are_named_by_kind_and_place(converted):
    names = [layer.name for layer in load(converted).network.layers]
    assert names == ["lstm_0", "lstm_1", "dense_0", "mask"]
