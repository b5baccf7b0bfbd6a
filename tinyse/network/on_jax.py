"""The backend seam on JAX (see `backend`)."""

from __future__ import annotations

import jax


def time_loop(body, carry, inputs, reverse=False):
    """Run `body(carry, inputs[t]) -> carry, outputs_t` over the first axis.

    carry, inputs, outputs : tuples of arrays
    """
    return jax.lax.scan(body, tuple(carry), tuple(inputs), reverse=reverse)


def gathered(table, index):
    """table[index] for int32 indices that are known to lie inside."""
    return jax.numpy.asarray(table).at[index].get(mode="promise_in_bounds")


def compiled(function):
    """`function` as one XLA program; a new shape compiles anew."""
    return jax.jit(function)


def value_and_gradient(function):
    """A function that returns `function(parameters, *rest)` and its gradient by `parameters`."""
    return jax.value_and_grad(function)


def threads() -> int:
    """JAX leaves the thread count to XLA: zero, as TensorFlow's default."""
    return 0
