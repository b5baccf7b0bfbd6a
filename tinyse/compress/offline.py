"""Pruning without training: levels of sparsity, or a budget in bytes, from one float network.

Hidden units are put in order for blocks first.  Whatever is solved for anew is solved in worker
processes with one thread of BLAS each: the systems are small, and threads of BLAS that contend for
cores with anything else wait for each other a hundred times longer than they compute.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError, TinySEError
from tinyse.quant import coarsened, fitting_profile, quantise_for, read_weights
from tinyse.recipe import Compress
from tinyse.sparsity import calibration
from tinyse.sparsity.budget import budgets, largest_sparsity, sparsity_for_bytes
from tinyse.sparsity.groups import (
    Structure,
    Weights,
    halves,
    padded,
    parse_structure,
    shapes_of,
    total_sparsity,
)
from tinyse.sparsity.offline import prune_offline
from tinyse.sparsity.permute import permute
from tinyse.sparsity.shrink import shrink, units_to_keep
from tinyse.tasks import map_tasks

_CORRECTIONS = 5  # of the bytes aimed at, until those of the solved network fit
Arrays = dict[str, NDArray]


@dataclass(frozen=True)
class Pruning:
    """A network to be pruned, by what its recipe asks for.

    arrays : of its weights.npz
    frames : features [S, T, n] that say what matrices read, and that the survivors are solved for
        where the recipe says so; None where nobody listens
    """

    arrays: Weights
    settings: Compress
    frames: NDArray[np.float32] | None = None

    @property
    def structure(self) -> Structure:
        """What goes as a whole."""
        return parse_structure(self.settings.structure)

    @property
    def solves(self) -> bool:
        """Whether what stays is solved for again."""
        return self.frames is not None and self.settings.resolve

    @property
    def padded(self) -> list[str]:
        """The matrices that blocks do not divide."""
        shapes = shapes_of(halves(self.arrays))
        return padded(self.structure, shapes) if self.structure.kind == "block" else []

    def shares(self, sparsity: float) -> dict[str, float]:
        """What goes of every half, or layer; InputError where it cannot be had."""
        settings = self.settings
        if not sparsity:
            if settings.budgets:
                what = "shares by hand, where nothing is to go"
                raise InputError(what, "compress.budgets", "ask for a sparsity above 0")
            return {}
        return budgets(
            self.arrays,
            self.structure,
            sparsity,
            energy=self.energy if settings.share_by == "energy" else None,
            by_hand=settings.budgets,
            floor=settings.floor,
        )

    def comes_to(self, shares: dict[str, float]) -> tuple[float, int]:
        """(sparsity, number of groups) of the whole with these shares of halves, or of layers."""
        if self.structure.kind == "unit":
            keep = units_to_keep(self.arrays, shares)
            found = self.sparsity(shrink(self.arrays, keep)[0])
            return found, sum(units.size for units in keep.values())
        shapes = shapes_of(halves(self.arrays))
        sizes = {name: math.prod(self.structure.grid(shape)) for name, shape in shapes.items()}
        gone = sum(sizes[name] * share for name, share in shares.items())
        return gone / sum(sizes.values()), sum(sizes.values())

    @cached_property
    def energy(self) -> dict[str, NDArray[np.float64]] | None:
        """E x^2 of what every matrix reads, over the frames."""
        if self.frames is None:
            return None
        return calibration.energies(calibration.forward(self.arrays, self.frames).inputs)

    def at(self, sparsity: float) -> Arrays:
        """The arrays at a sparsity; units are taken out, not only set to zero."""
        shares = self.shares(sparsity)
        frames = self.frames if self.solves else None
        pruned = prune_offline(self.arrays, self.structure, shares, frames)
        if self.structure.kind == "unit" and shares:
            pruned, _ = shrink(pruned, units_to_keep(self.arrays, shares))
        return coarsened(pruned, self.settings.weight_bits)

    def in_order(self, sparsity: float) -> Pruning:
        """The same network, its units in the order that keeps most at a sparsity in blocks."""
        if not (self.settings.permute and sparsity and self.structure.kind == "block"):
            return self
        arrays, _ = permute(self.arrays, self.structure, sparsity, energy=self.energy)
        return dataclasses.replace(self, arrays=arrays)

    def sparsity(self, pruned: Weights) -> float:
        """Share of groups that is zero in what `at` gave; for units, of weights that are gone."""
        if self.structure.kind != "unit":
            return total_sparsity(self.structure, pruned)
        left, everything = (
            sum(matrix.size for matrix in halves(arrays).values())
            for arrays in (pruned, self.arrays)
        )
        return 1 - left / everything

    def sparsity_for(self, limit: int, account: str) -> float:
        """The least sparsity at which the network, pruned by magnitude, has at most `limit` bytes.

        Raises InputError for an account that is not there, and for bytes that cannot be had.
        """
        settings = msgspec.structs.replace(self.settings, resolve=False)
        plain = dataclasses.replace(self, settings=settings)
        largest = largest_sparsity(self.arrays, self.structure)
        return sparsity_for_bytes(limit, lambda s: bytes_of(plain.at(s), account), account, largest)


def prune_levels(pruning: Pruning, levels: tuple[float, ...]) -> list[Arrays]:
    """The arrays at every level, each from the same float weights."""
    if not pruning.solves:
        return [*map(pruning.in_order(max(levels)).at, levels)]
    (ordered,) = map_tasks(pruning.in_order, [max(levels)], apart=True)
    return map_tasks(ordered.at, levels, apart=True)


def prune_to_bytes(pruning: Pruning, limit: int, account: str) -> tuple[float, Arrays]:
    """The sparsity that meets a budget, and the arrays there.

    Solving for the survivors changes what they are, and so what a coder makes of them: where the
    bytes are too many, it is done again for as many fewer.
    """
    search = partial(_to_bytes, pruning, limit)
    (found,) = map_tasks(search, [account], apart=pruning.solves)
    return found


def _to_bytes(pruning: Pruning, limit: int, account: str) -> tuple[float, Arrays]:
    aimed = limit
    for _ in range(_CORRECTIONS):
        sparsity = pruning.sparsity_for(aimed, account)
        arrays = pruning.in_order(sparsity).at(sparsity)
        found = bytes_of(arrays, account)
        if found <= limit:
            return sparsity, arrays
        aimed = min(aimed - 1, aimed * limit // found)
    what = f"ended {found - limit:,} bytes above {limit:,} ({account})"
    raise TinySEError(what, "budget", "give a sparsity")


def bytes_of(arrays: Weights, account: str) -> int:
    """Bytes of the network's int8 file by an account; InputError names those that there are."""
    from tinyse.audit import ACCOUNTS, account_bytes
    from tinyse.pack.files import NATIVE_ACCOUNTS, native_bytes

    if account not in (*ACCOUNTS, *NATIVE_ACCOUNTS):
        known = ", ".join((*ACCOUNTS, *NATIVE_ACCOUNTS))
        what, remedy = f"unknown account {account!r}", f"use {known}"
        raise InputError(what, "--account", remedy)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]  # no key is called allow_pickle
        floats = read_weights(path)
    profile = fitting_profile(floats)
    network = quantise_for(floats, "budget", profile)
    if account in NATIVE_ACCOUNTS:
        return native_bytes(network, (account,))[account]
    return account_bytes(network, account, profile=profile)
