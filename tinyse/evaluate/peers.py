"""The peers: what else could be done with the same rows, scored alike, in one table.

    noisy    the input itself                    floor    one gain per bin for every file
    wiener   a textbook method of our own code   rnnoise  RNNoise, from a package
    float    the model's float network           int8     the exported file
    ceiling  the best mask of 128 bands, which knows the clean speech

All are aligned with the reference before scoring: those that work on our frames by construction,
RNNoise by cutting off the delay of its library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyse import __version__
from tinyse.enhance import FLOAT_RUNTIME, open_source
from tinyse.errors import InputError
from tinyse.evaluate import rnnoise
from tinyse.evaluate.rows import IN_DB, METHODS, Row, Work
from tinyse.evaluate.summary import ci95, means, paired

TWIN = "float"
PEERS = (*METHODS, TWIN)
# Signal of a row -> name in the table, from the least to the most that is known.
_ORDER = ("in", "floor", "wiener", "rnnoise", TWIN, "out", "ceiling")


def peers_of(rows: Sequence[Row], work: Work) -> dict[str, Any]:
    """The `peers` object of the headline rows: a method each, with its mean scores and gains."""
    names = {"in": "noisy", "out": TWIN if work.model.runtime == FLOAT_RUNTIME else "int8"}
    methods = [
        {"name": names.get(signal, signal), "version": _version(signal, work)}
        | _scores(rows, signal)
        for signal in _ORDER
        if signal in rows[0].scores
    ]
    return {"rows": len(rows), "methods": methods}


def _version(signal: str, work: Work) -> str | None:
    """What computed a signal; the input is computed by nothing."""
    if signal == "in":
        return None
    if signal == "rnnoise":
        return rnnoise.release()
    source = {"out": work.model, TWIN: work.twin}.get(signal)
    return open_source(source).runtime.info.version if source else f"tinyse {__version__}"


def check_names(peers: Sequence[str]) -> tuple[str, ...]:
    """The peers in their order; InputError for one that is unknown, MissingExtra for a package."""
    for name in peers:
        if name not in PEERS:
            raise InputError(f"unknown peer {name!r}", "peers", f"use {', '.join(PEERS)}")
    if "rnnoise" in peers:
        rnnoise.release()
    return tuple(name for name in PEERS if name in peers)


def _scores(rows: Sequence[Row], signal: str) -> dict[str, Any]:
    """Mean of every metric of a signal and of its gain; the interval of the gain in SDR."""
    found: dict[str, Any] = {}
    for metric in rows[0].scores[signal]:
        of_metric = means(rows, metric, signal)
        found[metric] = of_metric[f"{metric}_out"]
        if metric in IN_DB:
            found[f"{metric}_gain"] = of_metric[f"{metric}_gain"]
    return found | {"sdr_gain_ci95": ci95(paired(rows, "sdr", signal, "in"))}
