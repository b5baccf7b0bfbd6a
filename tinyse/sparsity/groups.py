"""Groups of weights: a single weight, a block, or a unit, in the exported layout [out, in].

A *half* is one gate's matrix of one kernel.  Its name is that of the array in `weights.npz`, and
for a recurrent layer the gate's letter behind it:

    lstm_0/kernel/i  lstm_0/recurrent/o    gates i, f, c, o, in Keras' order
    gru_0/kernel/z                         gates z, r, h
    dense_0/kernel   mask/kernel

A block of R rows x C columns is R outputs by C inputs of one half, the grid anchored at row 0,
column 0.  Where it does not divide the matrix, the groups at the far edges are smaller, as if the
matrix were padded; norms count the weights that are there.  A unit is a whole row here; that its
recurrent column and its consumers' columns go with it is known to `graph`.

Sparsity of a half is the share of its *groups* that are zero.  Where blocks divide the matrix this
is the share of its weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError

Weights = Mapping[str, NDArray]
Masks = Mapping[str, NDArray[np.bool_]]
Shape = tuple[int, int]

# Gates by their number, which the shape of the recurrent kernel [u, gates * u] tells.
GATE_LETTERS = {3: ("z", "r", "h"), 4: ("i", "f", "c", "o")}


@dataclass(frozen=True)
class Structure:
    """What lives and dies together; `rows` and `columns` are those of a block."""

    kind: Literal["weight", "block", "unit"]
    rows: int = 1
    columns: int = 1

    def __str__(self) -> str:
        return f"block:{self.rows}x{self.columns}" if self.kind == "block" else self.kind

    def block(self, shape: Shape) -> Shape:
        """Rows and columns of one group in a matrix of `shape`."""
        return (1, shape[1]) if self.kind == "unit" else (self.rows, self.columns)

    def grid(self, shape: Shape) -> Shape:
        """Groups down and across a matrix of `shape`."""
        rows, columns = self.block(shape)
        return -(-shape[0] // rows), -(-shape[1] // columns)

    def pads(self, shape: Shape) -> bool:
        """Whether groups at the edges of a matrix of `shape` are smaller than the others."""
        rows, columns = self.block(shape)
        return bool(shape[0] % rows or shape[1] % columns)


WITHOUT_SIZE = {"weight": Structure("weight"), "unit": Structure("unit")}


def parse_structure(text: str) -> Structure:
    """The structure of "weight", "block:RxC" or "unit"."""
    if text in WITHOUT_SIZE:
        return WITHOUT_SIZE[text]
    found = re.fullmatch(r"block:(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if found is None or not (int(found[1]) and int(found[2])):
        what = f"expected weight, block:ROWSxCOLUMNS or unit, got {text!r}"
        raise InputError(what, "structure", "for example block:4x4")
    return Structure("block", int(found[1]), int(found[2]))


def gate_letters(weights: Weights, layer: str) -> tuple[str, ...]:
    """The gates of a recurrent layer, one empty letter for a layer without gates."""
    if f"{layer}/recurrent" not in weights:
        return ("",)
    units, columns = weights[f"{layer}/recurrent"].shape
    if columns % units or columns // units not in GATE_LETTERS:
        what = f"a recurrent kernel of shape ({units}, {columns}) is neither an LSTM's nor a GRU's"
        raise InputError(what, f"{layer}/recurrent", "only LSTM, GRU and Dense can be pruned")
    return GATE_LETTERS[columns // units]


def halves(weights: Weights) -> dict[str, NDArray]:
    """Every half by its name, as views [out, in] of the arrays."""
    found = {}
    for key, array in weights.items():
        layer, _, part = key.rpartition("/")
        if part not in ("kernel", "recurrent") or "/" in layer:
            continue
        letters = gate_letters(weights, layer)
        for letter, matrix in zip(letters, np.split(array.T, len(letters)), strict=True):
            found[f"{key}/{letter}".rstrip("/")] = matrix
    return found


def array_of(half: str) -> str:
    """The array that a half is a part of: "lstm_0/kernel/i" -> "lstm_0/kernel"."""
    layer, part = half.split("/")[:2]
    return f"{layer}/{part}"


def is_recurrent(half: str) -> bool:
    """Whether a half multiplies the layer's own last output."""
    return half.split("/")[1] == "recurrent"


def refuse_oversized(structure: Structure, shapes: Mapping[str, Shape]) -> None:
    """InputError that names the first matrix which a block is larger than."""
    for name, shape in shapes.items():
        rows, columns = structure.block(shape)
        if rows > shape[0] or columns > shape[1]:
            what = f"a block of {rows}x{columns} is larger than the matrix of {shape[0]}x{shape[1]}"
            raise InputError(what, name, "choose a smaller block")


def padded(structure: Structure, shapes: Mapping[str, Shape]) -> list[str]:
    """The matrices that the groups do not divide, for the notice that says so."""
    return [name for name, shape in shapes.items() if structure.pads(shape)]


def shapes_of(matrices: Mapping[str, NDArray]) -> dict[str, Shape]:
    """Shape (out, in) of each matrix."""
    return {name: (matrix.shape[0], matrix.shape[1]) for name, matrix in matrices.items()}


def group_sums(structure: Structure, matrix: NDArray) -> NDArray:
    """Sum over each group of a matrix [out, in]: [groups down, groups across]."""
    rows, columns = structure.block(matrix.shape)
    if rows == columns == 1:
        return matrix
    down = np.add.reduceat(matrix, np.arange(0, matrix.shape[0], rows), axis=0)
    return np.add.reduceat(down, np.arange(0, matrix.shape[1], columns), axis=1)


def group_sizes(structure: Structure, shape: Shape) -> NDArray[np.int64]:
    """Weights in each group of a matrix of `shape`: [groups down, groups across]."""
    rows, columns = structure.block(shape)
    down, across = (
        np.minimum(step, size - np.arange(0, size, step))
        for size, step in zip(shape, (rows, columns), strict=True)
    )
    return np.outer(down, across)


def group_norms(structure: Structure, matrix: NDArray) -> NDArray[np.float64]:
    """RMS of each group of a matrix [out, in]: [groups down, groups across]."""
    squares = np.square(matrix, dtype=np.float64)
    return np.sqrt(group_sums(structure, squares) / group_sizes(structure, matrix.shape))


def expand(structure: Structure, keep: NDArray[np.bool_], shape: Shape) -> NDArray[np.bool_]:
    """Mask [out, in] of a matrix of `shape` from its groups that stay."""
    rows, columns = structure.block(shape)
    if keep.shape != structure.grid(shape):
        raise ValueError(f"groups {keep.shape} are not those of {structure} in {shape}")
    spread = np.repeat(np.repeat(keep, rows, axis=0), columns, axis=1)
    return spread[: shape[0], : shape[1]]


def live_groups(structure: Structure, matrix: NDArray) -> NDArray[np.bool_]:
    """Which groups hold a weight that is not zero: [groups down, groups across]."""
    return group_sums(structure, (matrix != 0).astype(np.int64)) > 0


def diagonal_groups(structure: Structure, shape: Shape) -> NDArray[np.bool_]:
    """Which groups the diagonal of a matrix of `shape` goes through."""
    rows, columns = structure.block(shape)
    found = np.zeros(structure.grid(shape), bool)
    along = np.arange(min(shape))
    found[along // rows, along // columns] = True
    return found


def groups_left(groups: int, sparsity: float) -> int:
    """How many of `groups` stay at a sparsity; a half is pruned away."""
    return groups - math.floor(sparsity * groups + 0.5)


def keep_exactly(
    norms: NDArray, count: int, ties: NDArray | None = None, first: NDArray | None = None
) -> NDArray[np.bool_]:
    """The `count` groups with the largest norms, in the shape of `norms`.

    Equal norms are told apart by `ties`, the larger first, then by their place, the earlier first:
    the same groups on every machine.  Groups in `first` (bool) come before all others.
    """
    if not 0 <= count <= norms.size:
        raise ValueError(f"cannot keep {count} of {norms.size} groups")
    values = np.asarray(norms, np.float64).ravel()
    keep = np.zeros(values.size, bool)
    ahead = np.zeros(values.size, bool) if first is None else np.asarray(first, bool).ravel()
    for places in (np.flatnonzero(ahead), np.flatnonzero(~ahead)):
        among = None if ties is None else np.asarray(ties, np.float64).ravel()[places]
        found = places[_largest(values[places], min(count, places.size), among)]
        keep[found] = True
        count -= found.size
    return keep.reshape(norms.shape)


def _largest(values: NDArray, count: int, ties: NDArray | None) -> NDArray[np.intp]:
    """Where the `count` largest are; of those equal to the last, as `keep_exactly` says.

    A partition, not a sort: a network has a million single weights, and they are ranked often.
    """
    if not count:
        return np.zeros(0, np.intp)
    least = np.partition(values, -count)[-count]
    above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    if ties is not None:
        equal = equal[np.argsort(-ties[equal], kind="stable")]
    return np.concatenate([above, equal[: count - above.size]])


def choose_groups(
    structure: Structure,
    half: str,
    norms: NDArray,
    shape: tuple[int, int],
    sparsity: float,
    ties: NDArray | None = None,
) -> NDArray[np.bool_]:
    """Which groups of a half stay, by their norms: exactly as many as its sparsity asks for.

    The diagonal of a recurrent half is kept, as LPCNet and RNNoise do, while it takes at most half
    of what stays.
    """
    count = groups_left(norms.size, sparsity)
    diagonal = diagonal_groups(structure, shape) if is_recurrent(half) else None
    if diagonal is not None and 2 * diagonal.sum() > count:
        diagonal = None
    return keep_exactly(norms, count, ties, diagonal)


def apply_masks(weights: Weights, masks: Masks) -> dict[str, NDArray]:
    """A copy of the weights in which what `masks` (half -> bool [out, in]) leaves out is zero."""
    pruned = {key: np.array(array) for key, array in weights.items()}
    there = halves(pruned)
    _refuse_unknown(masks, there)
    for name, mask in masks.items():
        there[name][~mask] = 0
    return pruned


def masks_of(weights: Weights) -> dict[str, NDArray[np.bool_]]:
    """Where the weights of every half are not zero."""
    return {name: matrix != 0 for name, matrix in halves(weights).items()}


def sparsities(structure: Structure, weights: Weights) -> dict[str, float]:
    """Share of groups that are zero, of every half."""
    return {
        name: 1 - float(live_groups(structure, matrix).mean())
        for name, matrix in halves(weights).items()
    }


def total_sparsity(structure: Structure, weights: Weights) -> float:
    """Share of groups that are zero, of the whole network."""
    live = [live_groups(structure, matrix) for matrix in halves(weights).values()]
    return 1 - sum(int(groups.sum()) for groups in live) / sum(groups.size for groups in live)


def _refuse_unknown(names: Iterable[str], there: Mapping[str, NDArray]) -> None:
    for name in names:
        if name not in there:
            remedy = f"the halves are {', '.join(there)}"
            raise InputError("there is no such matrix in the network", name, remedy)
