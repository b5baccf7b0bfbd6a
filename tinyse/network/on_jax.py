"""The backend seam on JAX (see `backend`)."""

from __future__ import annotations

import os
from collections.abc import Callable

import jax

from tinyse.network.tensors import Arguments, Body, Tensor, Tensors, Value


def time_loop(
    body: Body, carry: Tensors, inputs: Tensors, reverse: bool = False
) -> tuple[Tensors, Tensors]:
    """Run `body(carry, inputs[t]) -> carry, outputs_t` over the first axis.

    carry, inputs, outputs : tuples of arrays
    """
    return jax.lax.scan(body, tuple(carry), tuple(inputs), reverse=reverse)


def gathered(table: Tensor, index: Tensor) -> Tensor:
    """table[index] for int32 indices that are known to lie inside."""
    return jax.numpy.asarray(table).at[index].get(mode="promise_in_bounds")


def compiled(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """`function` as one XLA program; a new shape compiles anew."""
    return jax.jit(function)


def value_and_gradient(
    function: Callable[..., Tensor],
) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
    """A function that returns `function(parameters, *rest)` and its gradient by `parameters`."""
    return jax.value_and_grad(function)


def threads() -> int:
    """Threads of XLA, zero for one a core: JAX has no setting, XLA a variable."""
    told = os.environ.get("NPROC", "")
    return int(told) if told.isdecimal() else 0
