"""The two lines that a quality figure stands between.

floor    one gain per bin for every file, fitted on the training split: an equaliser.  A network
         that does not beat it has learned an equaliser.
ceiling  the phase-sensitive mask of the row itself, in the 128 bands:
             M[m] = sum_k W[m,k] Re(S Y*) / sum_k W[m,k] |Y|^2, within 0..1
         (Erdogan et al., 2015): what the features' resolution leaves to any network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.errors import InputError
from tinyse.files import read_npz

FLOOR = "floor/gains"  # float [257] in weights.npz


def stored_floor(weights: Path | None) -> NDArray[np.float64] | None:
    """The fixed filter [257] that a weights.npz carries, None where it carries none."""
    if weights is None:
        return None
    arrays = read_npz(weights, "is not a weights.npz", "train again", (FLOOR,))
    if FLOOR not in arrays:
        return None
    gains = arrays[FLOOR]
    floats = gains.dtype.kind == "f" and bool(np.isfinite(gains).all())
    if gains.shape != (features.BINS,) or not floats:
        what = f"{FLOOR}: expected {features.BINS} finite gains, got {gains.dtype} {gains.shape}"
        raise InputError(what, weights, "train again")
    return gains.astype(np.float64)


def filtered(sound: NDArray, gains: NDArray) -> NDArray[np.float64]:
    """The sound [n] with one gain per bin [257]."""
    return features.istft(gains * features.stft(sound), len(sound))


def best_mask(
    mixture: NDArray, target: NDArray, bound: float = 1.0, bands: bool = True
) -> NDArray[np.float64]:
    """The mixture [n] through the phase-sensitive mask that its target gives.

    bound : of the mask; that of an exported file is 1
    bands : a gain for each of the 128 bands, as networks give it; else one for each of 257 bins
    """
    noisy, clean = features.stft(mixture), features.stft(target)
    bank = features.warp_bank().T if bands else np.eye(features.BINS)
    along = (clean * noisy.conj()).real @ bank
    power = (noisy.real**2 + noisy.imag**2) @ bank
    mask = np.clip(along / np.maximum(power, np.finfo(np.float64).tiny), 0.0, bound)
    gains = features.bin_gains(mask) if bands else mask
    return features.istft(gains * noisy, len(mixture))
