"""What every runtime offers, and what all of them check.

`step` takes one frame and returns one mask; `run` takes many and equals as many steps.  Integer
runtimes take and return int8, or int16 if the file's activations are (`info.input.dtype`), float
ones float32 (features within +-4, masks within 0..1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinyse.errors import InputError
from tinyse.quant import Quantisation
from tinyse.tflite.check import CheckedFile


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
    """What every runtime does: a frame in, a frame out, its state in between."""

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
        """`h_<layer>` and `c_<layer>` [units] after the last frame, in the types of the file."""


class FrameByFrame(ABC):
    """`step` and `run` of an interpreter that takes one frame a call.

    A file of the form "step" takes the states as inputs 1, 2, .. and puts out those after the
    frame as outputs 1, 2, ..; they are carried here.  A subclass says in `_invoke` what one call
    is, and in `reset` how the interpreter forgets.
    """

    def __init__(self, file: CheckedFile) -> None:
        self._network = file.network
        self._keys = list(file.carried_states)
        self._carried = [np.empty(0)] * len(self._keys)
        self._forget()

    @abstractmethod
    def _invoke(self, inputs: list[NDArray]) -> list[NDArray]:
        """The outputs, mask first, of a frame and states, [1, 1, n] each."""

    def _forget(self) -> None:
        """The carried states as before the first frame: zero, in steps."""
        for number, key in enumerate(self._keys):
            units, quantisation = self._network.states[key]
            zero = np.full((1, 1, units), quantisation.zero_point, quantisation.dtype)
            self._carried[number] = zero

    def step(self, frame: NDArray[np.integer]) -> NDArray[np.integer]:
        """Mask [m] of one frame [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.integer]) -> NDArray[np.integer]:
        """Masks [T, m] of frames [T, n]; the state is carried on."""
        layers, network = self._network.layers, self._network
        frames = checked_frames(frames, layers[0].width, network.input.dtype)
        masks = np.empty((len(frames), layers[-1].units), network.output.dtype)
        for frame, mask in zip(np.ascontiguousarray(frames)[:, None, None, :], masks, strict=True):
            gain, *self._carried = self._invoke([frame, *self._carried])
            mask[:] = gain.reshape(-1)
        return masks

    def _carried_states(self) -> dict[str, NDArray]:
        """Each carried state [units] under its name."""
        return {k: v.reshape(-1) for k, v in zip(self._keys, self._carried, strict=True)}


def checked_frames(frames: NDArray, width: int, dtype: DTypeLike) -> NDArray:
    """`frames` if they are [T, width] of that type; InputError says what they are instead."""
    frames = np.asarray(frames)
    if frames.ndim != 2 or frames.shape[1] != width or frames.dtype != dtype:
        expected = f"expected {np.dtype(dtype).name} [T, {width}]"
        got = f"{frames.dtype.name} {list(frames.shape)}"
        raise InputError(f"{expected}, got {got}", "frames", "quantise and shape them first")
    return frames


def trace(runtime: StatefulRuntime, frames: NDArray[np.integer]) -> dict[str, NDArray]:
    """`mask` [T, m] and every state [T, units] after each of the frames."""
    rows: dict[str, list[NDArray]] = {}
    for frame in frames:
        row = {"mask": runtime.step(frame), **runtime.states()}
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
    return {key: np.stack(values) for key, values in rows.items()}
