"""Pruning without training, of float weights and of an already quantised network.

By magnitude the survivors stay as they are; given calibration features they are solved for anew
(`resolve`), which is worth far more than a better choice of groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.quant import IntegerDense, IntegerGRU, IntegerLSTM, IntegerNetwork
from tinyse.sparsity.budget import Energy
from tinyse.sparsity.graph import unit_masks
from tinyse.sparsity.groups import (
    GATE_LETTERS,
    Masks,
    Structure,
    Weights,
    apply_masks,
    array_of,
    choose_groups,
    expand,
    group_norms,
    halves,
    refuse_oversized,
    shapes_of,
)
from tinyse.sparsity.resolve import solve_masked, solve_pruned
from tinyse.sparsity.shrink import units_to_keep


def prune_offline(
    weights: Weights,
    structure: Structure,
    budgets: Mapping[str, float],
    calibration: NDArray[np.float32] | None = None,
) -> dict[str, NDArray]:
    """A pruned copy of the weights; halves without a budget keep the weights that they have.

    budgets : half -> share of its groups that goes; for units, layer -> share of its units
    calibration : features [S, T, n] or [T, n], frames in stream order, a few thousand of them;
        with them the survivors are re-solved

    Raises InputError for a block larger than a matrix, naming it.
    """
    if calibration is None:
        return apply_masks(weights, choose(weights, structure, budgets))
    if structure.kind == "unit":
        return solve_masked(weights, choose(weights, structure, budgets), calibration)
    return solve_pruned(weights, structure, budgets, calibration)


def choose(
    weights: Weights,
    structure: Structure,
    budgets: Mapping[str, float],
    energy: Energy | None = None,
    ties: Energy | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Masks [out, in] by half of the groups with the largest norms, exactly as many as asked.

    energy : E x^2 per array; weighs each column by what comes in there
    ties : the same, but only for groups of equal norms
    """
    if structure.kind == "unit":
        return unit_masks(weights, units_to_keep(weights, dict(budgets), energy))
    matrices = halves(weights)
    refuse_oversized(structure, shapes_of({name: matrices[name] for name in budgets}))
    masks = {}
    for name, sparsity in budgets.items():
        shape = matrices[name].shape
        norms = _norms(structure, matrices, name, energy)
        second = None if ties is None else _norms(structure, matrices, name, ties)
        keep = choose_groups(structure, name, norms, shape, sparsity, second)
        masks[name] = expand(structure, keep, shape)
    return masks


def _norms(
    structure: Structure, matrices: Weights, name: str, energy: Energy | None
) -> NDArray[np.float64]:
    heard = matrices[name]
    if energy is not None:
        heard = heard * np.sqrt(energy[array_of(name)])
    return group_norms(structure, heard)


def prune_integer(
    network: IntegerNetwork,
    structure: Structure,
    budgets: Mapping[str, float],
    energy: Energy | None = None,
) -> IntegerNetwork:
    """An already quantised network with groups of its weights set to the byte 0.

    An int8 weight has 128 magnitudes, so many groups are equal: `energy` tells them apart, then
    their place.  Values are compared times their scale, which differs by row in dense layers.
    """
    masks = choose(weights_of(network), structure, budgets, ties=energy)
    return masked_integer(network, masks)


def weights_of(network: IntegerNetwork) -> dict[str, NDArray[np.float64]]:
    """Kernels, recurrent kernels and biases of an integer network in real units."""
    found = {}
    for layer in network.layers:
        if isinstance(layer, IntegerDense):
            found[f"{layer.name}/kernel"] = (layer.kernel * layer.kernel_scales[:, None]).T
            found[f"{layer.name}/bias"] = layer.bias * (layer.input.scale * layer.kernel_scales)
            continue
        for part, arrays, scales in _gated_parts(layer):
            found[f"{layer.name}/{part}"] = _joined(arrays, scales).T
        steps = [layer.input.scale * scale for scale in layer.kernel_scales]
        bias = _joined(layer.biases, steps)
        if isinstance(layer, IntegerGRU):
            steps = [layer.hidden.scale * scale for scale in layer.recurrent_scales]
            bias = np.stack([bias, _joined(layer.recurrent_biases, steps)])
        found[f"{layer.name}/bias"] = bias
    return found


def masked_integer(network: IntegerNetwork, masks: Masks) -> IntegerNetwork:
    """The network with the byte 0 where `masks` (half -> bool [out, in]) leaves weights out."""
    layers = []
    for layer in network.layers:
        name = layer.name
        changed: dict[str, Any] = {}
        if isinstance(layer, IntegerDense):
            changed["kernel"] = _masked(layer.kernel, masks.get(f"{name}/kernel"))
        else:
            for part, arrays, _ in _gated_parts(layer):
                named = [f"{name}/{part}/{letter}" for letter in GATE_LETTERS[len(arrays)]]
                pairs = zip(arrays, named, strict=True)
                changed[f"{part}s"] = tuple(_masked(a, masks.get(half)) for a, half in pairs)
        layers.append(dataclasses.replace(layer, **changed))
    return dataclasses.replace(network, layers=tuple(layers))


def _gated_parts(layer: IntegerLSTM | IntegerGRU) -> tuple[tuple[str, tuple, tuple], ...]:
    return (
        ("kernel", layer.kernels, layer.kernel_scales),
        ("recurrent", layer.recurrents, layer.recurrent_scales),
    )


def _joined(arrays: Sequence[NDArray], scales: Sequence[float]) -> NDArray[np.float64]:
    """Gates one below the other, in real units."""
    return np.concatenate([array * scale for array, scale in zip(arrays, scales, strict=True)])


def _masked(array: NDArray[np.int8], mask: NDArray[np.bool_] | None) -> NDArray[np.int8]:
    return array if mask is None else np.where(mask, array, 0).astype(np.int8)
