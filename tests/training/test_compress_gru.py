"""A GRU in the same steps: masks and int8 weights are those of the file, the loop is in float."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import features, float_weights
from tinyse.network.build import shapes
from tinyse.network.quantised import Activations, quantised_forward
from tinyse.quant import quantise_for, quantise_network, read_weights
from tinyse.recipe import Network
from tinyse.runtimes.oracle import Oracle
from tinyse.sparsity.groups import live_groups, parse_structure

RECIPE = """
schema = 1
name = "gru"
[network]
lstm = []
gru = [24]
dense = [16]
[train]
batch = 2
frames = 40
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "float"
    folder.mkdir()
    weights = float_weights((), (16,), gru=(24,), gain=0.8)
    weights["features/mean"][:], weights["features/std"][:] = -40, 12
    np.savez(folder / "weights.npz", **weights)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def compressed(source, run, corpus, tmp_path, *words):
    command = [sys.executable, "-m", "tinyse", "compress", str(source), "--data", str(corpus)]
    options = ["--set", "compress.update_every=2", "--set", "compress.validate_every=20"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = [*command, *options, "-o", str(run), *map(str, words)]
    subprocess.run(words, env=environment, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["block:4x4", "unit"])
def test_what_was_asked_is_in_the_file(source, tiny_corpus, tmp_path, structure):
    pytest.importorskip("tensorflow_model_optimization")
    run = tmp_path / "run"
    asked = ("--structure", structure, "--sparsity", 0.5, "--steps", 20)
    compressed(source, run, tiny_corpus, tmp_path, *asked)
    layers = quantise_network(read_weights(run / "weights.npz"), "x").layers
    if structure == "unit":
        assert layers[0].units < 24
        return
    matrices = [m for layer in layers[:1] for m in (*layer.kernels, *layer.recurrents)]
    matrices += [layer.kernel for layer in layers[1:]]
    live = [live_groups(parse_structure(structure), matrix) for matrix in matrices]
    assert sum(x.sum() for x in live) / sum(x.size for x in live) == pytest.approx(0.5, abs=0.01)
    assert all(np.abs(matrix).max() == 127 for matrix in matrices)


def test_masks_in_training_are_close_to_those_of_the_file(source):
    floats = read_weights(source / "weights.npz")
    network = Network(lstm=(), gru=(24,), dense=(16,))
    with np.load(source / "weights.npz") as file:
        parameters = {name: file[name] for name in shapes(network)}
    x = features(60, 1, 128)
    given = parameters, {}, x[None]
    taught = np.asarray(quantised_forward(network, Activations.of(floats), *given))[0]
    exported = quantise_for(floats, "x", "step16x8")
    masks = Oracle(exported).run(exported.input.quantise(x))
    error = exported.output.dequantise(masks) - taught
    assert np.sqrt(np.mean(error**2)) < 0.01
