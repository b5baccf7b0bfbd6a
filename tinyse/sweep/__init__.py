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

from tinyse.errors import InputError
from tinyse.files import read_bytes, write_bytes
from tinyse.sweep.measures import Measuring
from tinyse.sweep.plan import Plan, read_plan
from tinyse.sweep.study import begin, library, settle
from tinyse.sweep.table import read_rows, write_table
from tinyse.sweep.trial import Job, run_trial
from tinyse.tasks import map_tasks, refuse_place

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
    workers : runs at a time, each with every core it finds; else one here, a core each on a cluster
    progress : called with (runs done, runs)

    Raises InputError for a plan that cannot be run, or a folder that holds another sweep.
    """
    plan = read_plan(path)
    folder = (out or Path("sweeps") / plan.name).absolute()
    _refuse_without_data(plan, data)
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
    job = Job(plan, path.absolute().parent, folder, corpus, workers == 1 and where == "local")
    map_tasks(partial(run_trial, job), left, where, workers, done)
    return folder, _record(plan, folder)


def _refuse_without_data(plan: Plan, data: Path | None) -> None:
    if not plan.trains:
        return
    if data is None:
        raise InputError("is needed to train", "--data", "name the folder of the corpus")
    if not data.is_dir():
        raise InputError("there is no such folder", data, "name the folder of the corpus")


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
