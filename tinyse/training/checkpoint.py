"""Everything a run needs to go on, in one npz that is never half-written.

Batches depend on (seed, step) alone and the learning rate on the step, so the state of a run is
its parameters, Adam's moments, the step, and the sums the log line of the running epoch needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError, ResumeRefused
from tinyse.files import atomic_file, read_npz
from tinyse.training.groups_in_graph import THRESHOLD
from tinyse.training.step import State


@dataclass
class Progress:
    """Where a run stands.

    step : steps done; loss_sum : of the running epoch; best : best validation figure so far
    best_epoch : the epoch that reached it; seconds, waited_s : wall time, and of it waiting
    counted : steps in loss_sum, where epochs differ in length
    """

    step: int = 0
    loss_sum: float = 0.0
    best: float = -np.inf
    best_epoch: int = -1
    seconds: float = 0.0
    waited_s: float = 0.0
    counted: int = 0


def save(
    path: Path, state: State, progress: Progress, fixed: Mapping[str, NDArray | np.generic]
) -> None:
    """Write a checkpoint; `fixed` are arrays of the run that no step changes."""
    arrays: dict[str, NDArray | np.generic] = {
        f"fixed/{name}": value for name, value in fixed.items()
    }
    for part, values in zip(State._fields, state, strict=True):
        arrays |= {f"{part}/{name}": np.asarray(value) for name, value in values.items()}
    arrays |= {f"progress/{name}": np.asarray(value) for name, value in vars(progress).items()}
    with atomic_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # no key is called allow_pickle


def load(path: Path) -> tuple[State, Progress, dict[str, NDArray]]:
    """What `save` wrote; InputError if it is missing or damaged."""
    parts: dict[str, dict[str, NDArray]] = {"fixed": {}, "progress": {}}
    parts |= {name: {} for name in State._fields}
    fault, remedy = "is no checkpoint", "start the run anew"
    arrays = read_npz(path, fault, remedy)
    try:
        for key, array in arrays.items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        progress = Progress(**{name: value.item() for name, value in parts.pop("progress").items()})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{fault} ({error})", path, remedy) from error
    fixed = parts.pop("fixed")
    return State(**parts), progress, fixed


def take_up(
    path: Path, shapes: Mapping[str, tuple[int, ...]], fixed: Iterable[str]
) -> tuple[State, Progress, dict[str, NDArray]]:
    """What `load` gives, to go on from it; ResumeRefused where another run would go on.

    shapes : of every parameter of the network; fixed : what the run cannot do without
    """
    found = load(path)
    there = {
        name: np.shape(value)
        for name, value in found[0].parameters.items()
        if not name.startswith(THRESHOLD)
    }
    if other := {name for name in {*there, *shapes} if there.get(name) != shapes.get(name)}:
        what = f"is of another network: {min(other)} has shape {there.get(min(other))}"
        raise ResumeRefused(f"{what}, not {shapes.get(min(other))}", path, "start a new run")
    if not found[2].keys() >= set(fixed):
        raise ResumeRefused("is of another kind of run", path, "start a new run")
    return found
