"""One row of a list: render, enhance, score.  What a worker process does.

Signals of a row, all float [n]:

    in       the noisy mixture            out      through the model
    against  through what it is compared with
    floor    through one fixed filter     ceiling  through the best mask of 128 bands

A runtime is opened once a process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import NDArray

from tinyse import metrics
from tinyse.audio.lists import Mixture, MixtureList, MixtureRow, PairRow, render
from tinyse.enhance import Source, open_source
from tinyse.errors import InputError
from tinyse.evaluate.lines import best_mask, filtered
from tinyse.metrics import CAP_DB, Reference

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Work:
    """What is done with each row.

    mixtures : the list without its rows
    floor : gains [257] of the fixed filter, None where there is none
    """

    mixtures: MixtureList
    model: Source
    against: Source | None
    metrics: tuple[str, ...]
    floor: NDArray | None
    ceiling: bool


@dataclass(frozen=True)
class Row:
    """The scores of one row: scores[signal][metric]; None is a score that does not exist."""

    id: str
    group: str
    condition: str
    snr_db: float | None
    samples: int
    scores: dict[str, Scores]
    faults: tuple[str, ...]


def _of_samples(score: Callable) -> Callable[[Reference, NDArray], float | None]:
    return lambda reference, estimate: score(reference.samples, estimate)


METRICS: dict[str, Callable[[Reference, NDArray], float | None]] = {
    "sdr": metrics.sdr,
    "si_sdr": _of_samples(metrics.si_sdr),
    "snr": _of_samples(metrics.snr),
    "estoi": _of_samples(metrics.estoi),
    "pesq": _of_samples(metrics.pesq),
}
IN_DB = ("sdr", "si_sdr", "snr")


def score_row(work: Work, row: MixtureRow | PairRow) -> Row:
    """Every score of a row; InputError names the row that cannot be scored."""
    mixture = render(work.mixtures, row)
    try:
        scores = _scores(work, mixture)
    except InputError as error:
        where = f"{work.mixtures.name} row {row.id}, {error.where}"
        raise InputError(error.what, where, error.remedy) from error
    faults = tuple(
        f"{row.id}: {signal} is silent, {metric} counted as {-CAP_DB:g} dB"
        for signal, values in scores.items()
        for metric, value in values.items()
        if value == -math.inf
    )
    bounded = {signal: _bounded(values) for signal, values in scores.items()}
    return Row(row.id, row.group, _condition(row), row.snr_db, len(mixture.target), bounded, faults)


def _condition(row: MixtureRow | PairRow) -> str:
    """The key of the row in `by_snr`."""
    if row.snr_db is None:
        return "clean" if isinstance(row, MixtureRow) else "unknown"
    return f"{row.snr_db:g}"


def _scores(work: Work, mixture: Mixture) -> dict[str, Scores]:
    reference = Reference.of(mixture.target)
    # The reference is checked before the model runs: a bad row should not cost its time.
    signals = {"in": mixture.mixture, "out": open_source(work.model).whole(mixture.mixture)}
    if work.against is not None:
        signals["against"] = open_source(work.against).whole(mixture.mixture)
    found = {name: _all_of(work.metrics, reference, signal) for name, signal in signals.items()}
    lines = {}
    if work.floor is not None:
        lines["floor"] = filtered(mixture.mixture, work.floor)
    if work.ceiling:
        lines["ceiling"] = best_mask(mixture.mixture, mixture.target)
    energies = tuple(name for name in work.metrics if name in IN_DB)
    return found | {name: _all_of(energies, reference, line) for name, line in lines.items()}


def _all_of(names: tuple[str, ...], reference: Reference, signal: NDArray) -> Scores:
    return {name: METRICS[name](reference, signal) for name in names}


def _bounded(scores: Scores) -> Scores:
    """-inf of a silent output as -100 dB: it stays in every mean and can be written as JSON."""
    return {
        name: value if value is None or name not in IN_DB else max(value, -CAP_DB)
        for name, value in scores.items()
    }
