"""Measures of enhanced speech: arrays in, floats out.

    s  clean reference      y  noisy mixture      e  estimate        float64 [n], 16 kHz, |x| <= 1

    sdr     BSS-eval v3 "sources" SDR, dB: the headline
    si_sdr  scale-invariant SDR, dB, no mean removal
    snr     plain SNR, dB: the only one here that sees a wrong output level
    estoi   extended short-time objective intelligibility, package pystoi (extra `eval`)
    pesq    PESQ wide-band, ITU-T P.862.2, package pesq (extra `pesq`)
    paired_interval   mean and 95 % interval by a bootstrap over groups

Every signal is scored as a 16-bit file would hold it (`as_stored`): on a band-limited float
reference BSS-eval's own value means nothing (see `sdr`).  No edge is trimmed.
"""

from tinyse.metrics.bootstrap import Interval, paired_interval
from tinyse.metrics.energy import si_sdr, snr
from tinyse.metrics.perceptual import estoi, pesq
from tinyse.metrics.sdr import Reference, sdr
from tinyse.metrics.signals import CAP_DB, as_stored

__all__ = [
    "CAP_DB",
    "Interval",
    "Reference",
    "as_stored",
    "estoi",
    "paired_interval",
    "pesq",
    "sdr",
    "si_sdr",
    "snr",
]
