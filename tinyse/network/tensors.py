"""What the type checker is told of tensors, and of the decorator that gives one a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

from keras import ops

# Keras has no types, and what it takes has none in common: tensors of TensorFlow, JAX and NumPy.
Tensor: TypeAlias = Any
Tensors: TypeAlias = tuple[Tensor, ...]

# A value, and the function that takes its gradient to those of all arguments.
WithGradient: TypeAlias = tuple[Tensor, Callable[[Tensor], Tensor | Tensors]]

_Arguments = ParamSpec("_Arguments")


def custom_gradient(
    function: Callable[_Arguments, WithGradient],
) -> Callable[_Arguments, Tensor]:
    """`keras.ops.custom_gradient` for the type checker: a function that returns the value alone."""
    return ops.custom_gradient(function)
