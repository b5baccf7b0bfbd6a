"""`tinyse.features` inside a training graph: the same constants, differentiable, batched.

Spectra are pairs (real, imaginary) of [B, T, 257]: XLA and both backends take them.
A batch of sound [B, (T + 1) * 256] has T whole frames; no zeros stand before or behind.
"""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse import features
from tinyse.network.tensors import Tensor

Spectrum = tuple[Tensor, Tensor]

_WINDOW = features.window().astype(np.float32)
_WARP = features.warp_bank().astype(np.float32)
_AVERAGE = features.averaging_bank().T.astype(np.float32)


def spectrum(sound: Tensor) -> Spectrum:
    """Real and imaginary part [B, T, 257] of sound [B, (T + 1) * 256]."""
    batch, samples = sound.shape
    blocks = ops.reshape(sound, (batch, samples // features.HOP, features.HOP))
    frames = ops.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=2)
    return ops.rfft(frames * _WINDOW)


def sound(spectrum: Spectrum) -> Tensor:
    """The (T - 1) * 256 samples that T frames overlap on, [B, (T - 1) * 256]."""
    frames = ops.irfft(spectrum) * _WINDOW
    blocks = frames[:, :-1, features.HOP :] + frames[:, 1:, : features.HOP]
    return ops.reshape(blocks, (blocks.shape[0], -1))


def power(spectrum: Spectrum) -> Tensor:
    """Power per bin [B, T, 257]."""
    real, imaginary = spectrum
    return real * real + imaginary * imaginary


def feature_frames(
    spectrum: Spectrum, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> Tensor:
    """Normalised, clipped log band powers [B, T, 128]; mean and std [128] in dB."""
    floored = ops.maximum(ops.matmul(power(spectrum), _AVERAGE), features.POWER_FLOOR)
    levels = 10 * ops.log10(floored)
    clip = features.FEATURE_CLIP
    return ops.clip((levels - mean) / std, -clip, clip)


def masked(spectrum: Spectrum, mask: Tensor) -> Spectrum:
    """The spectrum with the gains of a mask [B, T, 128] applied."""
    gains = ops.matmul(mask, _WARP)
    return spectrum[0] * gains, spectrum[1] * gains
