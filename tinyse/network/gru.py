"""The GRU of the training core, with a hand-written gradient: as `layers.lstm`, for Keras' GRU.

    z, r = sigmoid(x + h R + d)     n = tanh(x + r (h R + d))     h = z h + (1 - z) n

Sequences are time-major; gates z, r, n lie along the last axis, as Keras stores them, and the
reset gate stands behind the recurrent product (`reset_after=True`; Cho et al. 2014, eq. 5-8, with
the order of product and reset that CuDNN chose).  The loops carry the hidden state alone; the
gradients of the recurrent kernel and its bias are one matrix product over all steps.
"""

from __future__ import annotations

from keras import ops

from tinyse.network.backend import time_loop
from tinyse.network.tensors import Tensor, Tensors, WithGradient, custom_gradient


def gru_states(projected: Tensor, recurrent: Tensor, bias: Tensor) -> Tensors:
    """Hidden [T, B, H], and gates with the candidate's recurrent part [T, B, 4H], from zero.

    projected : [T, B, 3H], input kernel and its bias already applied
    recurrent : [H, 3H]
    bias : [3H], of the recurrent product
    """
    _, batch, width = projected.shape
    zeros = ops.zeros((batch, width // 3), dtype=projected.dtype)

    def step(carry: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        (hidden,) = carry
        x_z, x_r, x_n = ops.split(inputs[0], 3, axis=1)
        back_z, back_r, back_n = ops.split(ops.matmul(hidden, recurrent) + bias, 3, axis=1)
        z, r = ops.sigmoid(x_z + back_z), ops.sigmoid(x_r + back_r)
        n = ops.tanh(x_n + r * back_n)
        hidden = z * hidden + (1 - z) * n
        return (hidden,), (hidden, ops.concatenate([z, r, n, back_n], axis=1))

    return time_loop(step, (zeros,), (projected,))[1]


def gru(projected: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    """Hidden states [T, B, H] of `gru_states`, with the gradient described above."""

    @custom_gradient
    def with_gradient(projected: Tensor, recurrent: Tensor, bias: Tensor) -> WithGradient:
        hidden, gates = gru_states(projected, recurrent, bias)

        def gradient(upstream: Tensor) -> Tensors:
            return gru_gradient(upstream, recurrent, hidden, gates)

        return hidden, gradient

    return with_gradient(projected, recurrent, bias)


def gru_gradient(upstream: Tensor, recurrent: Tensor, hidden: Tensor, gates: Tensor) -> Tensors:
    """Gradients of `projected`, `recurrent` and `bias` for that of the hidden states [T, B, H]."""
    z, r, n, back_n = ops.split(gates, 4, axis=2)
    zeros = ops.zeros_like(hidden[0])
    before = ops.concatenate([ops.zeros_like(hidden[:1]), hidden[:-1]], axis=0)
    # What needs no recursion, for all steps at once: d(z, n, r before their functions) / d h.
    by_n = (1 - z) * (1 - n * n)
    by_r = by_n * back_n * r * (1 - r)
    by_z = (before - n) * z * (1 - z)
    transposed = ops.transpose(recurrent)

    def step(carry: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        above, z, r, by_z, by_r, by_n = inputs
        d_hidden = carry[0] + above
        d_z, d_r, d_n = d_hidden * by_z, d_hidden * by_r, d_hidden * by_n
        d_back = ops.concatenate([d_z, d_r, d_n * r], axis=1)
        d_before = d_hidden * z + ops.matmul(d_back, transposed)
        return (d_before,), (ops.concatenate([d_z, d_r, d_n], axis=1), d_back)

    steps = (upstream, z, r, by_z, by_r, by_n)
    _, (d_projected, d_back) = time_loop(step, (zeros,), steps, reverse=True)
    units, width = recurrent.shape
    flat = ops.reshape(d_back, (-1, width))
    d_recurrent = ops.matmul(ops.transpose(ops.reshape(before, (-1, units))), flat)
    return d_projected, d_recurrent, ops.sum(flat, axis=0)
