"""Dead units: those that no output of the network depends on, in this frame or a later one.

Where weights or blocks go, some units are left that nobody reads any more, or that only such units
read.  What still leads into them is computed for nothing, so it goes as well; and a unit that is
neither read nor fed is taken out of the arrays.  The network that is left puts out the same bytes
with fewer biases, states and multiply-accumulates.

Units go in whole blocks of the structure, so that the blocks that stay lie on the same grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tinyse.sparsity.choice import Keep, array_masks
from tinyse.sparsity.graph import Space, free_spaces
from tinyse.sparsity.groups import Structure, Weights, array_of, expand, halves

Units = Mapping[str, NDArray[np.bool_]]


def living_units(weights: Weights, also: Units | None = None) -> dict[str, NDArray[np.bool_]]:
    """Which units of each free space lead to an output by weights (or masks) that are not zero.

    also : units that count as read, bool [units] of some of the spaces
    """
    free = free_spaces(weights)
    living = {name: np.zeros(space.size, bool) for name, space in free.items()}
    living |= {name: np.array(units) for name, units in (also or {}).items()}
    while True:
        before = sum(int(units.sum()) for units in living.values())
        for name, space in reversed(free.items()):  # from the output back, most of it in one round
            living[name] |= _read(weights, space, living)
        if sum(int(units.sum()) for units in living.values()) == before:
            return living


def _read(weights: Weights, space: Space, living: Units) -> NDArray[np.bool_]:
    """Which units of a space lead to a living unit, or to an output."""
    found = np.zeros(space.size, bool)
    for axis in space.columns:
        reads = weights[axis.array] != 0  # [units of the space, gates * units of the reader]
        reader = axis.array.split("/")[0]
        if reader in living:
            reads = reads[:, np.tile(living[reader], reads.shape[1] // living[reader].size)]
        found |= reads.any(axis=1)
    return found


def without_dead(weights: Weights, structure: Structure, keep: Keep) -> Keep:
    """The choice without the groups that lead to dead units alone.

    weights : of these only the shapes are asked
    keep : half -> bool [down, across], of weights or blocks

    A half that would lose its last group keeps what it has: no matrix may be empty.
    """
    masks = array_masks(weights, structure, keep)
    sizes = {name: space.size for name, space in free_spaces(weights).items()}
    shapes = {name: matrix.shape for name, matrix in halves(weights).items()}
    also = {name: np.zeros(size, bool) for name, size in sizes.items()}
    while True:
        living = living_units(masks, also)
        left, emptied = {}, False
        for half, groups in keep.items():
            layer = half.split("/")[0]
            left[half] = groups
            if layer not in living:
                continue
            starts = np.arange(0, sizes[layer], structure.rows)
            found = groups & np.logical_or.reduceat(living[layer], starts)[:, None]
            if found.any():
                left[half] = found
            else:
                fed = expand(structure, groups, shapes[half]).any(axis=1)
                emptied |= bool((fed & ~also[layer]).any())
                also[layer] |= fed
        if not emptied:
            return left


def fullest(
    choose: Callable[[float], Keep], weights: Weights, structure: Structure, sparsity: float
) -> Keep:
    """A choice without dead units' groups that keeps as many as `choose(sparsity)`, or a few less.

    choose : the choice at a sparsity; what it would give to dead units goes to others instead, by
        asking it for less sparsity
    """
    first = choose(sparsity)
    total, most = sum(part.size for part in first.values()), _count(first)
    best = without_dead(weights, structure, first)
    low, high = most, min(2 * most, total)
    while _count(best) < most and high - low > 1:
        asked = (low + high) // 2
        found = without_dead(weights, structure, choose(1 - asked / total))
        if _count(found) > most:
            high = asked
        else:
            low, best = asked, max(best, found, key=_count)
    return best


def _count(keep: Keep) -> int:
    return sum(int(part.sum()) for part in keep.values())


def connected_units(weights: Weights, structure: Structure) -> dict[str, NDArray[np.bool_]]:
    """Which units of each free space are read or fed by weights (or masks) that are not zero.

    A unit of the same block as one of these counts as one, and of a layer without any the first.
    """
    matrices = {array_of(half) for half in halves(weights)}
    step = math.lcm(structure.rows, structure.columns)
    found = {}
    for name, space in free_spaces(weights).items():
        used = np.zeros(space.size, bool)
        for axis in space.axes:
            if axis.array in matrices:
                along = np.moveaxis(weights[axis.array] != 0, axis.axis, 0).any(axis=1)
                used |= along.reshape(axis.repeats, space.size).any(axis=0)
        used[0] |= not used.any()
        by_block = np.logical_or.reduceat(used, np.arange(0, space.size, step))
        found[name] = np.repeat(by_block, step)[: space.size]
    return found
