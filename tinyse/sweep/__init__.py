"""Many runs from one file: `tinyse sweep SWEEP.toml`.

plan    SWEEP.toml -> a strict structure; the keys, and what they may be
study   which settings come next and which runs stop early: Optuna, its journal on disk
trial   one run, from its recipe to its figures, wherever it is computed
measures  figures of the files a run has made
table   one row a run, or one for each of its levels

The folder of a sweep:

    sweep.toml      a copy: the sweep can only go on as itself
    study.journal   Optuna's: every trial that was begun, its settings, what it reported
    runs/N/         a run each, as `train` and `compress` leave it, with model.tflite, inspect.json,
                    evaluate.json if a list was named, and row.json when it is done
    table.csv       the rows of all that are done

It can be killed at any moment.  A run that has its row.json is done; one that was begun goes on
from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinyse.audio.corpora import read_manifest
from tinyse.audio.lists import list_of_corpus
from tinyse.errors import InputError
from tinyse.files import read_bytes, write_bytes
from tinyse.sweep.measures import Measuring
from tinyse.sweep.plan import Plan, read_plan, recipes
from tinyse.sweep.study import begin, library, settle
from tinyse.sweep.table import read_rows, write_table
from tinyse.sweep.trial import Job, run_trial
from tinyse.tasks import cores_each, map_tasks, refuse_place

__all__ = ["Plan", "read_plan", "sweep"]

COPY, TABLE, RUNS = "sweep.toml", "table.csv", "runs"


def sweep(
    path: Path,
    data: Path | None = None,
    out: Path | None = None,
    where: str = "local",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, list[dict[str, Any]]]:
    """Run, or go on with, the sweep in `path`; its folder and a row a run.

    Parameters
    ----------
    data : folder of the corpus
    out : the sweep's folder; else `sweeps/NAME`
    where : "local" or "ray://HOST:PORT"; a cluster sees `data`, `path` and `out` by the same paths
    workers : runs at a time, which share the cores of this machine out; else one, with all of them,
        and on a cluster as many as it has cores
    progress : called with (runs done, runs)

    Raises InputError for a plan that cannot be run, or a folder that holds another sweep.
    """
    plan = read_plan(path)
    folder = (out or Path("sweeps") / plan.name).absolute()
    _refuse_without_data(plan, data, path.absolute().parent)
    Measuring.of(plan, path.absolute().parent, data, None)
    refuse_place(where, workers)
    library()
    _same_sweep(folder / COPY, read_bytes(path))
    numbers = begin(plan, folder)
    left = [n for n in numbers if not (folder / RUNS / f"{n}" / "row.json").exists()]

    def done(finished: int, _: int) -> None:
        _record(plan, folder)
        if progress is not None:
            progress(len(numbers) - len(left) + finished, len(numbers))

    done(0, 0)
    corpus = None if data is None else data.absolute()
    if where == "local":
        workers = workers or 1
    alone = workers == 1 and where == "local"
    job = Job(plan, path.absolute().parent, folder, corpus, alone)
    # By what was asked and not by what is left: a run that goes on must have as many as before.
    threads = cores_each(workers or 1)
    run = partial(run_trial, job)
    map_tasks(run, left, where, workers, done, apart=not alone, threads=threads)
    return folder, _record(plan, folder)


def _refuse_without_data(plan: Plan, data: Path | None, beside: Path) -> None:
    """What is wrong with the corpus and its lists is no run's fault, so it is said before any."""
    if data is None:
        if plan.trains:
            raise InputError("is needed to train", "--data", "name the folder of the corpus")
        return
    if not data.is_dir():
        raise InputError("there is no such folder", data, "name the folder of the corpus")
    manifests: set[str] = set()
    lists: set[str] = set()
    for recipe in recipes(plan, beside):
        settings = recipe.compress
        if plan.command == "train" or settings is None or settings.method != "offline":
            lists |= {recipe.data.valid_list, recipe.data.rooms_list} - {""}
        elif not settings.hears:
            continue
        manifests.add(recipe.data.manifest)
    for manifest in sorted(manifests):
        read_manifest(data / manifest)
    for name in sorted(lists):
        list_of_corpus(name, data)


def _record(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """Tells the study of every run that is done, and writes the table."""
    rows = read_rows(folder / RUNS)
    settle(plan, folder, rows)
    write_table(folder / TABLE, rows)
    return rows


def _same_sweep(copy: Path, text: bytes) -> None:
    if copy.exists() and read_bytes(copy) != text:
        what = "was begun with another SWEEP.toml"
        raise InputError(what, copy.parent, "use another --out, or the file as it was")
    write_bytes(copy, text)
