"""Oracle = TFLM = C reference = C vectors = Cortex-M4 = M7 = M55, every output byte.

Over 2,000 frames of real noisy speech, for every published model, for 4 x 4 blocks at 90 %, for odd
sizes, for fewer units, for a user's Keras layers and for a network as a user's own converter writes
it; and over 20,000 frames without a reset.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.network_maker import features as network_features
from tests.network_maker import frames, integer_network
from tests.sparse_networks import by_magnitude, published
from tinyse import features
from tinyse.audio.lists import read_list, render
from tinyse.audio.synth import demo_mixture
from tinyse.enhance import read_normalisation
from tinyse.files import packaged
from tinyse.quant import IntegerNetwork, Quantisation, quantise_network, read_weights
from tinyse.runtimes import open_runtime
from tinyse.runtimes.oracle import Oracle
from tinyse.sparsity.budget import budgets
from tinyse.sparsity.groups import parse_structure
from tinyse.sparsity.shrink import shrink, units_to_keep
from tinyse.tflite.check import load
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")

HOST = ("tflm", "native_reference", "native")
BOARDS = ("cortex_m4", "cortex_m7", "cortex_m55")
FRAMES, LONG = 2000, 20_000
PUBLISHED = [
    path.parent.name
    for path in sorted(packaged("models").glob("*/metrics.json"))
    if load(path.parent / "model.tflite").network.input.bits == 8
]


def quantised(weights: dict[str, np.ndarray], folder: Path) -> IntegerNetwork:
    np.savez(folder / "weights.npz", **weights)
    return quantise_network(read_weights(folder / "weights.npz"), "test")


def fewer_units(folder: Path) -> IntegerNetwork:
    """The published weights without 60 % of what their units hold."""
    weights = dict(np.load(packaged("models", "lstm_256", "weights.npz")))
    kept = units_to_keep(weights, budgets(weights, parse_structure("unit"), 0.6))
    return quantised(shrink(weights, kept)[0], folder)


def of_keras(folder: Path) -> IntegerNetwork:
    """Layers of a user, without a GRU: odd widths, one LSTM without a bias, a ReLU between."""
    pytest.importorskip("tensorflow")
    import keras

    from tinyse.network.import_keras import from_keras

    keras.utils.set_random_seed(1)
    recurrent = [
        keras.layers.LSTM(units, return_sequences=True, use_bias=bias)
        for units, bias in ((53, True), (38, False))
    ]
    dense = [keras.layers.Dense(27, "relu"), keras.layers.Dense(128, "sigmoid")]
    model = keras.Sequential([keras.Input((None, 128)), *recurrent, *dense])
    return quantised(from_keras(model, network_features(500, 1)), folder)


MADE = {
    "4x4 at 90 %": lambda _: published(by_magnitude(4, 4, 0.9)),
    "unstructured at 95 %": lambda _: published(by_magnitude(1, 1, 0.95)),
    "odd sizes": lambda _: integer_network((101, 67), (33,)),
    "fewer units": fewer_units,
    "a user's Keras layers": of_keras,
}


@pytest.fixture(scope="module")
def speech(request) -> np.ndarray:
    """Spectra of more than LONG frames of noisy speech: real where it is, else synthetic."""
    try:
        mixtures = read_list(request.getfixturevalue("data_folder") / "mixtures_test.csv")
        sounds = [render(mixtures, row).mixture for row in mixtures.rows[:960:10]]
    except pytest.skip.Exception:
        pytest.importorskip("espeakng_loader")
        sounds = [demo_mixture(seed).mixture for seed in range(1, 9)]
    return features.stft(np.concatenate(sounds))


def runtimes_here() -> tuple[str, ...]:
    tools = shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")
    return (*HOST, *BOARDS) if tools else HOST


def compared(path, steps) -> str:
    """Every runtime against the oracle; the line that says how much was compared."""
    expected = Oracle(load(path).network).run(steps)
    names = runtimes_here()
    for name in names:
        found = open_runtime(name, path).run(steps)
        differing = int(np.count_nonzero(found != expected))
        assert not differing, f"{name}: {differing} of {expected.size} bytes differ"
    return f"{expected.size:,} output bytes equal on oracle, {', '.join(names)}"


def steps_of(path, speech, count) -> np.ndarray:
    frames_ = read_normalisation(path).features(np.resize(speech, (count, speech.shape[1])))
    return load(path).network.input.quantise(frames_)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models(name, speech):
    path = packaged("models", name, "model.tflite")
    print(f"{name}: {compared(path, steps_of(path, speech, FRAMES))}")


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_networks_of_other_shapes(name, speech, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(serialise(MADE[name](tmp_path)))
    print(f"{name}: {compared(path, steps_of(path, speech, FRAMES))}")


def test_zero_points_of_a_converter(tmp_path):
    """Asymmetric frames and states, which our own exporter never writes."""
    network = integer_network((12,), (), 9, 4)
    hidden = Quantisation(2.0**-7, -5)
    first = dataclasses.replace(
        network.layers[0], input=Quantisation(2.0**-5, 17), hidden=hidden, cell_clip=0.0
    )
    last = dataclasses.replace(network.layers[1], input=hidden)
    path = tmp_path / "model.tflite"
    path.write_bytes(serialise(dataclasses.replace(network, layers=(first, last))))
    print(compared(path, frames(FRAMES, 6, 9)))


@pytest.mark.parametrize("exponent", [-18, -16, -15, -13, -12, -6, 0])
def test_every_cell_scale(exponent, tmp_path):
    network = integer_network((12,), (), 9, 4)
    first = dataclasses.replace(network.layers[0], cell_scale=2.0**exponent, cell_clip=0.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(serialise(dataclasses.replace(network, layers=(first, *network.layers[1:]))))
    compared(path, frames(100, 6, 9))


@pytest.mark.slow
def test_no_drift_over_20000_frames(speech, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(serialise(published(by_magnitude(4, 4, 0.9))))
    steps = steps_of(path, speech, LONG)
    expected = Oracle(load(path).network).run(steps)
    for name in {"native", "cortex_m4"} & set(runtimes_here()):
        assert np.array_equal(open_runtime(name, path).run(steps), expected), name
    print(f"{expected.size:,} output bytes equal without a reset")
