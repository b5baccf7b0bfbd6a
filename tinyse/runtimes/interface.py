"""What every runtime offers, and what all of them check.

`step` takes one frame and returns one mask; `run` takes many and equals as many steps.  Integer
runtimes take and return int8, float ones float32 (features within +-4, masks within 0..1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinyse.errors import InputError
from tinyse.quant import Quantisation


@dataclass(frozen=True)
class RuntimeInfo:
    """What a runtime says about itself.

    input, output : quantisation of frames and masks, None for a float runtime
    arena_bytes : what the allocator handed out, None where there is no arena
    version : package and version of what computes
    exact : whether every output byte equals the oracle's
    """

    input: Quantisation | None
    output: Quantisation | None
    arena_bytes: int | None
    version: str
    exact: bool


class Runtime(Protocol):
    """The interface of design.md, section 5."""

    name: str
    info: RuntimeInfo

    def reset(self) -> None:
        """Back to the state before the first frame."""

    def step(self, frame: NDArray) -> NDArray:
        """Mask [m] of one frame [n]."""

    def run(self, frames: NDArray) -> NDArray:
        """Masks [T, m] of frames [T, n]; the state is carried on."""


@runtime_checkable
class StatefulRuntime(Runtime, Protocol):
    """A runtime whose states can be read."""

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` int8 and `c_<layer>` int16 [units] after the last frame."""


class FrameByFrame(ABC):
    """`step` and `run` of an interpreter that takes one int8 frame a call.

    A subclass sets `_width` and `_outputs` and says in `_invoke` what one call is.
    """

    _width: int
    _outputs: int

    @abstractmethod
    def _invoke(self, frame: NDArray[np.int8]) -> NDArray[np.int8]:
        """Mask of one frame [1, 1, n], any shape."""

    def step(self, frame: NDArray[np.int8]) -> NDArray[np.int8]:
        """Mask int8 [m] of one frame int8 [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.int8]) -> NDArray[np.int8]:
        """Masks int8 [T, m] of frames int8 [T, n]; the state is carried on."""
        frames = checked_frames(frames, self._width, np.int8)
        masks = np.empty((len(frames), self._outputs), np.int8)
        for frame, mask in zip(np.ascontiguousarray(frames)[:, None, None, :], masks, strict=True):
            mask[:] = self._invoke(frame).reshape(-1)
        return masks


def checked_frames(frames: NDArray, width: int, dtype: DTypeLike) -> NDArray:
    """`frames` if they are [T, width] of that type; InputError says what they are instead."""
    frames = np.asarray(frames)
    if frames.ndim != 2 or frames.shape[1] != width or frames.dtype != dtype:
        expected = f"expected {np.dtype(dtype).name} [T, {width}]"
        got = f"{frames.dtype.name} {list(frames.shape)}"
        raise InputError(f"{expected}, got {got}", "frames", "quantise and shape them first")
    return frames


def trace(runtime: StatefulRuntime, frames: NDArray[np.int8]) -> dict[str, NDArray]:
    """`mask` [T, m] and every state [T, units] after each of the frames."""
    rows: dict[str, list[NDArray]] = {}
    for frame in frames:
        row = {"mask": runtime.step(frame), **runtime.states()}
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
    return {key: np.stack(values) for key, values in rows.items()}
