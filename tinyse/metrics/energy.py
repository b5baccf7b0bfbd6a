"""SI-SDR and SNR: ratios of energies, without a filter.

    SI-SDR = 10 log10(|a s|^2 / |e - a s|^2),  a = <e, s> / <s, s>        (Le Roux et al., 2019)
    SNR    = 10 log10(|s|^2 / |s - e|^2)

No mean is removed.  SI-SDR is never above SDR (whose 512 taps contain the scale); a wide gap
between the two is the mark of a delay or a filter fault.
"""

from __future__ import annotations

from numpy.typing import NDArray

from tinyse.metrics.signals import checked_pair, ratio_db


def si_sdr(reference: NDArray, estimate: NDArray) -> float:
    """Scale-invariant SDR in dB, at most 100; -inf for a silent or orthogonal estimate.

    A negative scale (an inverted estimate) gives a number like any other.
    """
    reference, estimate = checked_pair(reference, estimate)
    scaled = (estimate @ reference) / (reference @ reference) * reference
    rest = estimate - scaled
    return ratio_db(float(scaled @ scaled), float(rest @ rest))


def snr(reference: NDArray, estimate: NDArray) -> float:
    """Signal-to-noise ratio in dB, at most 100; a silent estimate has 0 dB."""
    reference, estimate = checked_pair(reference, estimate)
    rest = reference - estimate
    return ratio_db(float(reference @ reference), float(rest @ rest))
