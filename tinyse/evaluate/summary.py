"""From the scores of all rows to `quality` and `against`.

A gain is output minus input of the same row, a loss is the float (or other) model minus this one
of the same row; both are averaged over rows, never the difference of two averages over different
rows.  Intervals are bootstrapped over groups (speakers).  A score that does not exist leaves its
row out of that metric, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, SupportsFloat

import numpy as np

from tinyse.errors import InputError
from tinyse.evaluate.rows import IN_DB, Row
from tinyse.metrics import paired_interval
from tinyse.metrics.bootstrap import DRAWS, SEED

DIGITS = 4  # of what is written: 0.1 mdB


def quality_of(rows: Sequence[Row], headline: tuple[float, ...] | None) -> dict[str, Any]:
    """The `quality` object: means over the headline rows, per SNR, with 95 % intervals."""
    chosen = headline_rows(rows, headline)
    metrics = list(chosen[0].scores["out"])
    quality: dict[str, Any] = {"rows": len(chosen)}
    quality["snrs_db"] = sorted({row.snr_db for row in chosen if row.snr_db is not None})
    for metric in metrics:
        quality |= means(chosen, metric)
    gains = [gain for _, gain in paired(chosen, "sdr", "out", "in")]
    quality["sdr_gain_median"] = rounded(np.median(gains))
    quality["sdr_gain_p5"] = rounded(np.percentile(gains, 5))
    quality["by_snr"] = {
        condition: _of_condition(group, condition, metrics)
        for condition, group in _by_condition(rows)
    }
    quality["ci95"] = {
        f"{metric}_gain": ci95(paired(chosen, metric, "out", "in"))
        for metric in metrics
        if any(paired(chosen, metric, "out", "in"))
    }
    groups = len({row.group for row in chosen})
    quality["bootstrap"] = {"groups": groups, "draws": DRAWS, "seed": SEED}
    for line in ("floor", "ceiling"):
        if line in chosen[0].scores:
            quality[line] = {
                f"{metric}_gain": mean(v for _, v in paired(chosen, metric, line, "in"))
                for metric in chosen[0].scores[line]
            }
    return quality


def against_of(rows: Sequence[Row], headline: tuple[float, ...] | None) -> dict[str, Any]:
    """The losses of the model against what it was compared with, paired over the headline rows."""
    chosen = headline_rows(rows, headline)
    found: dict[str, Any] = {"rows": len(chosen)}
    for metric in chosen[0].scores["out"]:
        losses = paired(chosen, metric, "against", "out")
        if losses:
            found[f"{metric}_loss"] = mean(loss for _, loss in losses)
            found[f"{metric}_loss_ci95"] = ci95(losses)
    of_sdr = [loss for _, loss in paired(chosen, "sdr", "against", "out")]
    found["sdr_loss_p95"] = rounded(np.percentile(of_sdr, 95))
    found["by_snr"] = {
        condition: _loss(paired(group, "sdr", "against", "out"))
        for condition, group in _by_condition(rows)
    }
    return found


def _loss(losses: list[tuple[str, float]]) -> dict[str, Any]:
    """A mean SDR loss with its interval, of (group, loss) pairs."""
    return {"sdr_loss": mean(loss for _, loss in losses), "sdr_loss_ci95": ci95(losses)}


def headline_rows(rows: Sequence[Row], headline: tuple[float, ...] | None) -> list[Row]:
    """The rows of the headline SNRs; else all with noise; else all."""
    if not rows:
        raise InputError("no row was scored", "evaluate", "give a list with rows")
    chosen = [row for row in rows if headline and row.snr_db in headline]
    return chosen or [row for row in rows if row.condition != "clean"] or list(rows)


def _by_condition(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by SNR in rising order, clean last; nothing where the list does not say it."""
    # By what is printed: two SNRs that look alike are one key.
    groups: dict[str, list[Row]] = {}
    noisy = [row for row in rows if row.snr_db is not None]
    for row in sorted(noisy, key=lambda row: row.snr_db or 0.0):
        groups.setdefault(row.condition, []).append(row)
    clean = [row for row in rows if row.condition == "clean"]
    return [*groups.items(), *([("clean", clean)] if clean else [])]


def _of_condition(rows: Sequence[Row], condition: str, metrics: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": len(rows)}
    for metric in metrics:
        found |= means(rows, metric)
        if condition == "clean" and metric in IN_DB:
            # The input is the reference: infinite before, so only what is left after has a meaning.
            del found[f"{metric}_in"], found[f"{metric}_gain"]
    found["ci95"] = {
        gain: ci95(paired(rows, metric, "out", "in"))
        for metric in metrics
        if (gain := f"{metric}_gain") in found and found[gain] is not None
    }
    return found


def means(rows: Sequence[Row], metric: str, signal: str = "out") -> dict[str, Any]:
    """Mean of a metric of the input, of a signal, and of the gain, over rows that have both."""
    sides = ((row.scores["in"][metric], row.scores[signal][metric]) for row in rows)
    both = [(a, b) for a, b in sides if a is not None and b is not None]
    found: dict[str, Any] = {
        f"{metric}_in": mean(before for before, _ in both),
        f"{metric}_out": mean(after for _, after in both),
        f"{metric}_gain": mean(after - before for before, after in both),
    }
    if len(both) < len(rows):
        found[f"{metric}_missing"] = len(rows) - len(both)
    return found


def paired(rows: Sequence[Row], metric: str, first: str, second: str) -> list[tuple[str, float]]:
    """(group, first - second) of the rows that have both."""
    pairs = ((row.group, row.scores[first][metric], row.scores[second][metric]) for row in rows)
    return [(group, a - b) for group, a, b in pairs if a is not None and b is not None]


def ci95(differences: list[tuple[str, float]]) -> list[float]:
    """The bootstrap interval of (group, difference) pairs."""
    interval = paired_interval([v for _, v in differences], [group for group, _ in differences])
    return [rounded(interval.low), rounded(interval.high)]


def mean(values: Iterable[float]) -> float | None:
    """The mean as it is written; None of nothing."""
    values = list(values)
    return rounded(np.mean(values)) if values else None


def rounded(value: SupportsFloat) -> float:
    """A score as it is written."""
    return round(float(value), DIGITS)
