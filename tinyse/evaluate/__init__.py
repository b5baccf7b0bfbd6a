"""Quality of an exported file on a fixed list: `evaluate(model, mixtures) -> dict`.

`evaluate_each` scores several files in one pass over the list.

    rows      one row of a list -> every score of every signal; what a worker process does
    lines     the floor and the ceiling that a figure stands between
    wiener    a textbook method        rnnoise   RNNoise from a package
    summary   scores of all rows -> `quality` and `against`, with intervals
    breakdown the same by noise class, seen and unseen, by language
    peers     the table of all methods on the same rows
    worst     the rows that gained least, and their sound
    text      the result as a table for people

Rows are independent and go through `tasks.map_tasks`.  Noisy and clean sides of a row are made
once for everything that is compared on it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tinyse.audio.lists import MixtureList, MixtureRow, PairRow, read_list
from tinyse.enhance import FLOAT_RUNTIME, ModelFiles, Source, find_model, open_source
from tinyse.errors import InputError
from tinyse.evaluate.breakdown import Corpus, breakdown, corpus_of
from tinyse.evaluate.lines import stored_floor
from tinyse.evaluate.peers import PEERS, TWIN, check_names, peers_of
from tinyse.evaluate.rows import METRICS, Row, Work, rendered, score_row
from tinyse.evaluate.summary import against_of, headline_rows, quality_of
from tinyse.evaluate.worst import refuse_used, worst_of, write_worst
from tinyse.runtimes import RUNTIMES
from tinyse.tasks import map_tasks

SCHEMA = 1
DEFAULT_METRICS = ("sdr", "si_sdr", "snr")
ROW_DIGITS = 6  # below, the number of BLAS threads shows
FLOAT = "float"  # --against float: the same model's float network

__all__ = [
    "DEFAULT_METRICS",
    "FLOAT",
    "METRICS",
    "PEERS",
    "TWIN",
    "evaluate",
    "evaluate_each",
    "refuse_used",
    "rendered",
    "split_against",
    "spread",
    "write_worst",
]


def evaluate(
    model: Path | str,
    mixtures: MixtureList | Path | str,
    runtime: str = "tflm",
    *,
    against: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    ceiling: bool = False,
    peers: Sequence[str] = (),
    limit: int | None = None,
    part: tuple[int, int] | None = None,
    workers: int | None = None,
    where: str = "local",
    with_rows: bool = False,
    worst: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Scores `model` on every row of a list; `quality`, `list`, `against`, `peers` of metrics.json.

    Parameters
    ----------
    model : a run, a published model or a `.tflite`
    mixtures : a list, or the path of its CSV file or folder of ready pairs
    against : "float" (the same model's float network), a runtime's name (the same model there),
        another model (on the same runtime), or "MODEL:float", "MODEL:RUNTIME"; compared row by row
    metrics : of sdr, si_sdr, snr, estoi, pesq; sdr is always there
    ceiling : also score the best mask that any network could give
    peers : of wiener, rnnoise, float: other methods on the same rows; brings the ceiling with it
    limit : that many rows, spread evenly over the list
    part : (k, n): every n-th row from the k-th, counted from 1; the parts make up the list
    with_rows : keep the scores of each row
    worst : name so many headline rows of the lowest SDR gain; `write_worst` writes their sound
    progress : called with (rows done, rows)

    Raises InputError for what cannot be scored (a silent row, an unknown model or runtime) and
    MissingExtra for a metric or runtime whose package is not installed.
    """
    if worst is not None and worst < 1:
        raise InputError(f"expected 1 or more, got {worst}", "worst", "leave it out for none")
    files = find_model(model)
    if not isinstance(mixtures, MixtureList):
        mixtures = read_list(Path(mixtures))
    chosen = _metrics(metrics)
    work = _work(files, runtime, mixtures, against, chosen, check_names(peers), ceiling)
    rows_of = _chosen(mixtures, limit, part)
    corpus = corpus_of(mixtures)  # a manifest that cannot be read is said before the first row
    (rows,) = _scored((work,), rows_of, where, workers, progress)
    result = _result(files, work, against, mixtures, corpus, rows)
    counted = headline_rows(rows, mixtures.headline_db)
    if peers:
        result["peers"] = peers_of(counted, work)
    if worst is not None:
        result["worst"] = worst_of(counted, worst)
    result["faults"] = [fault for row in rows for fault in row.faults]
    if with_rows:
        result["rows"] = [_flat(row) for row in rows]
    return result


def evaluate_each(
    models: Sequence[Path | str],
    mixtures: MixtureList,
    runtime: str = "tflm",
    *,
    against: str | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    limit: int | None = None,
    workers: int | None = None,
) -> list[dict[str, Any]]:
    """What `evaluate` gives of each model, from one pass over the list.

    Every row is rendered once, and the sides that all models share are scored once.
    """
    each = [find_model(model) for model in models]
    chosen = _metrics(metrics)
    works = tuple(_work(files, runtime, mixtures, against, chosen, (), False) for files in each)
    corpus = corpus_of(mixtures)
    found = _scored(works, _chosen(mixtures, limit, None), "local", workers, None)
    return [
        _result(files, work, against, mixtures, corpus, rows)
        | {"faults": [fault for row in rows for fault in row.faults]}
        for files, work, rows in zip(each, works, found, strict=True)
    ]


def _scored(
    works: tuple[Work, ...],
    chosen: Sequence[MixtureRow | PairRow],
    where: str,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[list[Row]]:
    """The rows of every work."""
    for work in works:
        open_source(work.model)  # what is wrong with a model is said before the first row
    # Training that scores its run may hold a Keras on JAX; a worker has one of its own.
    apart = any(s and s.runtime == FLOAT_RUNTIME for w in works for s in (w.against, w.twin))
    rows = map_tasks(partial(score_row, works), chosen, where, workers, progress, apart)
    return [list(of_work) for of_work in zip(*rows, strict=True)]


def _result(
    files: ModelFiles,
    work: Work,
    against: str | Path | None,
    mixtures: MixtureList,
    corpus: Corpus | None,
    rows: list[Row],
) -> dict[str, Any]:
    """What is told of a model whatever is asked."""
    headline = mixtures.headline_db
    counted = headline_rows(rows, headline)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "model": files.name,
        "runtime": work.model.runtime,
        "runtime_version": open_source(work.model).runtime.info.version,
        "file": {"name": Path(work.model.path).name, "sha256": work.model.digest},
        "list": {"name": mixtures.name, "sha256": mixtures.sha256, "rows": len(rows)},
        "quality": quality_of(rows, headline) | breakdown(counted, corpus),
    }
    if len(rows) < len(mixtures.rows):
        result["list"]["of_rows"] = len(mixtures.rows)
    if work.against is not None:
        result["against"] = _named(files, against, work.against) | against_of(rows, headline)
    return result


def _work(
    files: ModelFiles,
    runtime: str,
    mixtures: MixtureList,
    against: str | Path | None,
    metrics: tuple[str, ...],
    peers: tuple[str, ...],
    ceiling: bool,
) -> Work:
    """What is done with each row; the rows themselves travel one by one."""
    float_too = TWIN in peers and runtime != FLOAT_RUNTIME
    return Work(
        mixtures=MixtureList(mixtures.name, mixtures.sha256, mixtures.root, ()),
        model=Source.of(files, runtime),
        against=_other(files, runtime, against),
        metrics=metrics,
        floor=stored_floor(files.weights),
        ceiling=ceiling or bool(peers),
        peers=tuple(name for name in peers if name != TWIN),
        twin=Source.of(files, FLOAT_RUNTIME) if float_too else None,
    )


def _metrics(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in METRICS:
            what = f"unknown metric {name!r}"
            raise InputError(what, "metrics", f"use {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name == "sdr" or name in names)


def _other(files: ModelFiles, runtime: str, against: str | Path | None) -> Source | None:
    if against is None:
        return None
    if not str(against):
        raise InputError("is empty", "--against", f"name a model, a run or {FLOAT}")
    model, there = split_against(str(against))
    chosen = FLOAT_RUNTIME if there == FLOAT else there or runtime
    return Source.of(find_model(model) if model else files, chosen)


def split_against(against: str) -> tuple[str, str]:
    """(model, runtime) of what `evaluate` is told to compare with; "" for the same one."""
    model, _, last = against.rpartition(":")
    return (model, last) if last in (FLOAT, *RUNTIMES) else (against, "")


def _named(files: ModelFiles, against: str | Path | None, other: Source) -> dict[str, Any]:
    model, _ = split_against(str(against))
    name = find_model(model).name if model else files.name
    return {"model": name, "runtime": other.runtime, "sha256": other.digest}


def _chosen(
    mixtures: MixtureList, limit: int | None, part: tuple[int, int] | None
) -> list[MixtureRow | PairRow]:
    rows = list(mixtures.rows)
    if limit is not None and part is not None:
        raise InputError("--limit and --part exclude each other", "evaluate", "give one")
    if limit is not None:
        if limit < 1:
            raise InputError(f"expected 1 or more, got {limit}", "limit", "leave it out for all")
        return spread(rows, limit)
    if part is not None:
        number, parts = part
        if not 1 <= number <= parts <= len(rows):
            what = f"expected K/N with 1 <= K <= N <= {len(rows)}, got {number}/{parts}"
            raise InputError(what, "part", "for example 1/4")
        return rows[number - 1 :: parts]
    return rows


def spread(rows: Sequence[Any], limit: int) -> list[Any]:
    """At most `limit` of the rows, spread evenly over them."""
    count = min(limit, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]


def _flat(row: Row) -> dict[str, Any]:
    facts = dataclasses.asdict(row)
    scores = facts.pop("scores")
    del facts["faults"]
    return facts | {
        f"{metric}_{signal}": value if value is None else round(value, ROW_DIGITS)
        for signal, values in scores.items()
        for metric, value in values.items()
    }
