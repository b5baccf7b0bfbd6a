"""Units taken out: the shrunk network is the masked one, in float and in every byte of the file."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import features, float_weights, frames
from tests.sparsity.networks import gru_weights
from tinyse.errors import InputError
from tinyse.quant import quantise_network, read_weights
from tinyse.runtimes.oracle import Oracle
from tinyse.sparsity.budget import budgets, weights_left
from tinyse.sparsity.calibration import energies, forward
from tinyse.sparsity.dead import connected_units
from tinyse.sparsity.graph import free_spaces, unit_masks
from tinyse.sparsity.groups import apply_masks, halves, parse_structure
from tinyse.sparsity.shrink import shrink, unit_norms, units_to_keep

UNIT = parse_structure("unit")
NETWORKS = {"lstm": float_weights((24, 16), (12,), 20, 16), "gru": gru_weights((24, 16), 20, 16)}


def quantised(weights, folder):
    np.savez(folder / "weights.npz", **weights)
    return quantise_network(read_weights(folder / "weights.npz"), "test")


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("sparsity", [0.3, 0.75])
def test_shrunk_is_masked(kind, sparsity):
    weights, x = NETWORKS[kind], features(500, 4, 20)
    keep = units_to_keep(weights, budgets(weights, UNIT, sparsity))
    masked = apply_masks(weights, unit_masks(weights, keep))
    shrunk, widths = shrink(weights, keep)
    assert np.abs(forward(masked, x).output - forward(shrunk, x).output).max() < 1e-5
    assert sum(m.size for m in halves(shrunk).values()) == weights_left(weights, widths)
    assert widths == {name: int(kept.sum()) for name, kept in keep.items()}
    assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in shrunk.values())
    # Found again from the masked weights alone.
    assert all(np.array_equal(connected_units(masked, UNIT)[n], keep[n]) for n in keep)


def test_every_byte_of_the_file_is_that_of_the_masked_one(tmp_path):
    weights = NETWORKS["lstm"]
    keep = units_to_keep(weights, budgets(weights, UNIT, 0.6))
    masked = quantised(apply_masks(weights, unit_masks(weights, keep)), tmp_path)
    shrunk = quantised(shrink(weights, keep)[0], tmp_path)
    kept = keep["lstm_0"]
    for big, small in zip(masked.lstms[0].kernels, shrunk.lstms[0].kernels, strict=True):
        assert np.array_equal(big[kept], small) and not big[~kept].any()
    x = frames(500, 5, 20)
    assert np.array_equal(Oracle(masked).run(x), Oracle(shrunk).run(x))


def test_layers_may_end_at_different_widths():
    weights = NETWORKS["lstm"]
    keep = {"lstm_0": np.arange(24) < 5, "dense_0": np.arange(12) % 2 == 0}
    shrunk, widths = shrink(weights, keep)
    assert widths == {"lstm_0": 5, "lstm_1": 16, "dense_0": 6}
    assert shrunk["lstm_0/kernel"].shape == (20, 20) and shrunk["lstm_1/kernel"].shape == (5, 64)
    assert shrunk["mask/kernel"].shape == (6, 16) and shrunk["lstm_0/bias"].shape == (20,)
    assert np.array_equal(shrunk["dense_0/kernel"], weights["dense_0/kernel"][:, ::2])
    assert np.array_equal(shrunk["range/lstm_0/cell"], weights["range/lstm_0/cell"])


def test_the_weakest_units_go():
    weights = {key: np.array(array) for key, array in NETWORKS["lstm"].items()}
    weak = np.zeros(24, bool)
    weak[[3, 11, 20]] = True
    quiet = apply_masks(weights, unit_masks(weights, {"lstm_0": ~weak}))
    for half, matrix in halves(weights).items():
        matrix[:] = 0.05 * matrix + 0.95 * halves(quiet)[half]
    keep = units_to_keep(weights, {"lstm_0": 3 / 24})
    assert np.array_equal(keep["lstm_0"], ~weak)


def test_energy_weighs_what_a_unit_says_to_others():
    """A unit whose output is next to nothing has a norm of its own rows alone."""
    weights = NETWORKS["lstm"]
    energy = energies(forward(weights, features(200, 1, 20)).inputs)
    silent = {key: np.array(value) for key, value in energy.items()}
    for key in ("lstm_0/recurrent", "lstm_1/kernel"):
        silent[key][7] = 0
    change = unit_norms(weights, silent)["lstm_0"] / unit_norms(weights, energy)["lstm_0"]
    assert np.argmin(change) == 7 and change[7] < 0.99


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"lstm_0": np.zeros(24, bool)}, "lstm_0: would be left without units"),
        ({"lstm_0": np.ones(23, bool)}, r"lstm_0: expected 24 units, got \[23\]"),
        ({"mask": np.ones(16, bool)}, "mask: has no units that can go; only units of lstm_0"),
        ({"features": np.ones(20, bool)}, "features: has no units that can go"),
        ({"lstm_9": np.ones(20, bool)}, "lstm_9: has no units that can go"),
    ],
)
def test_what_cannot_go_is_refused(keep, message):
    with pytest.raises(InputError, match=message):
        shrink(NETWORKS["lstm"], keep)


def test_all_spaces_but_the_ends_are_free():
    assert list(free_spaces(NETWORKS["lstm"])) == ["lstm_0", "lstm_1", "dense_0"]
    with pytest.raises(InputError, match="mask: has no units that can go"):
        units_to_keep(NETWORKS["lstm"], {"mask": 0.5})
