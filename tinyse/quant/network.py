"""What an integer network is: quantisations, layers in the exported layout, and equality.

    frame [n] -> IntegerLSTM, IntegerGRU .. -> IntegerDense (ReLU) .. -> IntegerDense (logistic)

    real = scale * (q - zero_point)

Two widths tell one arithmetic from another: `bits` of the activations that go from layer to
layer, and `gate_bits` of what a recurrent layer computes in.

    bits  gate_bits  profiles
       8         16  fused
      16         16  fused16x8, step16x8
       8          8  step8

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
GRU_GATES = ("update", "reset", "candidate")  # Keras' order z, r, h


@dataclass(frozen=True)
class Quantisation:
    """Scale, zero point and width, 8 or 16, of a tensor; `quantise` and `dequantise` for frames."""

    scale: float
    zero_point: int = 0
    bits: int = 8

    @property
    def dtype(self) -> np.dtype:
        """The type of the steps: int8 or int16."""
        return np.dtype(f"int{self.bits}")

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest step."""
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1

    def quantise(self, values: NDArray) -> NDArray[np.int8] | NDArray[np.int16]:
        """Steps of real values, a half to the even step, saturated."""
        steps = np.rint(np.asarray(values, dtype=np.float64) / self.scale) + self.zero_point
        return np.clip(steps, *self.bounds).astype(self.dtype)

    def dequantise(self, steps: NDArray[np.int8] | NDArray[np.int16]) -> NDArray[np.float32]:
        """Real values float32 of steps."""
        return ((steps.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


class _Recurrent:
    """What both kinds of recurrent layers tell."""

    kernels: tuple[NDArray[np.int8], ...]
    hidden: Quantisation

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


@dataclass(frozen=True)
class IntegerLSTM(_Recurrent):
    """One LSTM with int8 weights: UNIDIRECTIONAL_SEQUENCE_LSTM, or the same in basic operators.

    kernels : four int8 [units, n_in], gates in the order of GATES
    recurrents : four int8 [units, units]
    biases : four [units], int32 (int64 behind a 16-bit input), scale input.scale * kernel scale
    kernel_scales, recurrent_scales : one per gate
    input, hidden : quantisation of the input and of h (which is also the output)
    cell_scale : of the cell state, zero point 0; a power of two where it is int16
    cell_clip : in real units, 0 = none
    gate_bits : width of pre-activations, gates and cell state
    """

    name: str
    kernels: tuple[NDArray[np.int8], ...]
    recurrents: tuple[NDArray[np.int8], ...]
    biases: tuple[NDArray[np.integer], ...]
    kernel_scales: tuple[float, ...]
    recurrent_scales: tuple[float, ...]
    input: Quantisation
    hidden: Quantisation
    cell_scale: float
    cell_clip: float = 0.0
    gate_bits: int = 16

    @property
    def cell(self) -> Quantisation:
        """Quantisation of the cell state."""
        return Quantisation(self.cell_scale, 0, self.gate_bits)

    @property
    def cell_exponent(self) -> int:
        """log2 of the cell scale."""
        return math.frexp(self.cell_scale)[1] - 1


@dataclass(frozen=True)
class IntegerGRU(_Recurrent):
    """One GRU with int8 weights in basic operators, the reset gate behind the recurrent product.

    z, r = sigmoid(W x + b + R h + d);  n = tanh(W x + b + r (R h + d));  h = z h + (1 - z) n

    kernels, recurrents : three int8 [units, n_in] and [units, units], in the order of GRU_GATES
    biases, recurrent_biases : three [units], int32 (int64 behind 16-bit activations)
    kernel_scales, recurrent_scales : one per gate
    input, hidden : quantisation of the input and of h (which is also the output)
    """

    name: str
    kernels: tuple[NDArray[np.int8], ...]
    recurrents: tuple[NDArray[np.int8], ...]
    biases: tuple[NDArray[np.integer], ...]
    recurrent_biases: tuple[NDArray[np.integer], ...]
    kernel_scales: tuple[float, ...]
    recurrent_scales: tuple[float, ...]
    input: Quantisation
    hidden: Quantisation

    @property
    def gate_bits(self) -> int:
        """Width of pre-activations and gates: that of the state they are added to."""
        return self.hidden.bits


@dataclass(frozen=True)
class IntegerDense:
    """One FULLY_CONNECTED, followed by LOGISTIC where `logistic` is set.

    kernel : int8 [units, n_in]
    bias : [units], int32 (int64 behind a 16-bit input), scale input.scale * kernel scale
    kernel_scales : float64 [units], or [1] for the whole matrix
    accumulated : quantisation of what FULLY_CONNECTED itself puts out
    logistic : quantisation behind LOGISTIC, None where there is none
    """

    name: str
    kernel: NDArray[np.int8]
    bias: NDArray[np.integer]
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


IntegerLayer = IntegerLSTM | IntegerGRU | IntegerDense


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
        """The layers with a hidden and a cell state."""
        return tuple(layer for layer in self.layers if isinstance(layer, IntegerLSTM))

    @property
    def states(self) -> dict[str, tuple[int, Quantisation]]:
        """`h_<layer>` and `c_<layer>` -> units and quantisation, in the order of the layers."""
        found = {}
        for layer in self.layers:
            if not isinstance(layer, IntegerDense):
                found[f"h_{layer.name}"] = layer.units, layer.hidden
            if isinstance(layer, IntegerLSTM):
                found[f"c_{layer.name}"] = layer.units, layer.cell
        return found


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
