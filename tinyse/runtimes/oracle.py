"""Runtime `oracle`: the exported operators in exact integer arithmetic; it defines every byte.

Sums of int8 products stay below 2^24 for up to a thousand inputs, so float32 matrix products are
exact and fast; wider layers fall back to float64.  The input part of an LSTM is one product over
all frames; only the recurrent part walks frame by frame.

    u = clip16(M (Wx + b))                      v = clip16(M (Rh))
    p = clip16(u + v)                           i, f, o = SIG(p), g = TANH(p)
    c = clip16(clip16(f c) + clip16(i g))       h = clip8(tanh(c) o)

Sources: `lstm_eval.h`, `lstm_eval_common.cc`, `fully_connected_common.cc`, `logistic_common.cc`
under `tensorflow/lite/micro/kernels/`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.quant import (
    IntegerDense,
    IntegerLSTM,
    IntegerNetwork,
    Multiplier,
    logistic_table,
    multiply,
    sigmoid_table,
    tanh_table,
)
from tinyse.runtimes.interface import RuntimeInfo, checked_frames
from tinyse.tflite.check import load

CHUNK = 512  # frames; keeps the input part of an LSTM in cache


def _clip16(x: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(np.maximum(x, -32768), 32767)


class _Product:
    """W (x - zero point) + b of int8 vectors, exact, times ratios of scales."""

    def __init__(
        self, weights: NDArray, bias: NDArray, zero_point: int, ratios: NDArray[np.float64]
    ) -> None:
        sums = weights.astype(np.int64).sum(axis=1)
        largest = np.abs(weights.astype(np.int64)).sum(axis=1).max() * 128
        self.dtype = np.float32 if largest < 2**24 else np.float64
        self.weights = np.ascontiguousarray(weights.T, dtype=self.dtype)
        self.bias = bias.astype(np.int64) - zero_point * sums
        self.by = Multiplier.of(ratios)

    def __call__(self, x: NDArray) -> NDArray[np.int64]:
        sums = x.astype(self.dtype) @ self.weights
        return multiply(sums.astype(np.int64) + self.bias, self.by)


class _DenseLayer:
    def __init__(self, layer: IntegerDense) -> None:
        scales = np.broadcast_to(layer.kernel_scales, layer.units)
        ratios = layer.input.scale * scales / layer.accumulated.scale
        self.product = _Product(layer.kernel, layer.bias, layer.input.zero_point, ratios)
        self.zero_point = layer.accumulated.zero_point
        self.low = max(self.zero_point, -128) if layer.relu else -128
        self.table = None
        if layer.logistic:
            self.table = logistic_table(layer.accumulated.scale, self.zero_point)

    def run(self, frames: NDArray) -> NDArray[np.int64]:
        y = np.clip(self.product(frames) + self.zero_point, self.low, 127)
        return y if self.table is None else self.table[y + 128]


class _LSTMLayer:
    def __init__(self, layer: IntegerLSTM) -> None:
        # Gates in the order i, f, o, c: the three that share a table lie side by side.
        order, units = (0, 1, 3, 2), layer.units
        gates = [(layer.kernels[g], layer.biases[g], layer.kernel_scales[g]) for g in order]
        kernel = np.concatenate([kernel for kernel, _, _ in gates])
        bias = np.concatenate([bias for _, bias, _ in gates])
        to_gate = layer.input.scale * 2.0**12
        ratios = np.repeat([scale * to_gate for _, _, scale in gates], units)
        self.from_input = _Product(kernel, bias, layer.input.zero_point, ratios)
        recurrent = np.concatenate([layer.recurrents[g] for g in order])
        to_gate = layer.hidden.scale * 2.0**12
        ratios = np.repeat([layer.recurrent_scales[g] * to_gate for g in order], units)
        nothing = np.zeros(4 * units, np.int32)
        self.from_hidden = _Product(recurrent, nothing, layer.hidden.zero_point, ratios)
        self.forget = Multiplier.of(2.0**-15)
        self.enter = Multiplier.of(2.0**-30 / layer.cell_scale)
        self.leave = Multiplier.of(2.0**-30 / layer.hidden.scale)
        self.sigmoid, self.gate_tanh = sigmoid_table(), tanh_table(-12)
        self.cell_tanh = tanh_table(layer.cell_exponent)
        # Truncated, as the C cast does; 0 means no clip.
        self.clip = int(min(layer.cell_clip / layer.cell_scale, 32767))
        self.clipped = layer.cell_clip > 0
        self.units, self.zero_point = units, layer.hidden.zero_point
        self.reset()

    def reset(self) -> None:
        self.h = np.full(self.units, self.zero_point, np.int64)
        self.c = np.zeros(self.units, np.int64)

    def run(self, frames: NDArray) -> NDArray[np.int64]:
        hidden = np.empty((len(frames), self.units), np.int64)
        for start in range(0, len(frames), CHUNK):
            parts = _clip16(self.from_input(frames[start : start + CHUNK]))
            for offset, part in enumerate(parts):
                self._advance(part)
                hidden[start + offset] = self.h
        return hidden

    def _advance(self, part: NDArray[np.int64]) -> None:
        n = self.units
        p = _clip16(part + _clip16(self.from_hidden(self.h))) + 32768
        gates = self.sigmoid[p[: 3 * n]]
        g = self.gate_tanh[p[3 * n :]]
        i, f, o = gates[:n], gates[n : 2 * n], gates[2 * n :]
        kept = _clip16(multiply(f * self.c, self.forget))
        added = _clip16(multiply(i * g, self.enter))
        self.c = _clip16(kept + added)
        if self.clipped:
            self.c = np.clip(self.c, -self.clip, self.clip)
        h = multiply(self.cell_tanh[self.c + 32768] * o, self.leave) + self.zero_point
        self.h = np.minimum(np.maximum(h, -128), 127)


class Oracle:
    """The runtime; `network` may also be given directly."""

    name = "oracle"

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.info = RuntimeInfo(network.input, network.output, None, f"tinyse {__version__}", True)
        self._layers = [
            _LSTMLayer(layer) if isinstance(layer, IntegerLSTM) else _DenseLayer(layer)
            for layer in network.layers
        ]

    @classmethod
    def open(cls, path: Path | str) -> Oracle:
        """The oracle of a `.tflite` file."""
        return cls(load(path).network)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        for layer in self._layers:
            if isinstance(layer, _LSTMLayer):
                layer.reset()

    def step(self, frame: NDArray[np.int8]) -> NDArray[np.int8]:
        """Mask int8 [m] of one frame int8 [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.int8]) -> NDArray[np.int8]:
        """Masks int8 [T, m] of frames int8 [T, n]; the state is carried on."""
        values = checked_frames(frames, self.network.layers[0].width, np.int8)
        for layer in self._layers:
            values = layer.run(values)
        return values.astype(np.int8)

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` int8 and `c_<layer>` int16 [units] after the last frame."""
        found: dict[str, NDArray] = {}
        for layer, running in zip(self.network.layers, self._layers, strict=True):
            if isinstance(running, _LSTMLayer):
                found[f"h_{layer.name}"] = running.h.astype(np.int8)
                found[f"c_{layer.name}"] = running.c.astype(np.int16)
        return found
