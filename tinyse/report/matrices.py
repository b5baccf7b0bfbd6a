"""Pictures of where a network has weights: every gate's matrix of a weights.npz, cell by cell.

A cell is 4 outputs by 4 inputs of one gate's matrix in the layout of the file, [out, in], the grid
anchored at row 0, column 0; its colour says how many of its weights are not zero.  Cells and not
weights, because 30 runs shall fit in a page: 966,656 weights are 60,416 cells, about 25 kB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.files import read_npz
from tinyse.report.charts import palette, palette_png, png_uri

CELL = 4  # weights a side
LEVELS = CELL * CELL + 1  # no weight of a cell left .. all of them
GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("update", "reset", "new")}


@dataclass(frozen=True)
class Picture:
    """One matrix: its name, [out, in], share of zeros, share of empty 4 x 4 cells, image."""

    name: str
    shape: tuple[int, int]
    sparsity: float
    empty: float
    image: str


@dataclass(frozen=True)
class LayerWeights:
    """One layer: its pictures, and how many of its weights are kept."""

    name: str
    pictures: tuple[Picture, ...]
    weights: int
    nonzero: int


def read_layers(path: Path) -> list[LayerWeights]:
    """The layers of a weights.npz in order; InputError where it is none."""
    layers: dict[str, list[tuple[str, NDArray]]] = {}
    for name, array in read_npz(path, "is no weights.npz", "write it again").items():
        layer, _, part = name.partition("/")
        if part not in ("kernel", "recurrent"):
            continue
        if array.ndim != 2:
            raise InputError(f"{name}: expected a matrix, got {array.ndim} axes", path, "remake it")
        layers.setdefault(layer, []).extend(_gates(layer, part, array, path))
    return [_layer(name, halves) for name, halves in layers.items()]


def picture(name: str, matrix: NDArray) -> Picture:
    """The picture of one gate's matrix [out, in]."""
    counts = cell_counts(matrix)
    return Picture(
        name,
        matrix.shape,
        float(np.mean(matrix == 0)),
        float(np.mean(counts == 0)),
        png_uri(palette_png(counts, palette(LEVELS))),
    )


def cell_counts(matrix: NDArray) -> NDArray[np.uint8]:
    """Weights that are not zero in each cell [rows / 4, columns / 4], of cells that are whole.

    Smaller cells at an edge are scaled up: a full one has the colour of a full one.
    """
    rows, columns = (-(-side // CELL) for side in matrix.shape)
    padded = np.zeros((rows * CELL, columns * CELL), bool)
    there = padded.copy()
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix != 0
    there[: matrix.shape[0], : matrix.shape[1]] = True
    kept, of = (
        grid.reshape(rows, CELL, columns, CELL).sum(axis=(1, 3)) for grid in (padded, there)
    )
    return np.ceil(kept / of * (LEVELS - 1)).astype(np.uint8)


def _gates(layer: str, part: str, array: NDArray, path: Path) -> list[tuple[str, NDArray]]:
    """Matrices [out, in] by name: one a gate of a recurrent layer."""
    gates = GATES.get(layer.partition("_")[0], ())
    if not gates:
        return [("weights", array.T)]
    if array.shape[1] % len(gates):
        what = f"{layer}/{part}: {array.shape[1]} columns are not {len(gates)} gates"
        raise InputError(what, path, "remake it")
    side = "from the input" if part == "kernel" else "from the state"
    split = np.split(array.T, len(gates))
    return [(f"{gate}, {side}", matrix) for gate, matrix in zip(gates, split, strict=True)]


def _layer(name: str, halves: list[tuple[str, NDArray]]) -> LayerWeights:
    return LayerWeights(
        name,
        tuple(picture(half, matrix) for half, matrix in halves),
        sum(matrix.size for _, matrix in halves),
        sum(int(np.count_nonzero(matrix)) for _, matrix in halves),
    )
