"""What a user would hear, as figures with the bounds they are held to.

    behaviour(model, mixtures) -> {clean, silence, noise, level, start, hour, verdicts}

rows      clean speech, noise alone, input levels and the first half second: row by row of a list
hour      silence, and an hour without a reset
verdicts  each figure beside its bound

Everything goes through the file itself on a runtime, as `evaluate` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinyse.audio.lists import MixtureList, MixtureRow, PairRow, read_list
from tinyse.behaviour.hour import EXACT, hour_of, silence_of
from tinyse.behaviour.rows import Work, heard_row, summary_of
from tinyse.behaviour.verdicts import as_text, verdicts_of
from tinyse.enhance import ModelFiles, Source, find_model, open_source
from tinyse.errors import InputError
from tinyse.evaluate import spread
from tinyse.tasks import map_tasks

ROWS = 120  # noisy rows that are heard at every level
MINUTES = 60
MINUTE_ROWS = 12  # of 5 s: what the minute that is repeated is made of

__all__ = ["MINUTES", "ROWS", "as_text", "behaviour", "sources_of"]


def behaviour(
    model: Path | str,
    mixtures: MixtureList | Path | str,
    runtime: str = "tflm",
    *,
    limit: int = ROWS,
    minutes: int = MINUTES,
    workers: int | None = None,
    where: str = "local",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measures `model` on the rows of a list; the `behaviour` object of metrics.json.

    Parameters
    ----------
    model : a run, a published model or a `.tflite`
    mixtures : a list, or the path of its CSV file or folder of ready pairs
    limit : that many noisy rows, spread evenly; all clean rows are heard
    minutes : of the run without a reset, which needs the exported file
    progress : called with (rows done, rows)

    Raises InputError for what cannot be measured and MissingExtra for a missing package.
    """
    if limit < 1 or minutes < 2:
        what = f"expected 1 row and 2 minutes or more, got {limit} and {minutes}"
        raise InputError(what, "behaviour", "leave them out for the defaults")
    files, source = sources_of(model, runtime)
    enhancer = open_source(source)
    if not isinstance(mixtures, MixtureList):
        mixtures = read_list(Path(mixtures))
    clean, noisy = _parted(mixtures)
    noisy = spread(noisy, limit)
    empty = MixtureList(mixtures.name, mixtures.sha256, mixtures.root, ())
    work = Work(empty, source, clean_sides=not clean)
    heard = map_tasks(partial(heard_row, work), [*clean, *noisy], where, workers, progress)
    found: dict[str, Any] = {
        "runtime": runtime,
        "runtime_version": enhancer.runtime.info.version,
        "list": {"name": mixtures.name, "sha256": mixtures.sha256},
        **summary_of(heard),
        "silence": silence_of(enhancer, mixtures, (clean or noisy)[0]),
    }
    if files.exported is not None:
        found["hour"] = hour_of(files, mixtures, spread(noisy or clean, MINUTE_ROWS), minutes)
    return found | {"verdicts": verdicts_of(found)}


def sources_of(model: Path | str, runtime: str) -> tuple[ModelFiles, Source]:
    """The files of a model and what is opened; InputError where `behaviour` would end in one."""
    files = find_model(model)
    if files.exported is not None:
        files.file_for(EXACT[-1])  # the hour runs the file itself, whatever the rows run on
    return files, Source.of(files, runtime)


def _parted(
    mixtures: MixtureList,
) -> tuple[list[MixtureRow | PairRow], list[MixtureRow | PairRow]]:
    """Clean rows and noisy ones."""
    clean = [row for row in mixtures.rows if row.is_clean]
    return clean, [row for row in mixtures.rows if not row.is_clean]
