"""The layers of the training core: arrays in, arrays out, parameters in a plain dict.

All sequences are time-major, [T, B, n].  The LSTM has a hand-written gradient: the forward loop
keeps gates and cells, the backward loop makes only the gradient of the pre-activations, and the
recurrent kernel's gradient is one matrix product over all steps afterwards.  Adding 1 MB to an
accumulator in every step is what makes automatic differentiation of a loop slow.

Gate order i, f, c, o along the last axis, as Keras stores it (keras.layers.LSTM).
"""

from __future__ import annotations

from keras import ops

from tinyse.network.backend import time_loop
from tinyse.network.precision import cpu_calls, cpu_loops
from tinyse.network.tensors import Tensor, Tensors, WithGradient, custom_gradient


def project(sequence: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """`sequence @ kernel + bias` for all frames at once; [T, B, n] @ [n, m] -> [T, B, m]."""
    steps, batch, width = sequence.shape
    cpu = cpu_calls()
    product = cpu.product if cpu else ops.matmul
    flat = product(ops.reshape(sequence, (steps * batch, width)), kernel) + bias
    return ops.reshape(flat, (steps, batch, kernel.shape[1]))


def lstm_states(projected: Tensor, recurrent: Tensor, cell_clip: float = 0.0) -> Tensors:
    """Hidden, cell [T, B, H] and gates [T, B, 4H] from a zero state.

    projected : [T, B, 4H], input kernel and bias already applied
    recurrent : [H, 4H]
    cell_clip : bound of the cell state, 0 for none (the option of TFLite's operator)
    """
    _, batch, width = projected.shape
    units = width // 4
    zeros = ops.zeros((batch, units), dtype=projected.dtype)

    def step(carry: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        hidden, cell = carry
        z = inputs[0] + ops.matmul(hidden, recurrent)
        i, f, g, o = ops.split(z, 4, axis=1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        cell = f * cell + i * g
        if cell_clip:
            cell = ops.clip(cell, -cell_clip, cell_clip)
        hidden = o * ops.tanh(cell)
        return (hidden, cell), (hidden, cell, ops.concatenate([i, f, g, o], axis=1))

    return time_loop(step, (zeros, zeros), (projected,))[1]


def _previous(states: Tensor) -> Tensor:
    """The state each step started from: zeros, then all but the last."""
    return ops.concatenate([ops.zeros_like(states[:1]), states[:-1]], axis=0)


def lstm(projected: Tensor, recurrent: Tensor, cell_clip: float = 0.0) -> Tensor:
    """Hidden states [T, B, H] of `lstm_states`, with the gradient described above."""
    cpu = cpu_loops(recurrent.shape[0])
    states = cpu.lstm_states if cpu else lstm_states
    back = cpu.lstm_gradient if cpu else lstm_gradient

    @custom_gradient
    def with_gradient(projected: Tensor, recurrent: Tensor) -> WithGradient:
        hidden, cell, gates = states(projected, recurrent, cell_clip)

        def gradient(upstream: Tensor) -> Tensors:
            return back(upstream, recurrent, hidden, cell, gates, cell_clip)

        return hidden, gradient

    return with_gradient(projected, recurrent)


def lstm_gradient(
    upstream: Tensor,
    recurrent: Tensor,
    hidden: Tensor,
    cell: Tensor,
    gates: Tensor,
    cell_clip: float,
    scale: Tensor | None = None,
) -> Tensors:
    """Gradients of `projected` and `recurrent` for the gradient of the hidden states [T, B, H].

    Hochreiter and Schmidhuber 1997 with forget gates; the factors that need no recursion are
    computed for all steps before the loop.

    scale : [4H], multiplies the gradient of `projected`; it goes into the factors, where another
        pass over [T, B, 4H] would cost as much as a tenth of the loop
    """
    i, f, g, o = ops.split(gates, 4, axis=2)
    tanh_cell = ops.tanh(cell)
    # Nothing passes a cell that was clipped: the sum before the clip no longer matters.
    free = ops.ones_like(cell)
    if cell_clip:
        free = ops.cast(ops.abs(cell) < cell_clip, cell.dtype)
    by_gates = [
        g * i * (1 - i),
        _previous(cell) * f * (1 - f),
        i * (1 - g * g),
        tanh_cell * o * (1 - o),
    ]
    if scale is not None:
        parts = ops.split(scale, 4)
        by_gates = [by * part for by, part in zip(by_gates, parts, strict=True)]
        recurrent = recurrent / scale
    factors = (o * (1 - tanh_cell * tanh_cell), free, *by_gates, f)
    zeros = ops.zeros_like(hidden[0])
    transposed = ops.transpose(recurrent)

    def step(carry: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        d_hidden, d_cell = carry
        above, by_cell, free, by_i, by_f, by_g, by_o, forget = inputs
        d_hidden = d_hidden + above
        d_cell = (d_cell + d_hidden * by_cell) * free
        dz = ops.concatenate([d_cell * by_i, d_cell * by_f, d_cell * by_g, d_hidden * by_o], axis=1)
        return (ops.matmul(dz, transposed), d_cell * forget), (dz,)

    _, (d_projected,) = time_loop(step, (zeros, zeros), (upstream, *factors), reverse=True)
    units, width = recurrent.shape
    d_recurrent = ops.matmul(
        ops.transpose(ops.reshape(_previous(hidden), (-1, units))),
        ops.reshape(d_projected, (-1, width)),
    )
    return d_projected, d_recurrent if scale is None else d_recurrent / scale
