"""Sound as it comes: what takes the next blocks of 256 samples and gives those of one block before.

On the runtime `native` the front end is the C one too, the code that a board runs; it is single
precision where the NumPy one is double, so a sample may differ in the fifth digit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tinyse.enhance.enhancer import Enhancer, StreamEnhancer, refuse_no_numbers
from tinyse.enhance.models import open_enhancer
from tinyse.features import HOP, RATE, WINDOW

if TYPE_CHECKING:
    from tinyse.runtimes.native import NativeAudio

NATIVE = ("native", "native_reference")
LATENCY_MS = (
    1000 * WINDOW // RATE
)  # 256 samples to fill a block, 256 more until its overlap is done


class BlockStream(Protocol):
    """A stream with a state, at silence when it is opened."""

    def reset(self) -> None:
        """Back to silence."""

    def blocks(self, sound: NDArray) -> NDArray:
        """Enhanced samples [256 n] for the next samples [256 n]: those of 256 samples before."""


def open_stream(model: Path | str, runtime: str = "tflm") -> BlockStream:
    """The stream of a model on a runtime; InputError or MissingExtra say what is in the way.

    Streams of one model and runtime share their state: use one at a time.
    """
    return stream_of(open_enhancer(model, runtime))


def stream_of(enhancer: Enhancer) -> BlockStream:
    """The stream of an enhancer: with the C front end where runtime and file have one."""
    runtime = enhancer.runtime
    if runtime.name in NATIVE:
        from tinyse.runtimes.native import Native, NativeAudio

        if isinstance(runtime, Native) and runtime.network.normalisation is not None:
            return _NativeStream(NativeAudio(runtime.model))
    return StreamEnhancer(enhancer)


class _NativeStream:
    """The C front end under the names of `BlockStream`."""

    def __init__(self, audio: NativeAudio) -> None:
        self._audio = audio
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._audio.reset()

    def blocks(self, sound: NDArray) -> NDArray:
        """Enhanced samples float32 [256 n] for the next samples [256 n]."""
        refuse_no_numbers(sound)
        return self._audio.process(sound)


class Passthrough:
    """The noisy sound, as late as an enhanced one, so that a switch between them is in time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._last = np.zeros(HOP)

    def blocks(self, sound: NDArray) -> NDArray:
        """Samples [256 n] of 256 samples before."""
        late = np.concatenate([self._last, sound])
        self._last = late[-HOP:]
        return late[:-HOP]
