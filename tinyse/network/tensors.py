"""What the type checker is told of tensors, and of the decorator that gives one a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, TypeVar

from keras import ops

# Keras has no types, and what it takes has none in common: tensors of TensorFlow, JAX and NumPy.
Tensor: TypeAlias = Any
Tensors: TypeAlias = tuple[Tensor, ...]

# A value, and the function that takes its gradient to those of all arguments.
WithGradient: TypeAlias = tuple[Tensor, Callable[[Tensor], Tensor | Tensors]]

# What a loop over time does at each step: (carry, inputs) -> (carry, outputs).
Body: TypeAlias = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


def custom_gradient(
    function: Callable[Arguments, WithGradient],
) -> Callable[Arguments, Tensor]:
    """`keras.ops.custom_gradient` for the type checker: a function that returns the value alone."""
    return ops.custom_gradient(function)
