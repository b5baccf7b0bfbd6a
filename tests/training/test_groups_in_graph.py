"""Norms and masks in the graph are those of `tinyse.sparsity`, and their gradients are as meant."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras import ops

from tests.network_maker import float_weights
from tinyse.network import backend
from tinyse.sparsity import groups
from tinyse.sparsity.choice import array_masks, norms_of
from tinyse.sparsity.groups import parse_structure
from tinyse.sparsity.learned import kept, start
from tinyse.training.groups_in_graph import THRESHOLD, Selection, expand, group_norms

STRUCTURES = ("weight", "block:4x4", "block:3x5", "block:1x8", "block:12x2", "unit")
WEIGHTS = {k: v for k, v in float_weights((12, 16), (8,), 10, 12).items() if "range" not in k}
RANDOM = np.random.default_rng(0)
ENERGY = {k: RANDOM.uniform(0.2, 2, x.shape[0]) for k, x in WEIGHTS.items() if x.ndim == 2}


@pytest.mark.parametrize("structure", STRUCTURES[:5])
@pytest.mark.parametrize("shape", [(10, 48), (7, 52), (16, 64)])
def test_norms_and_masks_of_every_gate(structure, shape):
    structure = parse_structure(structure)
    array = RANDOM.standard_normal(shape).astype(np.float32)
    found = np.asarray(group_norms(structure, ops.convert_to_tensor(array), 4))
    keep = found > np.median(found)
    mask = np.asarray(expand(structure, keep, shape, 4))
    for gate, matrix in enumerate(np.split(array.T, 4)):
        expected = groups.group_norms(structure, matrix)
        np.testing.assert_allclose(found[:, gate].T, expected, rtol=1e-5)
        spread = groups.expand(structure, keep[:, gate].T, matrix.shape)
        np.testing.assert_array_equal(np.split(mask.T, 4)[gate], spread)


def with_thresholds(structure, sparsity):
    norms = norms_of(WEIGHTS, structure, ENERGY)
    # A quantile may lie on a norm, which float32 sees on either side of it: a little above.
    thresholds = {k: 1.0001 * t for k, t in start(norms, dict.fromkeys(norms, sparsity)).items()}
    logs = {THRESHOLD + name: np.float32(math.log(t)) for name, t in thresholds.items()}
    both = {k: ops.convert_to_tensor(v) for k, v in (WEIGHTS | logs).items()}
    return both, kept(norms, thresholds)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("sparsity", [0.2, 0.6])
def test_masks_of_thresholds_are_those_outside_the_graph(structure, sparsity):
    structure = parse_structure(structure)
    parameters, keep = with_thresholds(structure, sparsity)
    masks, share = Selection(WEIGHTS, structure, ENERGY).masks(parameters, 1e-6)
    expected = array_masks(WEIGHTS, structure, keep)
    assert masks.keys() == expected.keys()
    for key, mask in masks.items():
        np.testing.assert_array_equal(mask, expected[key], err_msg=key)
    assert float(share) == pytest.approx(_left(expected), abs=1e-3)


def _left(masks) -> float:
    return sum(mask.sum() for mask in masks.values()) / sum(mask.size for mask in masks.values())


def test_a_mask_of_zero_and_one_passes_the_gradient_of_a_sigmoid():
    """One half, every group by itself: brute force over its groups."""
    structure, slope = parse_structure("block:2x2"), 0.2
    weights = {"mask/kernel": RANDOM.standard_normal((4, 6)).astype(np.float32)}
    energy = {"mask/kernel": np.ones(4)}
    upstream = RANDOM.standard_normal((4, 6)).astype(np.float32)
    threshold = np.float32(math.log(0.9))
    selection = Selection(weights, structure, energy)

    def loss(parameters):
        masks, share = selection.masks(parameters, slope)
        return ops.sum(masks["mask/kernel"] * upstream) + 3.0 * share

    parameters = {"mask/kernel": ops.convert_to_tensor(weights["mask/kernel"])}
    parameters[THRESHOLD + "mask/kernel"] = ops.convert_to_tensor(threshold)
    _, gradient = backend.value_and_gradient(loss)(parameters)
    blocks = weights["mask/kernel"].reshape(2, 2, 3, 2).swapaxes(1, 2)
    norms = np.sqrt((blocks**2).mean(axis=(2, 3)))
    width = slope * np.sqrt((norms**2).mean())
    sigmoid = 1 / (1 + np.exp(-(norms - 0.9) / width))
    steep = sigmoid * (1 - sigmoid) / width
    by_mask = upstream.reshape(2, 2, 3, 2).swapaxes(1, 2).sum(axis=(2, 3))
    by_threshold = -(steep * (by_mask + 3.0 * 4 / 24)).sum() * 0.9
    assert float(gradient[THRESHOLD + "mask/kernel"]) == pytest.approx(by_threshold, rel=1e-4)
    by_weight = (steep * by_mask)[:, :, None, None] * blocks / (4 * norms[:, :, None, None])
    expected = by_weight.swapaxes(1, 2).reshape(4, 6)  # the penalty does not reach the weights
    np.testing.assert_allclose(gradient["mask/kernel"], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
def test_groups_of_zeros_have_a_finite_gradient(structure):
    parameters, _ = with_thresholds(parse_structure(structure), 0.5)
    silent = {k: ops.zeros_like(v) if v.ndim == 2 else v for k, v in parameters.items()}
    selection = Selection(WEIGHTS, parse_structure(structure), ENERGY)

    def loss(parameters):
        masks, share = selection.masks(parameters, 0.1)
        return sum(ops.sum(mask) for mask in masks.values()) + share

    _, gradient = backend.value_and_gradient(loss)(silent)
    assert all(np.isfinite(np.asarray(g)).all() for g in gradient.values() if g is not None)
