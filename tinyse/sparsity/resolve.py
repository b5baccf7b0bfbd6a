"""The survivors of pruning, solved for anew from calibration features.

Of all networks with the chosen zeros it takes, layer by layer, the one whose pre-activations are
nearest to the unpruned network's, on what the pruned network really reads: least squares, with a
ridge towards the weights before pruning.  Groups go in rounds, those first whose removal costs
least after the others have been solved for (Optimal Brain Surgeon; for groups: OBC, arXiv
2208.11580, and SparseGPT, arXiv 2301.00774).  The matrices are small enough for exact solutions:
the Gram matrix of a layer is n_in + units wide.

A recurrent layer reads its own last output, which changes with its weights.  While groups go it is
that of the layer before it is pruned; then, the zeros fixed, all layers are solved for again on
what the pruned network itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.sparsity.calibration import Pass, forward, layer_forward, sequences
from tinyse.sparsity.graph import layers_of
from tinyse.sparsity.groups import (
    Masks,
    Structure,
    Weights,
    apply_masks,
    choose_groups,
    expand,
    gate_letters,
    group_sizes,
    group_sums,
    halves,
    masks_of,
    refuse_oversized,
)

ROUNDS = 4
PASSES = 2  # over all layers once the zeros are fixed
RIDGE = 0.05  # of the mean energy of an input; holds back what the calibration says little about
LEAST_RIDGE = 1e-12  # where every input is constant: the weights stay, rounding moves none


@dataclass(frozen=True)
class _Statistics:
    """What matrices side by side read, and what they should have read, over the calibration.

    mean, wanted_mean [n]; gram [n, n] : covariance of what is read
    cross [n, n] : covariance of what should be read (rows) with what is
    """

    mean: NDArray[np.float64]
    wanted_mean: NDArray[np.float64]
    gram: NDArray[np.float64]
    cross: NDArray[np.float64]

    @classmethod
    def of(cls, read: NDArray[np.float32], wanted: NDArray[np.float32]) -> _Statistics:
        """Of inputs [N, n] of the network as it is, and of the unpruned one's."""
        mean, wanted_mean = (x.mean(axis=0, dtype=np.float64) for x in (read, wanted))
        # The ridge is a million times what float32 loses here, at half the time of float64.
        read, wanted = (read - mean).astype(np.float32), (wanted - wanted_mean).astype(np.float32)
        gram, cross = (x.T @ read for x in (read, wanted))
        return cls(mean, wanted_mean, *(x.astype(np.float64) / len(read) for x in (gram, cross)))

    def part(self, columns: slice) -> _Statistics:
        """Those of some of the matrices."""
        square = columns, columns
        means = self.mean[columns], self.wanted_mean[columns]
        return _Statistics(*means, self.gram[square], self.cross[square])


@dataclass(frozen=True)
class _System:
    """Matrices side by side that add up to one pre-activation, and what it should be.

    names, shapes : of the halves; matrix [out, n] : their weights before pruning
    gram [n, n] : covariance of the inputs, ridge in it; target [out, n] : gram @ weights is this
        where the pre-activations come nearest to those wanted
    statistics : for the bias, which lies in (array, row, columns)
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    matrix: NDArray[np.float64]
    gram: NDArray[np.float64]
    target: NDArray[np.float64]
    statistics: _Statistics
    bias: tuple[str, int, slice]

    @classmethod
    def of(
        cls,
        weights: Weights,
        names: tuple[str, ...],
        statistics: _Statistics,
        bias: tuple[str, int, slice],
    ) -> _System:
        """The system of halves of the unpruned weights."""
        matrices = [halves(weights)[name] for name in names]
        matrix = np.concatenate(matrices, axis=1).astype(np.float64)
        gram = statistics.gram
        ridge = max(RIDGE * np.trace(gram) / len(gram), LEAST_RIDGE)
        target = matrix @ statistics.cross + ridge * matrix
        shapes = tuple(part.shape for part in matrices)
        gram = gram + ridge * np.eye(len(gram))
        return cls(names, shapes, matrix, gram, target, statistics, bias)

    def bias_change(self, matrix: NDArray) -> NDArray[np.float64]:
        """What the bias [out] makes up for once `matrix` stands in place of the old one."""
        return self.matrix @ self.statistics.wanted_mean - matrix @ self.statistics.mean

    def solved(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The weights [out, n] under a mask that come nearest to what is wanted."""
        found = np.zeros_like(self.matrix)
        for rows in _alike(mask):
            kept = np.flatnonzero(mask[rows[0]])
            wanted = self.target[np.ix_(rows, kept)].T
            found[np.ix_(rows, kept)] = np.linalg.solve(self.gram[np.ix_(kept, kept)], wanted).T
        return found

    def split(self, beside: NDArray) -> dict[str, NDArray]:
        """What stands side by side [.., n], by half."""
        ends = np.cumsum([width for _, width in self.shapes])[:-1]
        return dict(zip(self.names, np.split(beside, ends, axis=1), strict=True))


def solve_pruned(
    weights: Weights,
    structure: Structure,
    budgets: Mapping[str, float],
    calibration: NDArray[np.float32],
) -> dict[str, NDArray]:
    """A copy of the weights, pruned to `budgets` (half -> share of its groups that goes).

    calibration : features [S, T, n] or [T, n]
    """

    def solution(system: _System) -> NDArray | None:
        if not set(system.names) & set(budgets):
            return None
        return _pruned_in_rounds(system, structure, budgets)

    unpruned = forward(weights, calibration)
    solved = _layer_by_layer(weights, weights, unpruned, calibration, solution)
    masks = {name: mask for name, mask in masks_of(solved).items() if name in budgets}
    return _passes(weights, solved, masks, unpruned, calibration)


def solve_masked(
    weights: Weights, masks: Masks, calibration: NDArray[np.float32]
) -> dict[str, NDArray]:
    """A copy of the weights under masks, half -> bool [out, in]."""
    unpruned = forward(weights, calibration)
    return _passes(weights, apply_masks(weights, masks), masks, unpruned, calibration)


def _passes(
    weights: Weights,
    solved: Weights,
    masks: Masks,
    unpruned: Pass,
    calibration: NDArray[np.float32],
) -> dict[str, NDArray]:
    """Solves for what is under the masks, from network `solved`, as often as PASSES says."""
    there = {**masks_of(weights), **masks}

    def solution(system: _System) -> NDArray | None:
        if not set(system.names) & set(masks):
            return None
        return system.solved(np.concatenate([there[name] for name in system.names], axis=1))

    for _ in range(PASSES):
        solved = _layer_by_layer(weights, solved, unpruned, calibration, solution)
    return dict(solved)


def _layer_by_layer(
    weights: Weights,
    start: Weights,
    unpruned: Pass,
    calibration: NDArray[np.float32],
    solution: Callable[[_System], NDArray | None],
) -> dict[str, NDArray]:
    """The network `start`, its layers replaced one after the other by what comes nearest.

    weights, unpruned : the unpruned network, whose pre-activations are wanted, and what it reads
    """
    solved = {key: np.array(array) for key, array in start.items()}
    x, layers = sequences(weights, calibration), layers_of(weights)
    for layer in layers:
        seen = layer_forward(solved, layer, x)
        for system in _systems(weights, layer, seen, unpruned):
            matrix = solution(system)
            if matrix is not None:
                _store(solved, weights, system, matrix)
        x = layer_forward(solved, layer, x).output if layer != layers[-1] else x
    return solved


def _systems(weights: Weights, layer: str, seen: Pass, unpruned: Pass) -> Iterator[_System]:
    """One per gate; the candidate of a GRU has two, for the reset gate stands between them."""
    keys = [key for key in (f"{layer}/kernel", f"{layer}/recurrent") if key in seen.inputs]
    read, wanted = (
        np.concatenate([_flat(each.inputs[key]) for key in keys], axis=1)
        for each in (seen, unpruned)
    )
    both = _Statistics.of(read, wanted)
    letters = gate_letters(weights, layer)
    width, columns = weights[keys[0]].shape
    units = columns // len(letters)
    for index, letter in enumerate(letters):
        at = slice(index * units, (index + 1) * units)
        names = tuple(f"{key}/{letter}".rstrip("/") for key in keys)
        if letter == "h":
            parts = slice(None, width), slice(width, None)
            for row, (name, part) in enumerate(zip(names, parts, strict=True)):
                bias = f"{layer}/bias", row, at
                yield _System.of(weights, (name,), both.part(part), bias)
        else:
            yield _System.of(weights, names, both, (f"{layer}/bias", 0, at))


def _flat(x: NDArray) -> NDArray:
    return x.reshape(-1, x.shape[-1])


def _alike(mask: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The rows of a mask in sets of equal ones."""
    _, which = np.unique(mask, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])


def _store(solved: dict[str, NDArray], weights: Weights, system: _System, matrix: NDArray) -> None:
    matrices = halves(solved)
    for name, part in system.split(matrix).items():
        matrices[name][:] = part
    key, row, columns = system.bias
    before, after = (x[key].reshape(-1, x[key].shape[-1]) for x in (weights, solved))
    if row < len(after):
        after[row, columns] = before[row, columns] + system.bias_change(matrix)


def _pruned_in_rounds(
    system: _System, structure: Structure, budgets: Mapping[str, float]
) -> NDArray[np.float64]:
    """Takes groups away in rounds, solving for the others after each."""
    shapes = dict(zip(system.names, system.shapes, strict=True))
    refuse_oversized(structure, shapes)
    # What is zero without being asked to stays zero.
    masks = {
        name: np.ones(part.shape, bool) if name in budgets else part != 0
        for name, part in system.split(system.matrix).items()
    }
    matrix = system.matrix
    for step in range(1, ROUNDS + 1):
        mask = np.concatenate(list(masks.values()), axis=1)
        costs = _removal_costs(system, matrix, mask, structure)
        for name in [name for name in system.names if name in budgets]:
            # The same factor of density each round.
            sparsity = 1 - (1 - budgets[name]) ** (step / ROUNDS)
            keep = choose_groups(structure, name, costs[name], shapes[name], sparsity)
            masks[name] = expand(structure, keep, shapes[name])
        matrix = system.solved(np.concatenate(list(masks.values()), axis=1))
    return matrix


def _removal_costs(
    system: _System, matrix: NDArray, mask: NDArray[np.bool_], structure: Structure
) -> dict[str, NDArray[np.float64]]:
    """Rise of the squared error by each group's removal, the others re-solved; -1 where it is gone.

    w_g' (inv(H)_gg)^-1 w_g by row, with H over what the row still has; per weight of the group.
    """
    spans = _column_blocks(structure, system.shapes)
    padded = np.append(matrix, np.zeros((len(matrix), 1)), axis=1)
    by_row = np.full((len(matrix), len(spans)), -1.0)
    for rows in _alike(mask):
        kept = np.flatnonzero(mask[rows[0]])
        inverse = np.linalg.inv(system.gram[np.ix_(kept, kept)])
        place = np.full(matrix.shape[1] + 1, -1)
        place[kept] = np.arange(len(kept))
        alive = (place[spans] >= 0).any(axis=1)
        places, columns = place[spans[alive]], spans[alive]  # [blocks, C], -1 beyond the edge
        there = places >= 0
        blocks = inverse[places[:, :, None], places[:, None, :]]
        blocks = np.where(there[:, :, None] & there[:, None, :], blocks, np.eye(spans.shape[1]))
        values = np.where(there, padded[rows][:, columns], 0)
        undone = np.linalg.solve(blocks, values.transpose(1, 2, 0))
        by_row[np.ix_(rows, np.flatnonzero(alive))] = np.einsum("rbc,bcr->rb", values, undone)
    found, start = {}, 0
    for name, shape in zip(system.names, system.shapes, strict=True):
        down, across = structure.grid(shape)
        tall = Structure("block", structure.block(shape)[0], 1)
        total = group_sums(tall, by_row[:, start : start + across])
        found[name] = total.reshape(down, across) / group_sizes(structure, shape)
        start += across
    return found


def _column_blocks(structure: Structure, shapes: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """Columns of each block across matrices side by side: [blocks, C], the total as padding."""
    total, found, start = sum(width for _, width in shapes), [], 0
    for shape in shapes:
        columns = structure.block(shape)[1]
        grid = np.arange(structure.grid(shape)[1])[:, None] * columns + np.arange(columns)
        found.append(np.where(grid < shape[1], grid + start, total))
        start += shape[1]
    return np.concatenate(found)
