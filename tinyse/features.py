"""From sound to feature frames and from masks back to sound: the one definition of both.

    sound [n] -- stft --> spectrum complex [T, 257] -- band_levels --> dB [T, 128]
                                                    -- normalise ---> features float32 [T, 128]
    mask [T, 128] -- bin_gains --> gains [T, 257] * spectrum -- istft --> sound [n]

A frame is 256 new samples (16 ms at 16 kHz) in a window of 512: periodic square-root Hann on both
sides, so squared windows of neighbours add to one and an all-ones mask returns the input.
`network.features_in_graph` computes the same from the same constants inside a training graph, and
`Stream` computes it block by block: 256 samples in, 256 out, 256 samples later.

The bands are a *warp bank*.  Plain mel triangles at this resolution leave bands empty or equal (a
Slaney bank of 128 has rank 116): a mask band that does nothing trains on nothing, and pruning
"finds" it.  Here centres lie on the Slaney mel scale (Slaney, Auditory Toolbox, 1998) but never
closer than one bin, which gives rank 128, condition 4.4, and columns that sum to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000  # Hz
WINDOW = 512  # samples
HOP = 256  # samples
BINS = WINDOW // 2 + 1
BANDS = 128
POWER_FLOOR = 1e-7  # -70 dB; rounding to 16 bit makes -77 dB per bin with this window
FEATURE_CLIP = 4.0  # standard deviations; fixes the int8 input scale
MIN_STD_DB = 3.0  # bands that a high-pass keeps on the floor have no spread of their own


@cache
def window() -> NDArray[np.float64]:
    """Periodic square-root Hann window [512]: w[i]^2 + w[i+256]^2 = 1."""
    return np.sin(np.pi * np.arange(WINDOW) / WINDOW)


@cache
def warp_bank() -> NDArray[np.float64]:
    """Triangles [128, 257] in bins; every column sums to one, two non-zeros a bin at most."""
    centres = _warp_centres()
    bins = np.arange(BINS, dtype=np.float64)
    bank = np.empty((BANDS, BINS))
    for band in range(BANDS):
        left = centres[band - 1] if band else -1.0
        right = centres[band + 1] if band < BANDS - 1 else float(BINS)
        rise = (bins - left) / (centres[band] - left)
        fall = (right - bins) / (right - centres[band])
        bank[band] = np.clip(np.minimum(rise, fall), 0.0, 1.0)
    return bank


@cache
def averaging_bank() -> NDArray[np.float64]:
    """`warp_bank` with rows that sum to one [128, 257]: mean power in a band."""
    bank = warp_bank()
    return bank / bank.sum(axis=1, keepdims=True)


def _slaney_mel(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _slaney_hertz(mel: float) -> float:
    # The cap keeps a large trial step of the bisection from overflowing.
    return 200 * mel / 3 if mel < 15 else 1000 * np.exp(min((mel - 15) / 27 * np.log(6.4), 50.0))


def _warp_centres() -> NDArray[np.float64]:
    """Band centres in bins [128]: 0 .. 256, Slaney-spaced but at least one bin apart."""
    bin_hertz = RATE / WINDOW

    def centres(step: float) -> list[float]:
        found = [0.0]
        while len(found) < BANDS:
            stepped = _slaney_hertz(_slaney_mel(found[-1] * bin_hertz) + step) / bin_hertz
            found.append(max(found[-1] + 1, stepped))
        return found

    low, high = 1e-3, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if centres(middle)[-1] < BINS - 1 else (low, middle)
    return np.array([*centres(high)[:-1], float(BINS - 1)])


def frame_count(samples: int) -> int:
    """Frames that `stft` makes of `samples` samples."""
    return -(-samples // HOP) + 1


def stft(sound: NDArray) -> NDArray[np.complex128]:
    """Spectrum complex [T, 257] of sound [n], T = `frame_count(n)`.

    256 zeros stand before the sound and enough behind to finish the last frame, so that `istft`
    returns all n samples; nothing is trimmed.
    """
    blocks = np.zeros((frame_count(len(sound)) + 1, HOP))
    blocks.reshape(-1)[HOP : HOP + len(sound)] = sound
    return np.fft.rfft(np.concatenate([blocks[:-1], blocks[1:]], axis=1) * window())


def istft(spectrum: NDArray, samples: int) -> NDArray[np.float64]:
    """Sound [samples] of a spectrum complex [T, 257] by weighted overlap-add."""
    frames = np.fft.irfft(spectrum, WINDOW) * window()
    return (frames[:-1, HOP:] + frames[1:, :HOP]).reshape(-1)[:samples]


def band_levels(spectrum: NDArray) -> NDArray[np.float64]:
    """Mean power per band in dB [..., 128], floored at -70 dB, of a spectrum [..., 257]."""
    power = spectrum.real**2 + spectrum.imag**2
    return 10 * np.log10(np.maximum(power @ averaging_bank().T, POWER_FLOOR))


def bin_gains(mask: NDArray) -> NDArray:
    """Gain per bin [..., 257] of a mask [..., 128]: linear between band centres, within 0..1."""
    return mask @ warp_bank().astype(mask.dtype, copy=False)


@dataclass(frozen=True)
class Normalisation:
    """Per-band statistics of the training mixtures.

    mean, std : float32 [128], dB
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def of_levels(cls, levels: NDArray) -> Normalisation:
        """Statistics of band levels in dB [T, 128]."""
        std = np.maximum(levels.std(axis=0), MIN_STD_DB)
        return cls(levels.mean(axis=0).astype(np.float32), std.astype(np.float32))

    def features(self, spectrum: NDArray) -> NDArray[np.float32]:
        """Feature frames float32 [..., 128], clipped to +-4, of a spectrum [..., 257]."""
        features = (band_levels(spectrum) - self.mean) / self.std
        return np.clip(features, -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32)


class Stream:
    """The streaming twin of `stft` and `istft`: 256 samples in, 256 out, 256 samples later.

    The output that follows on the first block is `istft`'s: drop the first 256 samples of a
    stream and feed 256 zeros behind its end to have the whole file.
    """

    def __init__(self) -> None:
        self._last_input = np.zeros(HOP)
        self._overlap = np.zeros(HOP)

    def analyse(self, block: NDArray) -> NDArray[np.complex128]:
        """Spectrum complex [257] of the frame that ends with `block` [256]."""
        frame = np.concatenate([self._last_input, block])
        self._last_input = np.array(block, dtype=np.float64)
        return np.fft.rfft(frame * window())

    def synthesise(self, spectrum: NDArray) -> NDArray[np.float64]:
        """The 256 samples that a spectrum complex [257] completes."""
        frame = np.fft.irfft(spectrum, WINDOW) * window()
        block = self._overlap + frame[:HOP]
        self._overlap = frame[HOP:]
        return block
