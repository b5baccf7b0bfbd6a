"""One row of a list: render, enhance, score.  What a worker process does.

Signals of a row, all float [n]:

    in       the noisy mixture            out      through the model
    against  through what it is compared with
    floor    through one fixed filter     ceiling  through the best mask of 128 bands
    wiener, rnnoise, float                through the peers

A runtime is opened once a process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse import metrics
from tinyse.audio.data_check import CLIPPED_SHARE, SILENCE_DBFS, clipped_samples
from tinyse.audio.lists import Mixture, MixtureList, MixtureRow, PairRow, render
from tinyse.enhance import Source, open_source
from tinyse.errors import InputError
from tinyse.evaluate import rnnoise, wiener
from tinyse.evaluate.lines import best_mask, filtered
from tinyse.metrics import CAP_DB, Reference
from tinyse.metrics.signals import SHORTEST

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Work:
    """What is done with each row.

    mixtures : the list without its rows
    floor : gains [257] of the fixed filter, None where there is none
    peers : of wiener, rnnoise
    twin : the float network among the peers, None where it is not asked for
    """

    mixtures: MixtureList
    model: Source
    against: Source | None
    metrics: tuple[str, ...]
    floor: NDArray | None
    ceiling: bool
    peers: tuple[str, ...] = ()
    twin: Source | None = None


@dataclass(frozen=True)
class Row:
    """The scores of one row: scores[signal][metric]; None is a score that does not exist."""

    id: str
    group: str
    condition: str
    snr_db: float | None
    noise_class: str
    noise_group: str
    samples: int
    scores: dict[str, Scores]
    faults: tuple[str, ...]

    @property
    def sdr_gain(self) -> float:
        """Output minus input, dB; both are always there."""
        out, before = self.scores["out"]["sdr"], self.scores["in"]["sdr"]
        assert out is not None and before is not None
        return out - before


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
METHODS: dict[str, Callable[[NDArray], NDArray]] = {
    "wiener": wiener.enhanced,
    "rnnoise": rnnoise.enhanced,
}


def rendered(mixtures: MixtureList, row: MixtureRow | PairRow) -> Mixture:
    """The samples of a row; InputError names one that is silent, clipped or under a second."""
    mixture = render(mixtures, row)
    for side, samples in (("reference", mixture.target), ("mixture", mixture.mixture)):
        if fault := _fault(samples):
            where = f"{mixtures.name} row {row.id}, {side}"
            raise InputError(fault, where, "leave the row out: it cannot be scored")
    return mixture


def _fault(samples: NDArray) -> str | None:
    """What makes a side [n] of a row useless, None where nothing does."""
    if len(samples) < SHORTEST:
        return f"expected {SHORTEST} samples (1 s) or more, got {len(samples)}"
    level = 10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-20)
    if level < SILENCE_DBFS:
        return f"is silent ({level:.0f} dBFS)"
    # A single sample may leave full scale: a target whose noise took a peak away from the mixture.
    clipped = max(clipped_samples(samples), int(np.count_nonzero(np.abs(samples) > 1)))
    if clipped > CLIPPED_SHARE * len(samples):
        return f"is clipped ({clipped} of {len(samples)} samples at or beyond full scale)"
    return None


def score_row(works: Sequence[Work], row: MixtureRow | PairRow) -> tuple[Row, ...]:
    """Every score of a row, by work; InputError names the row that cannot be scored.

    works : of one list; what two of them have in common is made and scored once
    """
    mixture = rendered(works[0].mixtures, row)
    sides = _Sides(mixture)
    try:
        scores = [_scores(work, sides) for work in works]
    except InputError as error:
        where = f"{works[0].mixtures.name} row {row.id}, {error.where}"
        raise InputError(error.what, where, error.remedy) from error
    return tuple(_row(row, mixture, found) for found in scores)


def _row(row: MixtureRow | PairRow, mixture: Mixture, scores: dict[str, Scores]) -> Row:
    faults = tuple(
        f"{row.id}: {signal} is silent, {metric} counted as {-CAP_DB:g} dB"
        for signal, values in scores.items()
        for metric, value in values.items()
        if value == -math.inf
    )
    return Row(
        id=row.id,
        group=row.group,
        condition=_condition(row),
        snr_db=row.snr_db,
        noise_class=mixture.noise_class,
        noise_group=row.noise_group if isinstance(row, MixtureRow) else "",
        samples=len(mixture.target),
        scores={signal: _bounded(values) for signal, values in scores.items()},
        faults=faults,
    )


def _condition(row: MixtureRow | PairRow) -> str:
    """The key of the row in `by_snr`."""
    if row.is_clean:
        return "clean"
    return "unknown" if row.snr_db is None else f"{row.snr_db + 0.0:g}"  # -0 is 0


class _Sides:
    """The signals of a row and their scores, each made once."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self._reference = Reference.of(mixture.target)
        self._through: dict[Source, NDArray] = {}
        self._scores: dict[tuple[Hashable, str], float | None] = {}

    def through(self, source: Source) -> NDArray:
        """The noisy mixture through a model."""
        if source not in self._through:
            self._through[source] = open_source(source).whole(self.mixture.mixture)
        return self._through[source]

    def score(self, metric: str, which: Hashable, signal: NDArray) -> float | None:
        """The score of a signal; signals of one `which` are the same."""
        if (which, metric) not in self._scores:
            self._scores[which, metric] = METRICS[metric](self._reference, signal)
        return self._scores[which, metric]


def _scores(work: Work, sides: _Sides) -> dict[str, Scores]:
    energies = tuple(name for name in work.metrics if name in IN_DB)
    # Lines need no perceptual score unless they stand in the table of the peers.
    of_lines = work.metrics if work.peers or work.twin else energies
    sources = {"out": work.model, "against": work.against, "float": work.twin}
    which: dict[str, Hashable] = {name: source for name, source in sources.items() if source}
    which |= {"floor": work.floor.tobytes()} if work.floor is not None else {}
    return {
        name: {
            metric: sides.score(metric, which.get(name, name), signal)
            for metric in (of_lines if name in ("floor", "ceiling") else work.metrics)
        }
        for name, signal in _signals(work, sides, sources).items()
    }


def _signals(work: Work, sides: _Sides, sources: Mapping[str, Source | None]) -> dict[str, NDArray]:
    noisy = sides.mixture.mixture
    signals = {"in": noisy} | {name: sides.through(s) for name, s in sources.items() if s}
    signals |= {name: METHODS[name](noisy) for name in work.peers}
    if work.floor is not None:
        signals["floor"] = filtered(noisy, work.floor)
    if work.ceiling:
        signals["ceiling"] = best_mask(noisy, sides.mixture.target)
    return signals


def _bounded(scores: Scores) -> Scores:
    """-inf of a silent output as -100 dB: it stays in every mean and can be written as JSON."""
    return {
        name: value if value is None or name not in IN_DB else max(value, -CAP_DB)
        for name, value in scores.items()
    }
