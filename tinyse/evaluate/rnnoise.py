"""RNNoise (Valin, 2018) as a peer on the same rows, from the package `pyrnnoise` (extra `peers`).

The library's own model, as the package brings it.  It works at 48 kHz in frames of 10 ms on the
scale of 16-bit samples; sounds go there and back through soxr's linear-phase resampler, which
delays nothing.  The library's output lags its input by two frames; they are cut off before anything
is scored.
"""

from __future__ import annotations

import ctypes
from importlib.metadata import version
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import MissingExtra
from tinyse.features import RATE

LIBRARY_RATE = 48_000  # Hz
FRAME = 480  # samples at that rate
DELAY = 2 * FRAME  # samples at that rate: overlap-add, and a look-ahead of one frame
_FULL_SCALE = 32_768.0
_Floats = ctypes.POINTER(ctypes.c_float)


def enhanced(sound: NDArray) -> NDArray[np.float64]:
    """The enhanced sound [n] of a noisy sound [n], its delay removed."""
    library, soxr = _packages()
    fast = soxr.resample(np.asarray(sound, np.float64), RATE, LIBRARY_RATE, quality="VHQ")
    frames = np.zeros((-(-(len(fast) + DELAY) // FRAME), FRAME), np.float32)
    frames.reshape(-1)[: len(fast)] = _FULL_SCALE * fast
    state = library.create()
    for frame in frames:
        samples = frame.ctypes.data_as(_Floats)
        library.lib.rnnoise_process_frame(state, samples, samples)
    library.destroy(state)
    aligned = frames.reshape(-1)[DELAY : DELAY + len(fast)] / _FULL_SCALE
    return soxr.resample(aligned.astype(np.float64), LIBRARY_RATE, RATE, quality="VHQ")[
        : len(sound)
    ]


def release() -> str:
    """Package and version; MissingExtra where it is not installed."""
    _packages()
    return f"pyrnnoise {version('pyrnnoise')}"


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import soxr
        from pyrnnoise import rnnoise
    except ModuleNotFoundError as error:
        raise MissingExtra("pyrnnoise", "peers") from error
    return rnnoise, soxr
