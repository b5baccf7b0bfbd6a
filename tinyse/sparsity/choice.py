"""What training and the file agree on about a choice of groups: norms, choice, masks, sparsity.

A choice is a dict: half -> bool [down, across] of its groups, or for units layer -> bool [units].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tinyse.sparsity.budget import Energy, weights_left
from tinyse.sparsity.graph import free_spaces, unit_masks
from tinyse.sparsity.groups import (
    Structure,
    Weights,
    array_of,
    expand,
    group_norms,
    groups_left,
    halves,
    keep_exactly,
)
from tinyse.sparsity.offline import choose_groups
from tinyse.sparsity.shrink import unit_norms

Norms = dict[str, NDArray[np.float64]]
Keep = dict[str, NDArray[np.bool_]]


def norms_of(weights: Weights, structure: Structure, energy: Energy | None = None) -> Norms:
    """Norm of every group, weighed by the energy E x^2 of what its columns read."""
    if structure.kind == "unit":
        return unit_norms(weights, energy)
    found = {}
    for name, matrix in halves(weights).items():
        heard = matrix if energy is None else matrix * np.sqrt(energy[array_of(name)])
        found[name] = group_norms(structure, heard)
    return found


def everything(weights: Weights, structure: Structure) -> Keep:
    """The choice that leaves the network dense."""
    if structure.kind == "unit":
        return {name: np.ones(space.size, bool) for name, space in free_spaces(weights).items()}
    return {name: np.ones(structure.grid(m.shape), bool) for name, m in halves(weights).items()}


def by_budget(
    weights: Weights, structure: Structure, norms: Norms, budgets: Mapping[str, float]
) -> Keep:
    """The largest groups of every half, exactly as many as its budget leaves."""
    if structure.kind == "unit":
        return {
            name: keep_exactly(values, groups_left(values.size, budgets[name]))
            for name, values in norms.items()
        }
    return {
        name: choose_groups(structure, name, norms[name], matrix.shape, budgets[name])
        for name, matrix in halves(weights).items()
    }


def sparsity_of(weights: Weights, structure: Structure, keep: Keep) -> float:
    """Share of groups that is gone; for units, of weights."""
    if structure.kind == "unit":
        left = weights_left(weights, {name: int(units.sum()) for name, units in keep.items()})
        return 1 - left / sum(matrix.size for matrix in halves(weights).values())
    groups = sum(part.size for part in keep.values())
    return 1 - sum(int(part.sum()) for part in keep.values()) / groups


def array_masks(weights: Weights, structure: Structure, keep: Keep) -> dict[str, NDArray]:
    """Masks float32 of 0 and 1 in the shape of every kernel and recurrent kernel."""
    arrays = {array_of(half) for half in halves(weights)}
    masks = {key: np.ones(weights[key].shape, np.float32) for key in weights if key in arrays}
    there = halves(masks)
    if structure.kind == "unit":
        by_half = unit_masks(weights, keep)
    else:
        by_half = {name: expand(structure, part, there[name].shape) for name, part in keep.items()}
    for name, mask in by_half.items():
        there[name][:] = mask
    return masks
