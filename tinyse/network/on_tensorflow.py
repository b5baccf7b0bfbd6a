"""The backend seam on TensorFlow (see `backend`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tinyse.network.tensors import Arguments, Body, Tensor, Tensors, Value


def time_loop(
    body: Body, carry: Tensors, inputs: Tensors, reverse: bool = False
) -> tuple[Tensors, Tensors]:
    """Run `body(carry, inputs[t]) -> carry, outputs_t` over the first axis.

    carry, inputs, outputs : tuples of tensors; the first axis of `inputs` is static, else XLA
    cannot size the lists.
    """
    steps = inputs[0].shape[0]
    read = [tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x) for x in inputs]
    order: Callable[[Tensor], Tensor] = (lambda t: steps - 1 - t) if reverse else (lambda t: t)
    # One call outside the loop tells what an output looks like; in a graph it is pruned.
    _, examples = body(carry, tuple(x[0] for x in inputs))
    written = tuple(tf.TensorArray(e.dtype, steps, element_shape=e.shape) for e in examples)

    def step(t: Tensor, carry: Tensors, written: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        position = order(t)
        carry, outputs = body(carry, tuple(r.read(position) for r in read))
        return (
            t + 1,
            carry,
            tuple(w.write(position, o) for w, o in zip(written, outputs, strict=True)),
        )

    _, carry, written = tf.while_loop(
        lambda t, *_: t < steps,
        step,
        (tf.constant(0), tuple(carry), written),
        parallel_iterations=1,
        maximum_iterations=steps,
    )
    return carry, tuple(w.stack() for w in written)


def gathered(table: Tensor, index: Tensor) -> Tensor:
    """table[index] for int32 indices that are known to lie inside."""
    return tf.gather(table, index)


def compiled(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
    """`function` as one XLA program; a new shape compiles anew."""
    return tf.function(function, jit_compile=True, autograph=False)


def value_and_gradient(
    function: Callable[..., Tensor],
) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
    """A function that returns `function(parameters, *rest)` and its gradient by `parameters`."""

    def both(parameters: dict[str, Tensor], *rest: Any) -> tuple[Tensor, dict[str, Tensor]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(parameters)
            value = function(parameters, *rest)
        return value, tape.gradient(value, parameters)

    return both


def threads() -> int:
    """Threads of one operation, zero for one a core: the order of XLA's sums depends on it."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")  # TensorFlow takes it for its default
    asked = int(told) if told.isdecimal() else 0
    return tf.config.threading.get_intra_op_parallelism_threads() or asked
