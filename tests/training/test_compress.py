"""Compression runs of seconds: what is asked is in the file, and what was killed goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network_maker import float_weights
from tests.sparsity.test_dead import lean
from tinyse.files import sha256
from tinyse.quant import IntegerLSTM, quantise_network, read_weights
from tinyse.recipe import read_recipe
from tinyse.sparsity.groups import halves, live_groups, parse_structure

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [64, 48]
dense = [32]
[mixing]
rooms = 2
[train]
batch = 2
frames = 40
save_every = 7
"""
SIZES = (64, 48), (32,)
LEVELS = (0.5, 0.75, 0.85, 0.9, 0.95, 0.97)
SHORT = [
    *("--set", "compress.update_every=2", "--set", "compress.validate_every=10"),
    *("--set", "compress.learning_rate=3e-3"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    (folder / "recipe.toml").write_text(RECIPE)
    weights = float_weights(*SIZES, gain=0.8)
    weights["features/mean"][:], weights["features/std"][:] = -40, 12
    np.savez(folder / "weights.npz", **weights)
    return folder


@pytest.fixture
def compress(source, tiny_corpus, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "tinyse", "compress", str(source), "--data", str(tiny_corpus)]

    def call(run, *arguments, start=subprocess.run, **options):
        words = [*command, *SHORT, "-o", str(run), *map(str, arguments)]
        return start(words, env=environment, stderr=subprocess.PIPE, text=True, **options)

    return call


def integer(folder):
    return quantise_network(read_weights(folder / "weights.npz"), "x")


def matrices(network):
    for layer in network.layers:
        if isinstance(layer, IntegerLSTM):
            yield from (*layer.kernels, *layer.recurrents)
        else:
            yield layer.kernel


def groups_left(folder, structure) -> int:
    """Live groups in the exported file."""
    live = (live_groups(parse_structure(structure), array) for array in matrices(integer(folder)))
    return sum(int(groups.sum()) for groups in live)


def groups_of(weights, structure) -> int:
    """All groups of a network that is still dense."""
    grids = (parse_structure(structure).grid(matrix.shape) for matrix in halves(weights).values())
    return sum(down * across for down, across in grids)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["learned", "magnitude"])
@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
def test_every_level_has_its_sparsity_in_the_file(compress, tmp_path, method, structure):
    if method == "magnitude":
        pytest.importorskip("tensorflow_model_optimization")
    run = tmp_path / "run"
    asked = ["--structure", structure, "--levels", ",".join(map(str, LEVELS))]
    done = compress(run, *asked, "--steps", 8, "--method", method, "--no-distill")
    assert done.returncode == 0, done.stderr
    record = json.loads((run / "run.json").read_text())
    assert [level["sparsity_asked"] for level in record["levels"]] == list(LEVELS)
    for level in record["levels"]:
        folder = run / "levels" / f"{level['sparsity_asked']:g}"
        in_the_file(folder, structure, level)
        assert level["sparsity_before_cut"] is not None
    shape = read_recipe(run / "recipe.toml").network
    assert list(shape.lstm) == [layer.units for layer in integer(run).lstms]
    last = run / "levels" / f"{LEVELS[-1]:g}" / "weights.npz"
    assert (run / "weights.npz").read_bytes() == last.read_bytes()
    assert min(int(array.min()) for array in matrices(integer(run))) >= -127
    line = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert line["si_sdr_gain_mixtures_valid"] == line["valid_si_sdr_gain"]


MATRICES = ("lstm_0/kernel", "lstm_1/recurrent", "dense_0/kernel", "mask/kernel")


def in_the_file(folder, structure, level):
    """Compares what was asked with the exported bytes, and the bytes with the record."""
    asked, network = level["sparsity_asked"], integer(folder)
    if structure == "unit":
        before = float_weights(*SIZES)
        before = sum(x.size for key, x in before.items() if key.endswith(("kernel", "recurrent")))
        left = sum(array.size for array in matrices(network))
        widest = 4 * (128 + 64 + 64 + 48)  # what the largest unit takes along
        assert level["sparsity"] == pytest.approx(1 - left / before, abs=1e-12)
        assert asked <= level["sparsity"] < asked + widest / before
        assert network.lstms[0].units < 64 and network.lstms[0].width == 128
        return
    by_half = level["shares"]
    assert {"lstm_0/kernel/i", "lstm_1/recurrent/o", "dense_0/kernel"} < set(by_half)
    left, total = groups_left(folder, structure), groups_of(float_weights(*SIZES), structure)
    kept = round((1 - level["sparsity"]) * total)
    # What was asked, less a few where units died; single weights may be rounded to zero.
    most = total - int(asked * total + 0.5)
    assert 0.97 * most < kept <= most
    assert left == kept if structure != "weight" else 0.98 * kept <= left <= kept
    with np.load(folder / "weights.npz") as file:
        shape = {layer.name: layer.units for layer in network.layers[:-1]}
        assert lean(dict(file), parse_structure(structure))[1] == shape
        assert not any((np.signbit(file[name]) & (file[name] == 0)).any() for name in MATRICES)


@pytest.mark.slow
def test_int8_alone_starts_where_the_float_network_is(compress, tmp_path):
    done = compress(tmp_path / "run", "--structure", "weight", "--sparsity", 0, "--steps", 10)
    assert done.returncode == 0, done.stderr
    (level,) = json.loads((tmp_path / "run" / "run.json").read_text())["levels"]
    assert level["sparsity"] == 0 and level["method"] is None


@pytest.mark.slow
def test_masks_can_be_trained_in_float_and_quantised_afterwards(compress, tmp_path):
    pytest.importorskip("tensorflow_model_optimization")
    run = tmp_path / "run"
    words = ("--sparsity", 0.5, "--method", "magnitude", "--steps", 10)
    done = compress(run, "--structure", "block:4x4", *words, "--set", "compress.int8=false")
    assert done.returncode == 0, done.stderr
    (level,) = json.loads((run / "run.json").read_text())["levels"]
    in_the_file(run, "block:4x4", level)
    with np.load(run / "weights.npz") as file:
        assert len(np.unique(file["lstm_0/kernel"])) > 4 * 255  # not on the grid of any gate


def _log(run):
    keep = ("step", "loss", "valid_si_sdr_gain", "sparsity", "penalty")
    lines = (run / "log.jsonl").read_text().splitlines()
    return [{key: json.loads(line)[key] for key in keep} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["magnitude", "offline"])
def test_energy_shares_sparsity_out_in_its_own_way(compress, tmp_path, method):
    asked = ["--structure", "block:4x4", "--sparsity", 0.75, "--method", method]
    asked += [] if method == "offline" else ["--steps", 6]
    found = {}
    for way in ("table", "energy"):
        run = tmp_path / way
        done = compress(run, *asked, "--set", f"compress.share_by='{way}'")
        assert done.returncode == 0, done.stderr
        quarter = round(0.25 * groups_of(float_weights(*SIZES), "block:4x4"))
        assert 0.97 * quarter < groups_left(run, "block:4x4") <= quarter
        found[way] = [int(np.count_nonzero(array)) for array in matrices(integer(run))]
    assert found["energy"] != found["table"]


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_losses(compress, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    asked = ["--structure", "block:2x2", "--levels", "0.4,0.7", "--steps", 40]
    asked += ["--method", "learned", "--set", "compress.share_by='scan'"]
    assert compress(whole, *asked).returncode == 0
    process = compress(killed, *asked, start=subprocess.Popen)
    while process.poll() is None:
        if (killed / "log.jsonl").exists() and len(_log(killed)) == 2:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert len(_log(killed)) < len(_log(whole)), "the run was over before it was killed"
    resumed = compress(killed, *asked, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert _log(killed) == _log(whole)
    assert (whole / "weights.npz").read_bytes() == (killed / "weights.npz").read_bytes()

    asked[3] = "0.4,0.8"
    other = compress(killed, *asked, "--resume")
    assert other.returncode == 2 and "another recipe_sha256" in other.stderr


@pytest.mark.slow
def test_a_compressed_run_can_be_compressed_again(compress, source, tmp_path, tiny_corpus):
    first = ["--structure", "unit", "--sparsity", 0.3, "--method", "offline", "--force"]
    assert compress(tmp_path / "first", *first).returncode == 0
    command = [sys.executable, "-m", "tinyse", "compress", str(tmp_path / "first"), *SHORT]
    command += ["--data", str(tiny_corpus), "-o", str(tmp_path / "second"), "--steps", "8"]
    command += ["--structure", "block:2x2", "--sparsity", "0.5", "--method", "learned"]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def again(teacher):
        words = [*command, "--set", f"compress.teacher={teacher}"]
        return subprocess.run(words, env=environment, capture_output=True, text=True)

    missing = again("['nobody']")
    assert missing.returncode == 2 and "nobody" in missing.stderr
    assert not (tmp_path / "second").exists()
    # One of more units than what it teaches, and that itself.
    done = again([str(source), str(tmp_path / "first")])
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    first = sha256(tmp_path / "first" / "weights.npz")
    assert record["teacher_sha256"] == [sha256(source / "weights.npz"), first]
    assert record["source_sha256"] == first
    with np.load(tmp_path / "first" / "weights.npz") as file:
        total = groups_of(dict(file), "block:2x2")
    assert groups_left(tmp_path / "second", "block:2x2") <= total - int(0.5 * total + 0.5)


@pytest.mark.slow
def test_the_shape_that_units_leave_is_trained_from_scratch(compress, tmp_path):
    run = tmp_path / "run"
    asked = ["--structure", "unit", "--sparsity", 0.6, "--method", "offline", "--control"]
    short = ["--set", "train.steps_per_epoch=3", "--set", "train.epochs=1"]
    done = compress(run, *asked, *short)
    assert done.returncode == 0, done.stderr
    record = json.loads((run / "run.json").read_text())
    assert record["control"]["steps"] == 3
    widths = [[layer.units for layer in integer(x).layers] for x in (run, run / "control")]
    assert widths[0] == widths[1] and widths[0][0] < 64
