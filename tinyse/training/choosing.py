"""Which groups stay while a run goes on: by learned thresholds or by magnitude, then fixed.

Both methods choose by the same norms, those of the dense shadow weights that go on learning behind
their masks, so what was out can come back until the choice is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.errors import ResumeRefused, TinySEError
from tinyse.network.build import Parameters
from tinyse.recipe import Compress
from tinyse.sparsity.budget import Budgets, Curve, Energy, budgets, fixed_by_hand
from tinyse.sparsity.choice import (
    Keep,
    Norms,
    array_masks,
    by_budget,
    everything,
    norms_of,
    sparsity_of,
)
from tinyse.sparsity.dead import connected_units, fullest
from tinyse.sparsity.groups import Weights, parse_structure
from tinyse.sparsity.learned import Controller, Thresholds, cut, held_back, in_time, kept, start
from tinyse.sparsity.magnitude import updates
from tinyse.training.groups_in_graph import THRESHOLD, Selection
from tinyse.training.levels import Level

Array = TypeVar("Array")


class Chooser:
    """The choice of a run and what it takes to go on choosing.

    Attributes
    ----------
    keep : half (for units, layer) -> which of its groups stay
    masks : array -> the same as a tensor [n, m] of 0 and 1
    before_cut : sparsity that the level's thresholds had before it was made exact
    energy : E x^2 of the inputs of every array
    """

    def __init__(
        self, settings: Compress, levels: list[Level], weights: Weights, energy: Energy
    ) -> None:
        self.structure = parse_structure(settings.structure)
        self.energy = energy
        self.before_cut = 0.0
        self._settings, self._weights = settings, weights  # of these only the shapes are asked
        self._learned = settings.method == "learned"
        self._budgets: dict[int, Budgets] = {}
        choosing = [] if self._learned else [x for x in levels if x.selects]
        found = updates([x.schedules for x in choosing], settings.steps) if choosing else []
        self._updates = {x.number: each for x, each in zip(choosing, found, strict=True)}
        self._controller = Controller(settings.proportional, settings.integral)
        self._choose(everything(weights, self.structure))
        sizes = {name: part.size for name, part in self.keep.items()}
        self._by_hand = {name for name, _ in fixed_by_hand(settings.budgets, sizes)}

    def share_out(
        self, levels: list[Level], weights: Weights, curves: Mapping[str, Curve] | None = None
    ) -> None:
        """Fix the sparsity of every half at the end of every level, from dense weights.

        curves : of a scan, where the recipe asks for one
        """
        settings = self._settings
        energy = self.energy if settings.share_by == "energy" else None
        by_hand, floor = settings.budgets, settings.floor
        self._budgets = {
            level.number: budgets(
                weights, self.structure, level.sparsity,
                energy=energy, curves=curves, by_hand=by_hand, floor=floor,
            )
            for level in levels
            if level.selects
        }  # fmt: skip

    def shares(self) -> Budgets:
        """Sparsity that every half has now; a later run may ask for it in compress.budgets."""
        return {name: round(1 - float(part.mean()), 6) for name, part in self.keep.items()}

    @property
    def penalty(self) -> float:
        """Weight of the share of weights kept in the loss."""
        return self._controller.penalty

    def sparsity(self) -> float:
        """Share of groups that is gone; for units, of weights."""
        return sparsity_of(self._weights, self.structure, self.keep)

    def units(self) -> Keep:
        """Which units of every layer are left once the choice is made."""
        if self.structure.kind == "unit":
            return self.keep
        masks = {name: np.asarray(mask) for name, mask in self.masks.items()}
        return connected_units(masks, self.structure)

    def refuse_short(self, level: Level, run: Path) -> None:
        """TinySEError that says by how much a level ended short of its sparsity, if it did."""
        missing = level.sparsity - self.sparsity()
        if missing > 0.5 / sum(part.size for part in self.keep.values()):
            what = f"ended {missing:.4%} short of a sparsity of {level.sparsity:g}"
            raise TinySEError(what, run, "start the run anew")

    def selects(self, level: Level, step: int) -> bool:
        """Whether a step makes its masks from thresholds."""
        return self._learned and level.selects and step < level.freeze

    def selection(self) -> Selection:
        """What makes them in the graph."""
        return Selection(self._weights, self.structure, self.energy)

    def begin(self, level: Level, parameters: Parameters) -> Parameters:
        """The parameters that a level trains: with thresholds, where it learns them."""
        parameters = without_thresholds(parameters)
        if not level.selects:
            self._choose(everything(parameters, self.structure))
        elif self._learned:
            # The penalty that held the last level is where the next one starts.
            settings = self._settings
            self._controller = Controller(settings.proportional, settings.integral, self.penalty)
            wanted = self.shares()
            if not level.before:  # where the ramp's first choice is
                share = level.target(settings.update_every) / level.sparsity
                wanted = {name: share * by for name, by in self._budgets[level.number].items()}
            for name, threshold in start(self._norms(parameters), wanted).items():
                parameters[THRESHOLD + name] = np.asarray(math.log(threshold), np.float32)
        return parameters

    def update(self, level: Level, step: int, parameters: Parameters) -> Parameters:
        """What is decided before a step, until the choice is fixed at `level.freeze`.

        Returns the parameters that the step begins with: learned thresholds are held back.
        """
        if not level.selects or step > level.freeze:
            return parameters
        if step == level.freeze:
            self._fix(level, parameters)
        elif not self._learned:
            sparsity = self._updates[level.number].get(step)
            if sparsity is not None:
                self._choose(self._by_magnitude(level, parameters, sparsity))
        elif step % self._settings.update_every == 0:
            norms, target = self._norms(parameters), level.target(step)
            thresholds: Thresholds = _thresholds(parameters)
            if step:  # as they came: once they are put in time they always seem to be
                found = sparsity_of(self._weights, self.structure, kept(norms, thresholds))
                self._controller.steer(target, found)
            ahead = level.target(step + self._settings.update_every)
            thresholds = in_time(self._weights, self.structure, norms, thresholds, target, ahead)
            floor = self._settings.floor * self._density(target)
            thresholds = held_back(norms, thresholds, floor)
            self._choose(kept(norms, thresholds))
            held = {THRESHOLD + name: math.log(each) for name, each in thresholds.items()}
            return parameters | {name: np.asarray(x, np.float32) for name, x in held.items()}
        return parameters

    def _density(self, sparsity: float) -> float:
        """Mean share of groups that is left; of units, whose sparsity is that of weights, the
        table's."""
        if self.structure.kind != "unit":
            return 1 - sparsity
        gone = budgets(self._weights, self.structure, sparsity)
        sizes = {name: part.size for name, part in self.keep.items()}
        return 1 - sum(gone[name] * size for name, size in sizes.items()) / sum(sizes.values())

    def _fix(self, level: Level, parameters: Parameters) -> None:
        """The last choice of a level: exact to the group, or nearly so where units died."""
        if self._learned:
            norms, thresholds = self._norms(parameters), _thresholds(parameters)
            before = kept(norms, thresholds)

            def choose(sparsity: float) -> Keep:
                return cut(self._weights, self.structure, norms, thresholds, sparsity)
        else:

            def choose(sparsity: float) -> Keep:
                return self._by_magnitude(level, parameters, sparsity, self._by_hand)

            before = choose(level.sparsity)
        self.before_cut = sparsity_of(self._weights, self.structure, before)
        if self.structure.kind == "unit":
            self._choose(choose(level.sparsity))
        else:
            self._choose(fullest(choose, self._weights, self.structure, level.sparsity))

    def _by_magnitude(
        self,
        level: Level,
        parameters: Parameters,
        sparsity: float,
        fixed: Collection[str] = (),
    ) -> Keep:
        """The choice at a sparsity below the level's; what is less is not taken off `fixed`."""
        shares = self._budgets[level.number]
        gone = {name: by * self.keep[name].size for name, by in shares.items()}
        free = sum(groups for name, groups in gone.items() if name not in fixed)
        less = (1 - sparsity / level.sparsity) * sum(gone.values())
        share = max(1 - less / free, 0.0) if free else 1.0
        wanted = {name: by * (1.0 if name in fixed else share) for name, by in shares.items()}
        return by_budget(self._weights, self.structure, self._norms(parameters), wanted)

    def _norms(self, parameters: Parameters) -> Norms:
        # In the network's order: JAX sorts the names of what a step returns.
        values = {name: np.asarray(parameters[name]) for name in self._weights}
        return norms_of(values, self.structure, self.energy)

    def _choose(self, keep: Keep) -> None:
        self.keep = keep
        masks = array_masks(self._weights, self.structure, keep)
        self.masks = {name: ops.convert_to_tensor(mask) for name, mask in masks.items()}

    def arrays(self) -> dict[str, NDArray | np.generic]:
        """Its state as a checkpoint holds it."""
        controller = self._controller
        steering = np.array([controller.penalty, controller.error, self.before_cut], np.float64)
        found: dict[str, NDArray | np.generic] = {
            f"keep/{name}": part for name, part in self.keep.items()
        }
        found |= {f"energy/{name}": value for name, value in self.energy.items()}
        found |= {
            f"budget/{level}/{name}": np.float64(share)
            for level, by_half in self._budgets.items()
            for name, share in by_half.items()
        }
        return {"steering": steering, **found}

    def take_up(self, levels: list[Level], arrays: Mapping[str, NDArray]) -> None:
        """Go on from what `arrays` gave; ResumeRefused where that was of other groups or levels."""
        penalty, error, self.before_cut = arrays["steering"].tolist()
        settings = self._settings
        self._controller = Controller(settings.proportional, settings.integral, penalty, error)
        self.energy = part_of(arrays, "energy")
        for key, share in part_of(arrays, "budget").items():
            level, _, name = key.partition("/")
            self._budgets.setdefault(int(level), {})[name] = float(share)
        if any(x.selects and x.number not in self._budgets for x in levels):
            raise ResumeRefused("are more than were begun", "compress.levels", "start a new run")
        keep = part_of(arrays, "keep")
        if _shapes(keep) != _shapes(self.keep):
            raise ResumeRefused("has other groups", "compress.structure", "start a new run")
        self._choose(keep)


def without_thresholds(parameters: Parameters) -> Parameters:
    """The parameters of the network alone."""
    return {name: x for name, x in parameters.items() if not name.startswith(THRESHOLD)}


def part_of(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The arrays under `part/`, without it."""
    return {
        key.removeprefix(f"{part}/"): value
        for key, value in arrays.items()
        if key.startswith(f"{part}/")
    }


def _shapes(keep: Keep) -> dict[str, tuple[int, ...]]:
    return {name: part.shape for name, part in keep.items()}


def _thresholds(parameters: Parameters) -> dict[str, float]:
    logs = part_of(parameters, THRESHOLD.rstrip("/"))
    return {name: math.exp(float(log)) for name, log in logs.items()}
