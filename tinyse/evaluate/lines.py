"""The two lines that a quality figure stands between.

floor    one gain per bin for every file, fitted on the training split: an equaliser.  A network
         that does not beat it has learned an equaliser.
ceiling  the phase-sensitive mask of the row itself, in the 128 bands:
             M[m] = sum_k W[m,k] Re(S Y*) / sum_k W[m,k] |Y|^2, within 0..1
         (Erdogan et al., 2015): what the features' resolution leaves to any network.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.errors import InputError

FLOOR = "floor/gains"  # float [257] in weights.npz


def stored_floor(weights: Path | None) -> NDArray[np.float64] | None:
    """The fixed filter [257] that a weights.npz carries, None where it carries none."""
    if weights is None:
        return None
    try:
        with np.load(weights, allow_pickle=False) as file:
            if FLOOR not in file.files:
                return None
            gains = file[FLOOR].astype(np.float64)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"is not a weights.npz ({error})", weights, "train again") from error
    if gains.shape != (features.BINS,) or not np.isfinite(gains).all():
        what = f"{FLOOR}: expected {features.BINS} finite gains, got shape {gains.shape}"
        raise InputError(what, weights, "train again")
    return gains


def filtered(sound: NDArray, gains: NDArray) -> NDArray[np.float64]:
    """The sound [n] with one gain per bin [257]."""
    return features.istft(gains * features.stft(sound), len(sound))


def best_mask(mixture: NDArray, target: NDArray) -> NDArray[np.float64]:
    """The mixture [n] through the phase-sensitive band mask that its target gives."""
    noisy, clean = features.stft(mixture), features.stft(target)
    bank = features.warp_bank().T
    along = (clean * noisy.conj()).real @ bank
    power = (noisy.real**2 + noisy.imag**2) @ bank
    mask = np.clip(along / np.maximum(power, np.finfo(np.float64).tiny), 0.0, 1.0)
    return features.istft(features.bin_gains(mask) * noisy, len(mixture))
