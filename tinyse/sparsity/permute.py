"""Hidden units put in an order in which important weights share blocks.

Reordering the units of a layer changes nothing that the network computes: its gates' rows, its
recurrent columns and the columns of whoever reads it move together, and sums of integers do not
care for their order.  It changes which weights lie in one block, and so what is lost when blocks
go.  The idea is that of channel permutations for N:M sparsity (Pool and Yu, NeurIPS 2021).

What is sought is the largest energy in the best blocks.  The sum of the k largest of some values
is the least over t of k t + sum max(value - t, 0), so with the thresholds t held, every block
counts for itself, and where to put units of which one stands in each group is a linear assignment
problem.  Each step takes one unit out of some of the groups, solves where they should go, and is
kept if the retained energy has really risen: rows and columns of the recurrent kernel move at once,
which the assignment does not see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.sparsity.budget import Energy, budgets
from tinyse.sparsity.graph import Space, free_spaces, reindex
from tinyse.sparsity.groups import (
    Structure,
    Weights,
    array_of,
    group_sums,
    groups_left,
    halves,
    refuse_oversized,
    shapes_of,
)

STEPS = 250  # per layer and round; beyond it little is found
ROUNDS = 2  # over all layers: each changes what the blocks of its neighbours hold


def permute(
    weights: Weights,
    structure: Structure,
    sparsity: float,
    *,
    energy: Energy | None = None,
    seed: int = 0,
    steps: int = STEPS,
) -> tuple[dict[str, NDArray], dict[str, NDArray[np.intp]]]:
    """The reordered weights, and by layer which old unit stands at each place.

    structure, sparsity : blocks, and the sparsity of the network, for which energy is retained
    energy : E x^2 per array; weighs each column by what comes in there
    steps : per layer and round, 0 for the start alone

    Single weights and units do not care for the order, and it stays as it is.
    """
    if structure.kind != "block":
        return dict(weights), {n: np.arange(s.size) for n, s in free_spaces(weights).items()}
    refuse_oversized(structure, shapes_of(halves(weights)))
    shares = budgets(weights, structure, sparsity)
    generator = np.random.default_rng(seed)
    orders = {name: np.arange(space.size) for name, space in free_spaces(weights).items()}
    changed = dict(weights)
    for turn in range(ROUNDS):
        for name, space in free_spaces(weights).items():
            search = _Search(changed, space, structure, shares, energy)
            order = search.found(generator, steps, from_profiles=turn == 0)
            changed = reindex(changed, space, order)
            orders[name] = orders[name][order]
            if energy is not None:
                moved = {axis.array: energy[axis.array][order] for axis in space.columns}
                energy = {**energy, **moved}
    return changed, orders


def _squares(matrix: NDArray, name: str, energy: Energy | None) -> NDArray[np.float64]:
    squares = np.square(matrix, dtype=np.float64)
    return squares if energy is None else squares * energy[array_of(name)]


@dataclass
class _Half:
    """Squares [out, in] of a half, over their mean; which of its sides the units lie along."""

    squares: NDArray[np.float64]
    kept: int
    by_rows: bool
    by_columns: bool
    threshold: float = 0.0


class _Search:
    """The order of one space's units, every other order held."""

    def __init__(
        self,
        weights: Weights,
        space: Space,
        structure: Structure,
        shares: Mapping[str, float],
        energy: Energy | None,
    ) -> None:
        rows = {axis.array for axis in space.rows}
        columns = {axis.array for axis in space.columns}
        self.structure, self.size = structure, space.size
        self.halves = []
        for name, matrix in halves(weights).items():
            by_rows, by_columns = array_of(name) in rows, array_of(name) in columns
            if by_rows or by_columns:
                squares = _squares(matrix, name, energy)
                kept = groups_left(math.prod(structure.grid(matrix.shape)), shares[name])
                squares = squares / max(squares.mean(), 1e-300)
                self.halves.append(_Half(squares, kept, by_rows, by_columns))
        # Places in one group of either kind are next to each other within this many.
        self.group = math.lcm(structure.rows, structure.columns)

    def found(
        self, generator: np.random.Generator, steps: int, from_profiles: bool
    ) -> NDArray[np.intp]:
        """The best order [units] that the search comes to."""
        order = np.arange(self.size)
        best = self._retained(order)
        if from_profiles:
            start = self._by_profile()
            if self._retained(start) > best:
                order, best = start, self._retained(start)
        groups = -(-self.size // self.group)
        for _ in range(steps if groups > 1 else 0):
            taking_part = generator.integers(max(groups // 4, 2), groups + 1)
            chosen = generator.permutation(groups)[:taking_part]
            tried = self._reassigned(order, chosen, generator)
            value = self._retained(tried)
            if value > best:
                order, best = tried, value
        return order

    def _placed(self, half: _Half, order: NDArray[np.intp]) -> NDArray[np.float64]:
        squares = half.squares[order] if half.by_rows else half.squares
        return squares[:, order] if half.by_columns else squares

    def _retained(self, order: NDArray[np.intp]) -> float:
        """Energy in the best blocks; sets the thresholds that part them from the others.

        They stay those of the order asked for last, also where it is then turned down: orders one
        step apart have nearly the same, and with those of the best order no more is found.
        """
        total = 0.0
        for half in self.halves:
            sums = group_sums(self.structure, self._placed(half, order)).ravel()
            if half.kept:
                parted = np.partition(sums, sums.size - half.kept)
                half.threshold = parted[sums.size - half.kept]
                total += parted[sums.size - half.kept :].sum()
        return total

    def _reassigned(
        self, order: NDArray[np.intp], chosen: NDArray[np.intp], generator: np.random.Generator
    ) -> NDArray[np.intp]:
        """`order` with one unit of each chosen group put where it gains most."""
        from scipy.optimize import linear_sum_assignment

        last = np.minimum((chosen + 1) * self.group, self.size)
        places = generator.integers(chosen * self.group, last)
        gains = np.zeros((len(places), len(places)))  # [unit, place]
        for half in self.halves:
            if half.by_rows:
                columns = half.squares[:, order] if half.by_columns else half.squares
                gains += self._gains(columns, half.threshold, order, places, axis=0)
            if half.by_columns:
                rows = half.squares[order] if half.by_rows else half.squares
                gains += self._gains(rows.T, half.threshold, order, places, axis=1)
        units, to = linear_sum_assignment(gains, maximize=True)
        tried = order.copy()
        tried[places[to]] = order[places[units]]
        return tried

    def _gains(
        self,
        squares: NDArray,
        threshold: float,
        order: NDArray[np.intp],
        places: NDArray[np.intp],
        axis: int,
    ) -> NDArray[np.float64]:
        """What each block holds above the threshold, by unit and place: [units, places].

        squares : [units, across], units along the searched side
        """
        block = self.structure.rows, self.structure.columns
        tall, wide = block[axis], block[1 - axis]
        across = np.add.reduceat(squares, np.arange(0, squares.shape[1], wide), axis=1)
        standing = across[order]
        standing[places] = 0
        rest = np.add.reduceat(standing, np.arange(0, self.size, tall), axis=0)[places // tall]
        coming = across[order[places]]
        both = coming[:, None, :] + (rest - threshold)[None, :, :]
        return np.maximum(both, 0, out=both).sum(axis=2)

    def _by_profile(self) -> NDArray[np.intp]:
        """Groups of alike units: a strong one, then those that share most of where it is strong."""
        profiles = np.concatenate(
            [
                side
                for half in self.halves
                for side in (
                    *([self._profile(half.squares, 1)] if half.by_rows else []),
                    *([self._profile(half.squares.T, 0)] if half.by_columns else []),
                )
            ],
            axis=1,
        )
        left = list(np.argsort(-np.square(profiles).sum(axis=1), kind="stable"))
        order: list[int] = []
        while left:
            centre = left.pop(0)
            order.append(centre)
            profile = profiles[centre].copy()
            for _ in range(min(self.group - 1, len(left))):
                nearest = int(np.argmax(profiles[left] @ profile))
                order.append(left.pop(nearest))
                profile += profiles[order[-1]]
        return np.array(order, np.intp)

    def _profile(self, squares: NDArray, axis: int) -> NDArray[np.float64]:
        """Energy of each unit by block across, relative to its mean: [units, blocks]."""
        wide = (self.structure.rows, self.structure.columns)[axis]
        sums = np.add.reduceat(squares, np.arange(0, squares.shape[1], wide), axis=1)
        return sums / sums.mean()
