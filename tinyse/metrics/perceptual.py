"""ESTOI and PESQ through their packages, with the cases guarded in which these give nonsense.

ESTOI (Jensen and Taal, 2016) needs 30 active frames of 25.6 ms: below, pystoi returns 1e-5, which
looks like a terrible score; on silence it adds random noise and is not repeatable.  PESQ-wb (ITU-T
P.862.2) fails on silence and below 0.25 s.  Such a score is None: missing, never part of a mean.
"""

from __future__ import annotations

import warnings
from types import ModuleType

from numpy.typing import NDArray

from tinyse.errors import MissingExtra
from tinyse.metrics.signals import RATE, checked_pair


def estoi(reference: NDArray, estimate: NDArray) -> float | None:
    """Extended STOI, about 0..1; None for a silent estimate or too few active frames."""
    stoi = estoi_package().stoi
    reference, estimate = checked_pair(reference, estimate)
    if not estimate.any():
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(stoi(reference, estimate, RATE, extended=True))
        except RuntimeWarning:
            return None


def pesq(reference: NDArray, estimate: NDArray) -> float | None:
    """PESQ wide-band, MOS-LQO 1.04..4.64; None for a silent estimate or no utterance."""
    package = pesq_package()
    reference, estimate = checked_pair(reference, estimate)
    if not estimate.any():
        return None
    try:
        return float(package.pesq(RATE, reference, estimate, "wb"))
    except (package.NoUtterancesError, package.BufferTooShortError):
        return None


def estoi_package() -> ModuleType:
    """pystoi; MissingExtra where it is not installed."""
    try:
        import pystoi
    except ModuleNotFoundError as error:
        raise MissingExtra("pystoi", "eval") from error
    return pystoi


def pesq_package() -> ModuleType:
    """pesq; MissingExtra where it is not installed."""
    try:
        import pesq as package
    except ModuleNotFoundError as error:
        raise MissingExtra("pesq", "pesq") from error
    return package
