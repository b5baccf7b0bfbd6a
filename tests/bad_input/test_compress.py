"""What `tinyse compress` refuses: exit 2, one line that names the thing, nothing written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.network_maker import float_weights

OFFLINE = ("--method", "offline", "-o", "out")
WEIGHT = ("--structure", "weight")


@pytest.fixture
def weights(place):
    """Puts other weights into the run."""

    def put(**changes):
        arrays = float_weights((8,), ()) | {k.replace("__", "/"): v for k, v in changes.items()}
        np.savez(place / "run" / "weights.npz", **arrays)

    return put


def test_an_impossible_sparsity_names_the_largest_that_there_is(refused):
    # Four halves of 2 x 32 blocks, four of 2 x 2 and a mask of 32 x 2: one of each must stay.
    says = "sparsity: leaves 3 groups for 9 matrices, which would be empty; the largest that can"
    refused("compress", "run", "--structure", "block:4x4", "--sparsity", 0.992, *OFFLINE, says=says)


def test_units_cannot_be_pruned_until_a_layer_is_empty(refused):
    says = "would leave a layer without units; the largest that can be reached is 0.8"
    refused("compress", "run", "--structure", "unit", "--sparsity", 0.999, *OFFLINE, says=says)


def test_a_layer_cannot_be_emptied_by_hand(refused):
    by_hand = 'compress.budgets={"lstm_0"=1.0}'
    says = "would leave a layer without units"
    words = ("--structure", "unit", "--sparsity", 0.5, "--set", by_hand)
    refused("compress", "run", *words, *OFFLINE, says=says)


@pytest.mark.parametrize("account", ["bound", "npu_weights", "zip", "dense"])
def test_an_impossible_budget_names_the_smallest_that_there_is(refused, account):
    says = f"budget: 2 bytes ({account}) cannot be reached; the smallest is "
    words = ("--budget", 2, "--account", account)
    refused("compress", "run", *WEIGHT, *words, *OFFLINE, says=says)


def test_a_block_larger_than_a_matrix_names_both(refused):
    says = "lstm_0/kernel/i: a block of 16x4 is larger than the matrix of 8x128"
    words = ("--structure", "block:16x4", "--sparsity", 0.5)
    refused("compress", "run", *words, *OFFLINE, says=says)


def test_a_layer_that_cannot_be_pruned_is_named(refused, weights):
    weights(conv_0__kernel=np.zeros((3, 3), np.float32))
    refused("compress", "run", *WEIGHT, "--sparsity", 0.5, *OFFLINE, says="conv_0/kernel")


@pytest.mark.parametrize("method", ["magnitude", "offline"])
def test_a_run_trained_with_other_features_is_refused(refused, place, method):
    if method != "offline":
        pytest.importorskip("tensorflow")
    np.savez(place / "run" / "weights.npz", **float_weights((8,), (), inputs=40, outputs=40))
    words = ("--sparsity", 0.5, "--method", method, "--data", "corpus", "-o", "out")
    refused("compress", "run", *WEIGHT, *words, says="was trained on 40 features a frame, not 128")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*WEIGHT, "--data", "corpus"), "--control: a weight structure leaves the shape as it was"),
        (("--structure", "unit"), "--data: is needed by --control"),
    ],
)
def test_a_control_needs_units_and_data(refused, words, says):
    refused("compress", "run", *words, "--sparsity", 0.5, "--control", *OFFLINE, says=says)


def test_a_run_that_was_made_otherwise_is_not_resumed(refused, place):
    pytest.importorskip("tensorflow")
    (place / "out").mkdir()
    (place / "out" / "run.json").write_text(json.dumps({"recipe_sha256": "other"}))
    words = ("--sparsity", 0.5, "--method", "learned", "--data", "corpus", "-o", "out")
    says = "out/run.json: was made with another recipe_sha256"
    refused("compress", "run", *WEIGHT, *words, "--resume", says=says)


def test_offline_has_nothing_to_resume(refused):
    says = "--resume: offline trains nothing to go on with"
    refused("compress", "run", *WEIGHT, "--sparsity", 0.5, *OFFLINE, "--resume", says=says)
    named = ("--set", "compress.method=offline", "-o", "out")
    refused("compress", "run", *WEIGHT, "--sparsity", 0.5, *named, "--resume", says=says)


def test_a_run_without_weights_is_not_finished(refused, place):
    (place / "run" / "weights.npz").unlink()
    says = "run: holds no weights.npz; give a finished run"
    refused("compress", "run", *WEIGHT, "--sparsity", 0.5, *OFFLINE, says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--steps", 10), "--steps: offline trains nothing; leave it out"),
        (("--distill",), "--distill: offline trains nothing; leave it out"),
        (("--no-distill",), "--distill: offline trains nothing; leave it out"),
        (("--resolve",), "--resolve: offline solves again by mixtures, which are not given; name"),
        (("--set", "compress.teacher=nope"), "compress.teacher: offline follows no teacher"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("named", [(), ("--set", "compress.method='offline'")], ids=["", "a key"])
def test_what_offline_would_pass_over_is_refused_where_it_is_typed(refused, words, says, named):
    method = ("-o", "out", *named) if named else OFFLINE
    refused("compress", "run", *WEIGHT, "--sparsity", 0.5, *method, *words, says=says)


def test_the_shape_is_that_of_what_is_compressed(refused):
    says = "network.lstm: the network is that of the run or model that is compressed; leave it out"
    words = ("--sparsity", 0.5, "--set", "network.lstm=[4]")
    refused("compress", "run", *WEIGHT, *words, *OFFLINE, says=says)
