"""What a signal must be before it is scored, and decibels with their bounds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError

RATE = 16_000  # Hz
SHORTEST = RATE  # samples; the 512 free taps of SDR fit anything into less than a second
CAP_DB = 100.0  # an exact copy: what lies above is rounding noise of the solver


def as_stored(samples: NDArray) -> NDArray[np.float64]:
    """The samples float64 [n] that a 16-bit file would hold: rounded to 1/32768, clipped."""
    steps = np.rint(np.asarray(samples, dtype=np.float64) * 32768)
    return np.clip(steps, -32768, 32767) / 32768


def checked(samples: NDArray, name: str) -> NDArray[np.float64]:
    """`as_stored(samples)` if it is one finite channel of a second or more; else InputError."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise InputError(f"expected one channel, got shape {samples.shape}", name, "mix it down")
    if len(samples) < SHORTEST:
        what = f"expected {SHORTEST} samples (1 s) or more, got {len(samples)}"
        raise InputError(what, name, "a shorter sound cannot be scored")
    if not np.isfinite(samples).all():
        raise InputError("holds NaN or infinite samples", name, "mend what made it")
    return as_stored(samples)


def checked_reference(samples: NDArray) -> NDArray[np.float64]:
    """`checked`, and not silent."""
    samples = checked(samples, "reference")
    if not samples.any():
        raise InputError("is silent", "reference", "leave it out: nothing can be scored")
    return samples


def checked_pair(reference: NDArray, estimate: NDArray) -> tuple[NDArray, NDArray]:
    """Both signals checked and of one length."""
    reference, estimate = checked_reference(reference), checked(estimate, "estimate")
    same_length(reference, estimate)
    return reference, estimate


def same_length(reference: NDArray, estimate: NDArray) -> None:
    """InputError unless the two are of one length: alignment is the caller's business."""
    if len(reference) != len(estimate):
        what = f"expected {len(reference)} samples as in the reference, got {len(estimate)}"
        raise InputError(what, "estimate", "align the two first")


def ratio_db(signal: float, distortion: float) -> float:
    """10 log10(signal / distortion), at most CAP_DB; -inf where there is no signal."""
    if signal <= 0:
        return -math.inf
    if distortion <= 0:
        return CAP_DB
    return min(10 * math.log10(signal / distortion), CAP_DB)
