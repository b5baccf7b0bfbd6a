"""Which axes of which arrays belong together: the dependency graph of a network.

A *space* is the set of units that one layer puts out (or the bands that the features are).  Its
units lie along axes of several arrays: of the layer's own kernel, recurrent kernel and bias, once
per gate, of the recurrent kernel's other side, and of the kernel of the layer that reads it.

    lstm_0: lstm_0/kernel axis 1 x 4    lstm_0/recurrent axis 1 x 4   lstm_0/bias axis 0 x 4
            lstm_0/recurrent axis 0     lstm_1/kernel axis 0

Whoever reorders or removes units takes the same units along all of them: `reindex` is both.  The
graph comes from the shapes and the order of the arrays, each layer reading the one before it; names
mean nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.sparsity.groups import Weights, array_of, gate_letters, halves

FEATURES = "features"


@dataclass(frozen=True)
class Axis:
    """One axis along which a space's units lie, `repeats` times one after the other."""

    array: str
    axis: int
    repeats: int = 1

    def positions(self, units: NDArray[np.intp], size: int) -> NDArray[np.intp]:
        """Where these of `size` units lie along the axis."""
        return (np.arange(self.repeats)[:, None] * size + units).ravel()


@dataclass(frozen=True)
class Space:
    """The units of one layer: where they are made (`rows` in the file) and read (`columns`).

    free : whether units may go or change places; those of the features and the mask may not
    """

    name: str
    size: int
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    free: bool

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis along which the units lie."""
        return self.rows + self.columns


def layers_of(weights: Weights) -> list[str]:
    """The layers in the order of their arrays, which is that of the forward pass."""
    return list(dict.fromkeys(array_of(half).split("/")[0] for half in halves(weights)))


def spaces(weights: Weights) -> dict[str, Space]:
    """Every space by the name of its layer, in the order of the forward pass.

    Raises InputError where the arrays do not fit together, naming the one that does not.
    """
    layers = layers_of(weights)
    sizes = {FEATURES: weights[f"{layers[0]}/kernel"].shape[0]}
    sizes |= {layer: _units(weights, layer) for layer in layers}
    reader = dict(pairwise(sizes))
    found = {}
    for name, size in sizes.items():
        rows = _made(weights, name) if name != FEATURES else _statistics(weights)
        columns = _read(weights, name, reader.get(name))
        _check(weights, name, size, rows + columns)
        found[name] = Space(name, size, rows, columns, name != FEATURES and name in reader)
    return found


def free_spaces(weights: Weights) -> dict[str, Space]:
    """The spaces whose units may go or change places."""
    return {name: space for name, space in spaces(weights).items() if space.free}


def reindex(weights: Weights, space: Space, units: NDArray[np.intp]) -> dict[str, NDArray]:
    """A copy of the weights with these units of a space, in this order.

    A permutation gives the same network; a selection gives the shrunk one.
    """
    changed = dict(weights)
    for axis in space.axes:
        positions = axis.positions(np.asarray(units), space.size)
        changed[axis.array] = np.take(changed[axis.array], positions, axis.axis)
    return changed


def unit_masks(
    weights: Weights, keep: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Masks [out, in] of every half that take units away: their rows and all that reads them.

    keep : space -> which of its units stay, bool [units]
    """
    there = spaces(weights)
    parts = {array_of(half): weights[array_of(half)] for half in halves(weights)}
    masks = {key: np.ones(array.shape, bool) for key, array in parts.items()}
    for name, kept in keep.items():
        for axis in there[name].axes:
            if axis.array in masks:
                gone = axis.positions(np.flatnonzero(~np.asarray(kept, bool)), there[name].size)
                np.moveaxis(masks[axis.array], axis.axis, 0)[gone] = False
    return halves(masks)


def _gates(weights: Weights, layer: str) -> int:
    return len(gate_letters(weights, layer))


def _units(weights: Weights, layer: str) -> int:
    return weights[f"{layer}/kernel"].shape[1] // _gates(weights, layer)


def _made(weights: Weights, layer: str) -> tuple[Axis, ...]:
    """The axes along which a layer's outputs lie."""
    gates = _gates(weights, layer)
    parts = [part for part in ("kernel", "recurrent", "bias") if f"{layer}/{part}" in weights]
    return tuple(
        Axis(f"{layer}/{part}", weights[f"{layer}/{part}"].ndim - 1, gates) for part in parts
    )


def _read(weights: Weights, name: str, reader: str | None) -> tuple[Axis, ...]:
    """The axes along which a space's units come in."""
    own = [Axis(f"{name}/recurrent", 0)] if f"{name}/recurrent" in weights else []
    return (*own, Axis(f"{reader}/kernel", 0)) if reader else tuple(own)


def _statistics(weights: Weights) -> tuple[Axis, ...]:
    keys = (f"{FEATURES}/mean", f"{FEATURES}/std")
    return tuple(Axis(key, 0) for key in keys if key in weights)


def _check(weights: Weights, name: str, size: int, axes: tuple[Axis, ...]) -> None:
    for axis in axes:
        found = weights[axis.array].shape[axis.axis]
        if found != size * axis.repeats:
            what = (
                f"axis {axis.axis} has {found} places for {axis.repeats} x {size} units of {name}"
            )
            raise InputError(what, axis.array, "the layers do not fit together")
