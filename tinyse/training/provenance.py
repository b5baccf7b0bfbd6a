"""What a run was made from, and whether a run that goes on is still made from it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tinyse import __version__
from tinyse.audio.corpora import Corpus
from tinyse.audio.lists import MixtureList
from tinyse.errors import ResumeRefused
from tinyse.files import read_json
from tinyse.network import backend
from tinyse.quant.weights import MADE_OF_WEIGHTS
from tinyse.recipe import Recipe, to_toml

# What a run adds to its folder step by step, and what is made of it: a new one in its place must
# not go on from the former, and the latter would pass for its own.
MADE = ("state", "levels", "events", "log.jsonl", "weights.npz", *MADE_OF_WEIGHTS)
_SAME = (
    *("recipe_sha256", "manifest_sha256", "valid_list_sha256", "source_sha256"),
    *("teacher_sha256", "seed", "backend", "cores"),
)


def provenance(recipe: Recipe, corpus: Corpus, valid: list[MixtureList]) -> dict:
    """What `run.json` says before the first step."""
    return {
        "schema": 1,
        "recipe": recipe.name,
        "recipe_sha256": hashlib.sha256(to_toml(recipe).encode()).hexdigest(),
        "manifest_sha256": corpus.sha256,
        "valid_list_sha256": [mixtures.sha256 for mixtures in valid],
        "seed": recipe.train.seed,
        "backend": backend.NAME,
        # XLA adds in an order that depends on the threads it has.
        "cores": backend.threads() or len(os.sched_getaffinity(0)),
        "versions": {"tinyse": __version__, "python": platform.python_version()} | _versions(),
        "commit": _commit(),
    }


def same_run(path: Path, record: dict, force: bool) -> None:
    """ResumeRefused naming what changed if the run of `path` was made from something else."""
    before = read_json(path)
    changed = [key for key in _SAME if before.get(key) != record.get(key)]
    if changed and not force:
        raise ResumeRefused(
            f"was made with another {', '.join(changed)}", path, "start a new run, or use --force"
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in ("numpy", "keras", "tensorflow", "jax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # an installed wheel has no history
    return done.stdout.strip()
