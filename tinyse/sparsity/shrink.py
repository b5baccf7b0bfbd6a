"""Units taken out of the network: the arrays become smaller, and nothing is left to skip.

Whoever reads a removed unit loses the column that read it, so the shrunk network computes what the
masked one computes.  The file's int8 weights are the same as well: a scale is that of the largest
weight that stayed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.sparsity.budget import Budgets, Energy
from tinyse.sparsity.graph import Space, free_spaces, reindex
from tinyse.sparsity.groups import Weights, array_of, groups_left, halves, keep_exactly

Keep = Mapping[str, NDArray[np.bool_]]


def unit_norms(weights: Weights, energy: Energy | None = None) -> dict[str, NDArray[np.float64]]:
    """How much each unit of each free space weighs, [units]: RMS over its rows and columns.

    Every half counts alike: its squares are divided by their mean.
    energy : E x^2 per array; weighs each column by what comes in there
    """
    squares = {}
    for name, matrix in halves(weights).items():
        heard = np.square(matrix, dtype=np.float64)
        heard = heard if energy is None else heard * energy[array_of(name)]
        squares[name] = heard / max(heard.mean(), np.finfo(float).tiny)
    return {name: _unit_norm(squares, space) for name, space in free_spaces(weights).items()}


def _unit_norm(squares: Mapping[str, NDArray], space: Space) -> NDArray[np.float64]:
    made = {axis.array for axis in space.rows}
    read = {axis.array for axis in space.columns}
    total, count = np.zeros(space.size), 0
    for name, square in squares.items():
        if array_of(name) in made:
            total, count = total + square.sum(axis=1), count + square.shape[1]
        if array_of(name) in read:
            total, count = total + square.sum(axis=0), count + square.shape[0]
    return np.sqrt(total / count)


def units_to_keep(
    weights: Weights, budgets: Budgets, energy: Energy | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Which units of each named space stay: exactly as many as its budget leaves.

    budgets : space -> share of its units that goes (`budget.budgets` for the structure unit)
    """
    norms = unit_norms(weights, energy)
    _refuse_fixed(budgets, norms)
    return {
        name: keep_exactly(norms[name], groups_left(norms[name].size, share))
        for name, share in budgets.items()
    }


def shrink(weights: Weights, keep: Keep) -> tuple[dict[str, NDArray], dict[str, int]]:
    """The weights without the units that `keep` (space -> bool [units]) leaves out, and all widths.

    The widths are those of every layer, for the recipe: layer -> units.
    Raises InputError for a layer that would be left without units, or whose units must stay.
    """
    spaces = free_spaces(weights)
    _refuse_fixed(keep, spaces)
    shrunk = dict(weights)
    for name, kept in keep.items():
        kept = np.asarray(kept, bool)
        if kept.shape != (spaces[name].size,):
            what = f"expected {spaces[name].size} units, got {list(kept.shape)}"
            raise InputError(what, name)
        if not kept.any():
            raise InputError("would be left without units", name, "keep at least one")
        shrunk = reindex(shrunk, spaces[name], np.flatnonzero(kept))
    return shrunk, {name: space.size for name, space in free_spaces(shrunk).items()}


def _refuse_fixed(names: Mapping, there: Mapping) -> None:
    for name in names:
        if name not in there:
            remedy = f"only units of {', '.join(there)} can go"
            raise InputError("has no units that can go", name, remedy)
