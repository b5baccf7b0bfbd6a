"""What an integer network is: quantisations, layers in the exported layout, and equality.

    frame int8 [n] -> IntegerLSTM .. -> IntegerDense (ReLU) .. -> IntegerDense (logistic) -> int8

    real = scale * (q - zero_point)

Matrices lie as in the file: [out, in], one matrix per gate, zero always the byte 0.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GATES = ("input", "forget", "cell", "output")  # Keras' order i, f, c, o and the file's


@dataclass(frozen=True)
class Quantisation:
    """One scale and zero point of a tensor; `quantise` and `dequantise` for int8 frames."""

    scale: float
    zero_point: int = 0

    def quantise(self, values: NDArray) -> NDArray[np.int8]:
        """int8 bytes of real values, a half to the even step, saturated."""
        steps = np.rint(np.asarray(values, dtype=np.float64) / self.scale) + self.zero_point
        return np.clip(steps, -128, 127).astype(np.int8)

    def dequantise(self, steps: NDArray[np.int8]) -> NDArray[np.float32]:
        """Real values float32 of int8 bytes."""
        return ((steps.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


@dataclass(frozen=True)
class IntegerLSTM:
    """One UNIDIRECTIONAL_SEQUENCE_LSTM with int8 activations and weights and an int16 cell state.

    kernels : four int8 [units, n_in], gates in the order of GATES
    recurrents : four int8 [units, units]
    biases : four int32 [units], scale input.scale * kernel scale of the gate
    kernel_scales, recurrent_scales : one per gate
    input, hidden : quantisation of the input and of h (which is also the output)
    cell_scale : a power of two
    cell_clip : in real units, 0 = none
    """

    name: str
    kernels: tuple[NDArray[np.int8], ...]
    recurrents: tuple[NDArray[np.int8], ...]
    biases: tuple[NDArray[np.int32], ...]
    kernel_scales: tuple[float, ...]
    recurrent_scales: tuple[float, ...]
    input: Quantisation
    hidden: Quantisation
    cell_scale: float
    cell_clip: float = 0.0

    @property
    def units(self) -> int:
        """Outputs of the layer."""
        return self.kernels[0].shape[0]

    @property
    def width(self) -> int:
        """Inputs of the layer."""
        return self.kernels[0].shape[1]

    @property
    def output(self) -> Quantisation:
        """Quantisation of what the next layer reads."""
        return self.hidden

    @property
    def cell_exponent(self) -> int:
        """log2 of the cell scale."""
        return math.frexp(self.cell_scale)[1] - 1


@dataclass(frozen=True)
class IntegerDense:
    """One FULLY_CONNECTED, followed by LOGISTIC where `logistic` is set.

    kernel : int8 [units, n_in]
    bias : int32 [units], scale input.scale * kernel scale of the row
    kernel_scales : float64 [units], or [1] for the whole matrix
    accumulated : quantisation of what FULLY_CONNECTED itself puts out
    logistic : quantisation behind LOGISTIC, None where there is none
    """

    name: str
    kernel: NDArray[np.int8]
    bias: NDArray[np.int32]
    kernel_scales: NDArray[np.float64]
    input: Quantisation
    accumulated: Quantisation
    relu: bool = False
    logistic: Quantisation | None = None

    @property
    def units(self) -> int:
        """Outputs of the layer."""
        return self.kernel.shape[0]

    @property
    def width(self) -> int:
        """Inputs of the layer."""
        return self.kernel.shape[1]

    @property
    def output(self) -> Quantisation:
        """Quantisation of what the next layer reads."""
        return self.logistic or self.accumulated


IntegerLayer = IntegerLSTM | IntegerDense


@dataclass(frozen=True)
class IntegerNetwork:
    """A chain of layers, and what a file says about itself.

    normalisation : float32 [2, n_in], mean and std of the features in dB, None where unknown
    """

    name: str
    layers: tuple[IntegerLayer, ...]
    normalisation: NDArray[np.float32] | None = None

    @property
    def input(self) -> Quantisation:
        """Quantisation of the feature frame."""
        return self.layers[0].input

    @property
    def output(self) -> Quantisation:
        """Quantisation of the mask."""
        return self.layers[-1].output

    @property
    def lstms(self) -> tuple[IntegerLSTM, ...]:
        """The layers with a state."""
        return tuple(layer for layer in self.layers if isinstance(layer, IntegerLSTM))


def same(a: Any, b: Any) -> bool:
    """Whether two networks, or parts of them, are equal in every value, type and shape."""
    if type(a) is not type(b):
        return False
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b
