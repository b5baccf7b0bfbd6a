"""SDR as BSS-eval v3 defines it for one source, equal to `mir_eval` and about ten times faster.

    p   = least-squares projection of e on span{s delayed by 0..511}     (all padded by 511 zeros)
    SDR = 10 log10(|p|^2 / |e - p|^2)                          (Vincent, Gribonval, Fevotte, 2006)

equals `mir_eval.separation.bss_eval_sources(s[None], e[None], compute_permutation=False)[0][0]`
of mir_eval 0.8.2.  That package is deprecated there and gone in 0.9, solves the 512 x 512 system
twice by dense LU, and is the oracle of our tests only.  Here:

1.  r[k] = sum_t s[t] s[t+k] and d[k] = sum_t s[t] e[t+k] by FFTs of blocks of 4096,
2.  Toeplitz(r) c = d by Levinson's recursion,
3.  num = c.(Toeplitz(r) c),  den = e.e - 2 c.d + num: second order in the solver's error (the
    shorter num = c.d is first order, and NaN on a singular system),
4.  accepted where the residual is small and SDR <= 60 dB; else mir_eval's own steps, once.

The trap: on a float reference without energy in some band (low-passed, resampled) the system's
condition exceeds 1e18 and BSS-eval's value moves by more than 1 dB when both signals are
multiplied by 1.1.  Rounded to 16 bit it stays below 1e10 and every solver agrees.  So `sdr` scores
what would be written to a 16-bit file; `projection_sdr` is the bare formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.metrics.signals import checked, checked_reference, ratio_db, same_length

TAPS = 512
WINDOW = 4096  # samples of a block FFT
BLOCK = WINDOW - (TAPS - 1)  # new samples a block: no lag wraps round
LARGEST_RESIDUAL = 1e-9  # of |Toeplitz(r) c - d| against |d|
LARGEST_FAST_DB = 60.0  # above, den is a difference of nearly equal numbers


@dataclass(frozen=True)
class Reference:
    """A reference with what many estimates of it share; about 9 bytes a sample and block FFT.

    samples : float64 [n]
    spectra : complex [blocks, 2049], conjugate spectra of its blocks
    autocorrelation : float64 [512]
    """

    samples: NDArray[np.float64]
    spectra: NDArray[np.complex128]
    autocorrelation: NDArray[np.float64]

    @classmethod
    def of(cls, samples: NDArray) -> Reference:
        """A reference as a 16-bit file holds it; InputError if silent, short or not finite."""
        return cls.of_exactly(checked_reference(samples))

    @classmethod
    def of_exactly(cls, samples: NDArray[np.float64]) -> Reference:
        """A reference without rounding or checks."""
        blocks = -(-len(samples) // BLOCK)
        padded = np.zeros(blocks * BLOCK)
        padded[: len(samples)] = samples
        spectra = np.fft.rfft(padded.reshape(blocks, BLOCK), WINDOW).conj()
        return cls(samples, spectra, _correlation(spectra, samples))


def sdr(reference: Reference | NDArray, estimate: NDArray) -> float:
    """SDR in dB, at most 100, of `estimate` [n] as a 16-bit file would hold it.

    -inf for a silent estimate: a fault to report, never to drop.  Raises InputError for a silent
    reference, NaN, less than a second, or two lengths.
    """
    estimate = checked(estimate, "estimate")
    if not isinstance(reference, Reference):
        reference = Reference.of(reference)
    same_length(reference.samples, estimate)
    return projection_sdr(reference, estimate)


def projection_sdr(reference: Reference, estimate: NDArray[np.float64]) -> float:
    """SDR in dB of signals as they are."""
    if not estimate.any():
        return -np.inf
    value = _fast_sdr(reference, estimate)
    return exact_sdr(reference.samples, estimate) if value is None else value


def _fast_sdr(reference: Reference, estimate: NDArray[np.float64]) -> float | None:
    """SDR by Levinson's recursion, None where it cannot be trusted."""
    from scipy.linalg import solve_toeplitz

    crossed = _correlation(reference.spectra, estimate)
    try:
        filter_taps = solve_toeplitz(reference.autocorrelation, crossed, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    projected = _toeplitz_product(reference.autocorrelation, filter_taps)
    signal = float(filter_taps @ projected)
    distortion = float(estimate @ estimate - 2 * (filter_taps @ crossed) + signal)
    close = np.abs(projected - crossed).max() < LARGEST_RESIDUAL * np.abs(crossed).max()
    if not (close and signal > 0 and distortion > 0):
        return None
    value = ratio_db(signal, distortion)
    return value if value <= LARGEST_FAST_DB else None


def _correlation(
    spectra: NDArray[np.complex128], samples: NDArray[np.float64]
) -> NDArray[np.float64]:
    """sum_t s[t] x[t+k] for k = 0..511 of the blocks' conjugate spectra and samples x [n]."""
    blocks = len(spectra)
    padded = np.zeros(blocks * BLOCK + TAPS - 1)
    padded[: len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::BLOCK]
    total = np.einsum("bf,bf->f", spectra, np.fft.rfft(windows))
    return np.fft.irfft(total, WINDOW)[:TAPS]


def _toeplitz_product(row: NDArray, vector: NDArray) -> NDArray[np.float64]:
    """Toeplitz(row) @ vector, both [512], through the circulant of twice the size."""
    circulant = np.concatenate([row, [0.0], row[:0:-1]])
    return np.fft.irfft(np.fft.rfft(circulant) * np.fft.rfft(vector, 2 * TAPS), 2 * TAPS)[:TAPS]


def exact_sdr(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """mir_eval's own steps, in its order, so that even its rounding is the same."""
    from scipy.signal import fftconvolve

    padded = np.concatenate([reference, np.zeros(TAPS - 1)])
    taps = _solved(*_normal_equations(padded, estimate))
    projected = fftconvolve(taps, padded)[: len(padded)]
    # With one source `filtering` and `interference` come from the same projection.
    filtering = projected - padded
    interference = projected - padded - filtering
    artefacts = -padded - filtering - interference
    artefacts[: len(estimate)] += estimate
    signal = float(np.sum((padded + filtering) ** 2))
    return ratio_db(signal, float(np.sum((interference + artefacts) ** 2)))


def _normal_equations(padded: NDArray, estimate: NDArray) -> tuple[NDArray, NDArray]:
    """mir_eval's matrix [512, 512] and right side [512]."""
    from scipy.fftpack import fft, ifft
    from scipy.linalg import toeplitz

    size = int(2 ** np.ceil(np.log2(len(padded))))
    of_reference, of_estimate = fft(padded, n=size), fft(estimate, n=size)
    lags = np.real(ifft(of_reference * np.conj(of_reference)))
    crossed = np.real(ifft(of_reference * np.conj(of_estimate)))
    backward = slice(-1, -TAPS, -1)
    matrix = toeplitz(np.hstack((lags[0], lags[backward])), r=lags[:TAPS])
    # It stores the transpose over the matrix; the two differ in the last bits.
    return matrix.T, np.hstack((crossed[0], crossed[backward]))


def _solved(matrix: NDArray, right: NDArray) -> NDArray:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix, right)[0]
