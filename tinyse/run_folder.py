"""A run's folder: what another run in its place takes away, and whether a run goes on as itself.

Nothing here needs Keras: pruning without training makes runs too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinyse.errors import InputError, ResumeRefused
from tinyse.files import clear, read_json
from tinyse.quant.weights import made_of_weights
from tinyse.recipe import Recipe, level_name, to_toml

LEVELS = "levels"
# What a run adds step by step, and what it leaves: a new one in its place must not go on from it.
_OF_A_RUN = (
    *("run.json", "log.jsonl", "state", "events"),
    *(LEVELS, "control", "weights.npz"),
)
_SAME = (
    *("recipe_sha256", "manifest_sha256", "valid_list_sha256", "source_sha256"),
    *("teacher_sha256", "seed", "backend", "cores"),
)
_SAME_WHERE_TOLD = ("compiled_for",)  # runs from before it was written down have none


def refuse_taken(
    run: Path, force: bool, remedy: str = "use --resume, --force or another folder"
) -> None:
    """InputError where a folder holds what a run leaves, or what was made of one."""
    if not force and any((run / name).exists() for name in ("recipe.toml", *_left(run))):
        raise InputError("holds a run already", run, remedy)


def clear_run(run: Path) -> None:
    """Take away what a former run left in a folder, and what was made of it."""
    clear(run, *_left(run))


def _left(run: Path) -> tuple[str, ...]:
    return (*_OF_A_RUN, *made_of_weights(run))


def level_folder(run: Path, sparsity: float) -> Path:
    """Where a compression has put the run of one of its levels."""
    return run / LEVELS / level_name(sparsity)


def recipe_sha256(recipe: Recipe) -> str:
    """What tells one recipe from another: every key of it."""
    return hashlib.sha256(to_toml(recipe).encode()).hexdigest()


def same_run(path: Path, record: dict, force: bool) -> None:
    """ResumeRefused naming what changed if the run of `path` was made from something else."""
    before = read_json(path)
    if not isinstance(before, dict):
        raise InputError("is no JSON object", path, "start a new run")
    changed = [key for key in _SAME if before.get(key) != record.get(key)]
    told = [key for key in _SAME_WHERE_TOLD if key in before and key in record]
    then, now = before.get("versions", {}), record.get("versions", {})
    # Another version of what computes may add up in another order.
    computing = ("keras", before.get("backend"))
    changed += [f"version of {name}" for name in computing if then.get(name) != now.get(name)]
    changed += [key for key in told if before[key] != record[key]]
    if changed and not force:
        raise ResumeRefused(
            f"was made with another {', '.join(changed)}", path, "start a new run, or use --force"
        )
