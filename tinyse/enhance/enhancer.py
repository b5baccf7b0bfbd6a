"""Sound in, sound out, through a runtime.

The same code for every runtime; a float one takes and gives float32 in place of int8.  The
network's state starts at zero with each sound, as a user hears it.  `Enhancer.whole` gives as many
samples as it takes, aligned; `StreamEnhancer` gives the same 256 samples later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.errors import InputError
from tinyse.features import HOP, Normalisation
from tinyse.runtimes import Runtime

CHUNK = 4096  # frames at a time: an hour of sound must not become gigabytes of spectrum


class Enhancer:
    """A runtime and the feature statistics its network was trained with."""

    def __init__(self, runtime: Runtime, normalisation: Normalisation) -> None:
        self.runtime = runtime
        self.normalisation = normalisation

    def whole(self, sound: NDArray) -> NDArray[np.float64]:
        """The enhanced sound [n] of a sound [n], from a state of zero.

        Raises InputError for an array of another shape, and for samples that are no numbers.
        """
        if np.ndim(sound) != 1:
            what = f"expected samples [n], got {list(np.shape(sound))}"
            raise InputError(what, "sound", "mix it down to one channel")
        refuse_no_numbers(sound)
        self.runtime.reset()
        enhanced = np.empty(len(sound))
        last = np.empty((0, features.BINS), dtype=np.complex128)  # a chunk's frames overlap by one
        frames = features.frame_count(len(sound))
        for start in range(0, frames, CHUNK):
            spectrum = _frames_of(sound, start, min(start + CHUNK, frames))
            masked = np.concatenate([last, self.gains(spectrum) * spectrum])
            at = max(start - 1, 0) * HOP
            piece = features.istft(masked, len(sound) - at)
            enhanced[at : at + len(piece)] = piece
            last = masked[-1:]
        return enhanced

    def gains(self, spectrum: NDArray) -> NDArray[np.float64]:
        """Gain per bin [T, 257] of the next frames' spectra [T, 257]; the state is carried on."""
        frames = self.normalisation.features(spectrum)
        info = self.runtime.info
        if info.input is None or info.output is None:
            mask = self.runtime.run(frames)
        else:
            mask = info.output.dequantise(self.runtime.run(info.input.quantise(frames)))
        return features.bin_gains(mask.astype(np.float64))


def refuse_no_numbers(sound: NDArray) -> None:
    """InputError for NaN, from which a network goes on as from any other sound."""
    if not np.isfinite(sound).all():
        raise InputError("holds NaN or infinity", "sound", "repair it")


def _frames_of(sound: NDArray, start: int, end: int) -> NDArray[np.complex128]:
    """Frames start..end of `stft(sound)`; frame t spans blocks t-1 and t."""
    before = max(start - 1, 0)
    spectrum = features.stft(sound[before * HOP : end * HOP])
    return spectrum[start - before :][: end - start]


class StreamEnhancer:
    """The streaming twin: 256 samples in, 256 out, which are those of 256 samples before."""

    def __init__(self, enhancer: Enhancer) -> None:
        self._enhancer = enhancer
        self.reset()

    def reset(self) -> None:
        """Back to silence and a state of zero."""
        self._enhancer.runtime.reset()
        self._stream = features.Stream()

    def block(self, block: NDArray) -> NDArray[np.float64]:
        """The next 256 enhanced samples for the next 256 samples; InputError for any others."""
        if np.shape(block) != (HOP,):
            raise InputError(f"expected {HOP} samples, got {np.shape(block)}", "block", "cut it so")
        refuse_no_numbers(block)
        spectrum = self._stream.analyse(block)
        return self._stream.synthesise(self._enhancer.gains(spectrum[None])[0] * spectrum)

    def blocks(self, sound: NDArray) -> NDArray[np.float64]:
        """The next enhanced samples [256 n] for the next samples [256 n]."""
        if np.ndim(sound) != 1 or len(sound) % HOP:
            what = f"expected whole blocks of {HOP} samples, got {list(np.shape(sound))}"
            raise InputError(what, "sound", "pad it with zeros")
        enhanced = np.empty(len(sound))
        for start in range(0, len(sound), HOP):
            enhanced[start : start + HOP] = self.block(sound[start : start + HOP])
        return enhanced
