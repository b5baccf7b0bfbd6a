"""Muon: steps along the orthogonalised momentum of every matrix, Adam for everything else.

A gradient of a recurrent network lies in a few directions; the step U V' of its singular value
decomposition U S V' goes as far along the weak ones.  Jordan et al. 2024 (Muon), with the scale of
Liu et al. 2025 (arXiv 2502.16982, equation 4), so that rates of Adam serve.  Each gate of an LSTM
is a matrix of its own.
"""

from __future__ import annotations

from keras import ops

from tinyse.network.precision import cpu_calls
from tinyse.network.tensors import Tensor
from tinyse.quant.weights import GATES_OF

_MOMENTUM = 0.95
# Quintic Newton-Schulz iteration of Jordan et al.: brings singular values between 0.7 and 1.2.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SCALE = 0.2  # RMS of an update, times the learning rate: that of Adam's


def is_matrix(name: str) -> bool:
    """Whether that parameter takes Muon's step; the mask's layer is an output and takes Adam's."""
    layer, _, part = name.partition("/")
    return layer.partition("_")[0] in ("lstm", "gru", "dense") and part in ("kernel", "recurrent")


def muon(
    parameter: Tensor, momentum: Tensor, gradient: Tensor, rate: Tensor, name: str
) -> tuple[Tensor, Tensor]:
    """(parameter, momentum) after a step at a learning rate."""
    momentum = _MOMENTUM * momentum + gradient
    ahead = gradient + _MOMENTUM * momentum
    gates = GATES_OF.get(name.split("_")[0], 1)
    rows, columns = ahead.shape[0], ahead.shape[1] // gates
    parts = ops.transpose(ops.reshape(ahead, (rows, gates, columns)), (1, 0, 2))
    step = ops.transpose(orthogonalised(parts), (1, 0, 2))
    scale = _SCALE * max(rows, columns) ** 0.5
    return parameter - rate * scale * ops.reshape(step, ahead.shape), momentum


def orthogonalised(matrices: Tensor) -> Tensor:
    """About U V' of every U S V' in [k, n, m]."""
    cpu = cpu_calls()
    product = cpu.batched_product if cpu else ops.matmul
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else ops.transpose(matrices, (0, 2, 1))
    x = x / (ops.sqrt(ops.sum(x * x, axis=(1, 2), keepdims=True)) + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = product(x, ops.transpose(x, (0, 2, 1)))
        x = a * x + product(b * square + c * product(square, square), x)
    return x if wide else ops.transpose(x, (0, 2, 1))
