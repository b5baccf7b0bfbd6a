"""What a run was made from."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tinyse import __version__
from tinyse.audio.corpora import Corpus
from tinyse.audio.lists import MixtureList
from tinyse.network import backend
from tinyse.network.precision import find_cpu_calls
from tinyse.recipe import Recipe
from tinyse.run_folder import recipe_sha256


def provenance(recipe: Recipe, corpus: Corpus, valid: list[MixtureList]) -> dict:
    """What `run.json` says before the first step."""
    cpu = find_cpu_calls(recipe.train.precision)
    return {
        "schema": 1,
        "recipe": recipe.name,
        "recipe_sha256": recipe_sha256(recipe),
        "manifest_sha256": corpus.sha256,
        "valid_list_sha256": [mixtures.sha256 for mixtures in valid],
        "seed": recipe.train.seed,
        "backend": backend.NAME,
        # XLA adds in an order that depends on the threads it has.
        "cores": backend.threads() or len(os.sched_getaffinity(0)),
        # So does our own code, by the vectors of the processor that it is compiled for.
        **({} if cpu is None else {"compiled_for": cpu.machine()}),
        "versions": {"tinyse": __version__, "python": platform.python_version()} | _versions(),
        "commit": _commit(),
    }


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
