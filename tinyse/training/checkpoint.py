"""Everything a run needs to go on, in one npz that is never half-written.

Batches depend on (seed, step) alone and the learning rate on the step, so the state of a run is
its parameters, Adam's moments, the step, and the sums the log line of the running epoch needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.files import atomic_file
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
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            for key in file.files:
                part, _, name = key.partition("/")
                parts[part][name] = file[key]
        progress = Progress(**{name: value.item() for name, value in parts.pop("progress").items()})
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise InputError(f"is no checkpoint ({error})", path, "start the run anew") from error
    fixed = parts.pop("fixed")
    return State(**parts), progress, fixed
