"""The layers of the oracle: each exported operator in exact integer arithmetic.

Sums of int8 products stay below 2^24 for up to a thousand inputs, so float32 matrix products are
exact and fast; wider layers and 16-bit activations fall back to float64.  The input part of a
recurrent layer is one product over all frames; only the rest walks frame by frame.

    LSTM    u = clip(M (Wx + b))   v = clip(M (Rh))    p = clip(u + v)
            i, f, o = SIG(p)       g = TANH(p)
            c = clip(clip(f c) + clip(i g))            h = clip(tanh(c) o)

    GRU     u = clip(M (Wx + b))   v = clip(M (Rh + d))
            z, r = SIG(clip(u + v))                    n = TANH(clip(u + clip(r v)))
            h = clip(clip(z h) + clip(n - clip(z n)))

Pre-activations, gates and cell are int16 or int8 (`quant.gates`); what one operator of the fused
LSTM computes and what basic operators compute is the same.

Sources: `lstm_eval.h`, `lstm_eval_common.cc`, `fully_connected_common.cc`, `logistic_common.cc`,
`tanh.cc`, `add.cc`, `sub.cc`, `mul_common.cc` under `tensorflow/lite/micro/kernels/`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tinyse.quant import (
    GATE_ARITHMETIC,
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    Multiplier,
    Quantisation,
    logistic_table,
    multiply,
    multiply_wide,
)

CHUNK = 512  # frames; keeps the input part of a recurrent layer in cache

Steps = NDArray[np.int64]


class _Product:
    """W (x - zero point) + b of vectors, exact, times ratios of scales."""

    def __init__(
        self,
        weights: NDArray,
        bias: NDArray,
        arriving: Quantisation,
        ratios: NDArray[np.float64],
    ) -> None:
        sums = weights.astype(np.int64).sum(axis=1)
        largest = np.abs(weights.astype(np.int64)).sum(axis=1).max() * -arriving.bounds[0]
        self._dtype: type[np.floating] = np.float32 if largest < 2**24 else np.float64
        self._weights = np.ascontiguousarray(weights.T, dtype=self._dtype)
        self._bias = bias.astype(np.int64) - arriving.zero_point * sums
        self._by = Multiplier.of(ratios)
        self._multiply = multiply if arriving.bits == 8 else multiply_wide

    def __call__(self, x: NDArray) -> Steps:
        sums = x.astype(self._dtype) @ self._weights
        return self._multiply(sums.astype(np.int64) + self._bias, self._by)


def _clip(x: Steps, to: Quantisation) -> Steps:
    low, high = to.bounds
    return np.minimum(np.maximum(x, low), high)


def _times(a: Quantisation, b: Quantisation, out: Quantisation) -> Multiplier:
    """What MUL rescales its products by."""
    return Multiplier.of(a.scale * b.scale / out.scale)


class DenseLayer:
    """FULLY_CONNECTED, and LOGISTIC where the layer has one."""

    def __init__(self, layer: IntegerDense) -> None:
        scales = np.broadcast_to(layer.kernel_scales, layer.units)
        ratios = layer.input.scale * scales / layer.accumulated.scale
        self._product = _Product(layer.kernel, layer.bias, layer.input, ratios)
        self._zero_point = layer.accumulated.zero_point
        self._lowest, self._high = layer.accumulated.bounds
        self._low = max(self._zero_point, self._lowest) if layer.relu else self._lowest
        self._table = _logistic_table(layer) if layer.logistic else None

    def reset(self) -> None:
        """There is nothing to forget."""

    def run(self, frames: NDArray) -> Steps:
        """Outputs [T, m] of inputs [T, n]."""
        y = np.clip(self._product(frames) + self._zero_point, self._low, self._high)
        return y if self._table is None else self._table[y - self._lowest]

    def states(self) -> dict[str, NDArray]:
        """There is none."""
        return {}


def _logistic_table(layer: IntegerDense) -> Steps:
    if layer.accumulated.bits == 16:
        return GATE_ARITHMETIC[16].sigmoid_table()
    return logistic_table(layer.accumulated.scale, layer.accumulated.zero_point)


class _RecurrentLayer:
    """What LSTM and GRU share: both sums of products, and the walk from frame to frame."""

    def __init__(self, layer: IntegerLSTM | IntegerGRU, order: tuple[int, ...]) -> None:
        units = layer.units
        self._name, self._units, self._hidden = layer.name, units, layer.hidden
        self._gates = GATE_ARITHMETIC[layer.gate_bits]
        self._before, self._lowest = self._gates.before, self._gates.before.bounds[0]
        self._sigmoid, self._tanh = self._gates.sigmoid_table(), self._gates.tanh_table()
        nothing = (np.zeros(units, np.int32),) * len(order)
        recurrent_biases = layer.recurrent_biases if isinstance(layer, IntegerGRU) else nothing
        self._from_input = self._product(
            layer.kernels, layer.biases, layer.input, layer.kernel_scales, order
        )
        self._from_hidden = self._product(
            layer.recurrents, recurrent_biases, layer.hidden, layer.recurrent_scales, order
        )
        self.reset()

    def _product(
        self,
        matrices: tuple[NDArray, ...],
        biases: tuple[NDArray, ...],
        arriving: Quantisation,
        scales: tuple[float, ...],
        order: tuple[int, ...],
    ) -> _Product:
        """Of all gates side by side, in `order`."""
        to_gate = arriving.scale / self._before.scale
        ratios = np.repeat([scales[g] * to_gate for g in order], self._units)
        stacked = np.concatenate([matrices[g] for g in order])
        return _Product(stacked, np.concatenate([biases[g] for g in order]), arriving, ratios)

    def reset(self) -> None:
        """Back to a state of zero."""
        self._h = np.full(self._units, self._hidden.zero_point, np.int64)

    def run(self, frames: NDArray) -> Steps:
        """Hidden states [T, u] of inputs [T, n]; the state is carried on."""
        hidden = np.empty((len(frames), self._units), np.int64)
        for row, part in zip(hidden, self._parts(frames), strict=True):
            back = _clip(self._from_hidden(self._h), self._before)
            self._advance(part, back)
            row[:] = self._h
        return hidden

    def _parts(self, frames: NDArray) -> Iterator[Steps]:
        for start in range(0, len(frames), CHUNK):
            yield from _clip(self._from_input(frames[start : start + CHUNK]), self._before)

    def _advance(self, part: Steps, back: Steps) -> None:
        raise NotImplementedError

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` [u] after the last frame."""
        return {f"h_{self._name}": self._h.astype(self._hidden.dtype)}


class LSTMLayer(_RecurrentLayer):
    """UNIDIRECTIONAL_SEQUENCE_LSTM, or the same in basic operators."""

    def __init__(self, layer: IntegerLSTM) -> None:
        self._cell = layer.cell
        # Gates in the order i, f, o, c: the three that share a table lie side by side.
        super().__init__(layer, (0, 1, 3, 2))
        gates = self._gates
        self._cell_tanh = gates.tanh_table(layer.cell_scale)
        self._keep = _times(gates.sigmoid, self._cell, self._cell)
        self._enter = _times(gates.sigmoid, gates.tanh, self._cell)
        self._leave = _times(gates.tanh, gates.sigmoid, self._hidden)
        # Truncated, as the C cast does; 0 means no clip.
        self._clip = int(min(layer.cell_clip / layer.cell_scale, self._cell.bounds[1]))
        self._is_clipped = layer.cell_clip > 0

    def reset(self) -> None:
        super().reset()
        self._c = np.zeros(self._units, np.int64)

    def _advance(self, part: Steps, back: Steps) -> None:
        n, cell = self._units, self._cell
        p = _clip(part + back, self._before) - self._lowest
        gates = self._sigmoid[p[: 3 * n]] - self._gates.sigmoid.zero_point
        g = self._tanh[p[3 * n :]]
        i, f, o = gates[:n], gates[n : 2 * n], gates[2 * n :]
        kept = _clip(multiply(f * self._c, self._keep), cell)
        entered = _clip(multiply(i * g, self._enter), cell)
        self._c = _clip(kept + entered, cell)
        if self._is_clipped:
            self._c = np.clip(self._c, -self._clip, self._clip)
        squashed = self._cell_tanh[self._c - self._lowest]
        h = multiply(squashed * o, self._leave) + self._hidden.zero_point
        self._h = _clip(h, self._hidden)

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` and `c_<layer>` [u] after the last frame."""
        return super().states() | {f"c_{self._name}": self._c.astype(self._cell.dtype)}


class GRULayer(_RecurrentLayer):
    """A GRU in basic operators."""

    def __init__(self, layer: IntegerGRU) -> None:
        super().__init__(layer, (0, 1, 2))
        self._through = _times(self._gates.sigmoid, self._before, self._before)
        self._mix = _times(self._gates.sigmoid, self._hidden, self._hidden)

    def _advance(self, part: Steps, back: Steps) -> None:
        n, hidden = self._units, self._hidden
        p = _clip(part[: 2 * n] + back[: 2 * n], self._before) - self._lowest
        gates = self._sigmoid[p] - self._gates.sigmoid.zero_point
        z, r = gates[:n], gates[n:]
        let_through = _clip(multiply(r * back[2 * n :], self._through), self._before)
        candidate = self._tanh[_clip(part[2 * n :] + let_through, self._before) - self._lowest]
        kept = _clip(multiply(z * self._h, self._mix), hidden)
        held_back = _clip(multiply(z * candidate, self._mix), hidden)
        self._h = _clip(kept + _clip(candidate - held_back, hidden), hidden)


def integer_layer(layer: IntegerLayer) -> LSTMLayer | GRULayer | DenseLayer:
    """What computes `layer`."""
    kinds = {IntegerLSTM: LSTMLayer, IntegerGRU: GRULayer, IntegerDense: DenseLayer}
    return kinds[type(layer)](layer)
