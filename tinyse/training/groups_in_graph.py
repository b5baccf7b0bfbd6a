"""`tinyse.sparsity.groups` inside a training graph: the same norms and masks, with gradients.

Arrays lie as in `weights.npz`, [n, gates * u]; the exported matrix of a gate is its transpose, so a
block of R rows x C columns is C x R here.  Groups of an array are [across, gates, down]: all gates
at once, where `groups` has [down, across] for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.network.build import Parameters
from tinyse.network.integers import straight_through
from tinyse.network.tensors import Tensor
from tinyse.sparsity.budget import Energy
from tinyse.sparsity.graph import Space, free_spaces
from tinyse.sparsity.groups import Structure, Weights, array_of, gate_letters, group_sizes, halves

THRESHOLD = "threshold/"  # in front of the name of a half or layer: the log of its threshold
_Stays = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
_TINY = 1e-20  # keeps the gradient of a root finite where all weights of a group are zero


def group_norms(structure: Structure, array: Tensor, gates: int) -> Tensor:
    """RMS of every group of an array [n, gates * u]: [across, gates, down]."""
    across, columns, down, rows = _grid(structure, array.shape, gates)
    n, units = array.shape[0], array.shape[1] // gates
    split = ops.reshape(array, (n, gates, units))
    if rows == columns == 1:
        return ops.abs(split)
    padded = ops.pad(split, ((0, across * columns - n), (0, 0), (0, down * rows - units)))
    blocks = ops.reshape(padded, (across, columns, gates, down, rows))
    sizes = group_sizes(structure, (units, n)).T[:, None].astype(np.float32)
    return ops.sqrt(ops.sum(blocks * blocks, axis=(1, 4)) / sizes + _TINY)


def expand(structure: Structure, keep: Tensor, shape: tuple[int, int], gates: int) -> Tensor:
    """Mask [n, gates * u] of an array from its groups [across, gates, down]."""
    across, columns, down, rows = _grid(structure, shape, gates)
    n, units = shape[0], shape[1] // gates
    spread = ops.broadcast_to(keep[:, None, :, :, None], (across, columns, gates, down, rows))
    whole = ops.reshape(spread, (across * columns, gates, down * rows))
    return ops.reshape(whole[:n, :, :units], (n, gates * units))


def _grid(structure: Structure, shape: tuple[int, int], gates: int) -> tuple[int, int, int, int]:
    """Groups across, their columns, groups down, their rows."""
    exported = shape[1] // gates, shape[0]
    (down, across), (rows, columns) = structure.grid(exported), structure.block(exported)
    return across, columns, down, rows


class Selection:
    """Masks from trained thresholds, and the share of weights that they leave.

    energy : E x^2 per array; weighs each column by what comes in there
    """

    def __init__(self, weights: Weights, structure: Structure, energy: Energy) -> None:
        arrays = list(dict.fromkeys(array_of(half) for half in halves(weights)))
        self._structure = structure
        self._gates = {key: len(gate_letters(weights, key.split("/")[0])) for key in arrays}
        self._names = {key: [h for h in halves(weights) if array_of(h) == key] for key in arrays}
        self._heard = {key: np.sqrt(energy[key]).astype(np.float32)[:, None] for key in arrays}
        self._spaces = free_spaces(weights)
        self._weights = sum(weights[key].size for key in arrays)
        self._masks = self._of_units if structure.kind == "unit" else self._of_groups

    def masks(self, parameters: Mapping[str, Tensor], slope: Tensor) -> tuple[Parameters, Tensor]:
        """(array -> mask [n, m], share that stays) of the parameters' thresholds.

        Masks are 0 or 1 and the share is a sum of sigmoids; both pass gradients through sigmoids
        of width `slope` to thresholds, the masks also to weights.
        """
        return self._masks(parameters, partial(_stays, slope=slope))

    def _of_groups(
        self, parameters: Mapping[str, Tensor], stays: _Stays
    ) -> tuple[Parameters, Tensor]:
        masks, left = {}, 0.0
        for key, gates in self._gates.items():
            norms = group_norms(self._structure, parameters[key] * self._heard[key], gates)
            logs = ops.stack([parameters[THRESHOLD + name] for name in self._names[key]])
            thresholds = ops.exp(logs)[:, None]
            spread = ops.sqrt(ops.mean(norms * norms, axis=(0, 2)))[:, None] + _TINY
            keep, soft = stays(norms, thresholds, spread)
            n, columns = parameters[key].shape
            masks[key] = expand(self._structure, keep, (n, columns), gates)
            sizes = group_sizes(self._structure, (columns // gates, n)).T[:, None]
            left = left + ops.sum(soft * sizes.astype(np.float32))
        return masks, left / self._weights

    def _of_units(
        self, parameters: Mapping[str, Tensor], stays: _Stays
    ) -> tuple[Parameters, Tensor]:
        keep, shares = {}, dict.fromkeys(self._gates, 1.0)
        masks = {key: ops.ones_like(parameters[key]) for key in self._gates}
        for name, norms in unit_norms(parameters, self._spaces, self._gates, self._heard).items():
            spread = ops.sqrt(ops.mean(norms * norms)) + _TINY
            threshold = ops.exp(parameters[THRESHOLD + name])
            keep[name], soft = stays(norms, threshold, spread)
            for axis in self._spaces[name].axes:
                if axis.array in masks:
                    along = ops.tile(keep[name], (axis.repeats,))
                    along = along[None, :] if axis.axis else along[:, None]
                    masks[axis.array] = masks[axis.array] * along
                    shares[axis.array] = shares[axis.array] * ops.mean(soft)
        left = sum(shares[key] * float(np.prod(parameters[key].shape)) for key in shares)
        return masks, left / self._weights


def _stays(
    norms: Tensor, thresholds: Tensor, spread: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """(0 or 1, a sigmoid) of norms against thresholds, in units of the halves' own spread.

    The first passes its gradient to norms and thresholds, the second to thresholds alone: a penalty
    on weights would be as large as it has to be to move thresholds, and drown the task's gradient.
    """
    width = slope * ops.stop_gradient(spread)
    hard = ops.cast(norms > thresholds, "float32")
    keep = straight_through(hard, ops.sigmoid((norms - thresholds) / width))
    return keep, ops.sigmoid((ops.stop_gradient(norms) - thresholds) / width)


def unit_norms(
    parameters: Mapping[str, Tensor],
    spaces: Mapping[str, Space],
    gates: Mapping[str, int],
    heard: Mapping[str, NDArray[np.float32]],
) -> dict[str, Tensor]:
    """`sparsity.shrink.unit_norms`: RMS of every unit over its rows and columns, by space.

    heard : array -> root of the energy of its inputs [n, 1]
    """
    squares = {}
    for key, count in gates.items():
        weighed = parameters[key] * heard[key]
        square = ops.reshape(weighed * weighed, (weighed.shape[0], count, -1))
        mean = ops.mean(square, axis=(0, 2), keepdims=True)
        squares[key] = square / (ops.stop_gradient(mean) + _TINY)
    found = {}
    for name, space in spaces.items():
        total, entries = 0.0, 0
        for axis in space.axes:
            if axis.array not in squares:
                continue
            square = squares[axis.array]  # [n, gates, u]
            others = (1, 2) if axis.axis == 0 else (0, 1)
            total = total + ops.sum(square, axis=others)
            entries += int(np.prod([square.shape[at] for at in others]))
        found[name] = ops.sqrt(total / entries + _TINY)
    return found
