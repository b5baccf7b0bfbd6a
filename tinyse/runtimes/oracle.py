"""Runtime `oracle`: the exported operators in exact integer arithmetic; it defines every byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.integer_layers import integer_layer
from tinyse.runtimes.interface import RuntimeInfo, checked_frames
from tinyse.tflite.check import load


class Oracle:
    """The runtime; `network` may also be given directly."""

    name = "oracle"

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.info = RuntimeInfo(network.input, network.output, None, f"tinyse {__version__}", True)
        self._layers = [integer_layer(layer) for layer in network.layers]

    @classmethod
    def open(cls, path: Path | str) -> Oracle:
        """The oracle of a `.tflite` file."""
        return cls(load(path).network)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        for layer in self._layers:
            layer.reset()

    def step(self, frame: NDArray[np.integer]) -> NDArray[np.integer]:
        """Mask [m] of one frame [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.integer]) -> NDArray[np.integer]:
        """Masks [T, m] of frames [T, n]; the state is carried on."""
        values = checked_frames(frames, self.network.layers[0].width, self.network.input.dtype)
        for layer in self._layers:
            values = layer.run(values)
        return values.astype(self.network.output.dtype)

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` and `c_<layer>` [units] after the last frame, in the types of the file."""
        return {key: value for layer in self._layers for key, value in layer.states().items()}
