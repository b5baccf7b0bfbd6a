"""One training step as a pure function: batch in, loss and new parameters and moments out.

Adam is written by hand (Kingma and Ba 2015, with the global norm of the gradient clipped): six
lines are what makes the step the same on every backend and its state three dicts of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.network import backend
from tinyse.network.build import Parameters
from tinyse.network.precision import products_in
from tinyse.network.tensors import Tensor
from tinyse.recipe import Recipe, Train
from tinyse.training.losses import Batch, batch_loss
from tinyse.training.muon import is_matrix, muon

MOST_OVERFLOWS = 10  # steps in a row whose gradient has no finite norm; a single one is left out
_DECAY_FIRST, _DECAY_SECOND, _EPSILON = 0.9, 0.999, 1e-7
_ALIKE: Mapping[str, Tensor] = MappingProxyType({})

PlainState = tuple[Parameters, ...]  # a `State` as compiled steps take and return it


class State(NamedTuple):
    """Everything that a step changes."""

    parameters: Parameters
    first: Parameters  # Adam's moments
    second: Parameters

    @classmethod
    def fresh(cls, parameters: Parameters) -> State:
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        return cls(parameters, zeros, dict(zeros))


def make_step(
    recipe: Recipe, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> Callable[[PlainState, Batch, Tensor, Tensor], tuple[PlainState, Tensor, Tensor]]:
    """A compiled `step(state, batch, number, rate) -> state, loss, gradient_norm`.

    number : float32 scalar array, 1 for the first step; rate : float32 scalar array
    """
    value_and_gradient = backend.value_and_gradient(
        lambda parameters, batch: batch_loss(
            recipe.network, recipe.loss, parameters, batch, mean, std
        )
    )
    update = OPTIMISERS[recipe.train.optimiser]

    def step(
        state: PlainState, batch: Batch, number: Tensor, rate: Tensor
    ) -> tuple[PlainState, Tensor, Tensor]:
        with products_in(recipe.train.precision):
            value, gradient = value_and_gradient(state[0], batch)
            gradient, norm = clipped(gradient, recipe.train.clip_norm)
            gradient = finite_or_zero(gradient, norm)
            return update(state, gradient, number, rate), value, norm

    return backend.compiled(step)


def clipped(gradient: Mapping[str, Tensor], bound: float) -> tuple[Parameters, Tensor]:
    """The gradient with its global norm brought down to `bound`, and the norm it had."""
    norm = ops.sqrt(sum(ops.sum(g * g) for g in gradient.values()))
    return shrunk(gradient, norm, bound), norm


def shrunk(gradient: Mapping[str, Tensor], norm: Tensor, bound: float) -> Parameters:
    """The gradient times what brings a `norm` above `bound` down to it."""
    shrink = bound / ops.maximum(norm, bound)
    return {name: g * shrink for name, g in gradient.items()}


def finite_or_zero(gradient: Mapping[str, Tensor], norm: Tensor) -> Parameters:
    """The gradient, or zeros where its `norm` is not finite.

    A sparse LSTM may meet a row through whose frames the gradient grows beyond float32, and every
    parameter would be lost with it.
    """
    is_finite = ops.isfinite(norm)
    return {name: ops.where(is_finite, g, ops.zeros_like(g)) for name, g in gradient.items()}


def adam(
    state: PlainState,
    gradient: Mapping[str, Tensor],
    number: Tensor,
    rate: Tensor,
    faster: Mapping[str, Tensor] = _ALIKE,
) -> PlainState:
    """(parameters, first, second) after step `number` (float32, from 1) at a learning rate.

    faster : parameter -> factor of its rate, 1 where it is not named
    """
    parameters, first, second = state
    rate = rate * ops.sqrt(1 - _DECAY_SECOND**number) / (1 - _DECAY_FIRST**number)
    new: PlainState = {}, {}, {}
    for name, g in gradient.items():
        new[1][name] = m = _DECAY_FIRST * first[name] + (1 - _DECAY_FIRST) * g
        new[2][name] = v = _DECAY_SECOND * second[name] + (1 - _DECAY_SECOND) * g * g
        by = rate * faster[name] if name in faster else rate
        new[0][name] = parameters[name] - by * m / (ops.sqrt(v) + _EPSILON)
    return new


def muon_and_adam(
    state: PlainState,
    gradient: Mapping[str, Tensor],
    number: Tensor,
    rate: Tensor,
    faster: Mapping[str, Tensor] = _ALIKE,
) -> PlainState:
    """`adam`, with Muon for the matrices."""
    matrices = [name for name in gradient if is_matrix(name)]
    rest = {name: g for name, g in gradient.items() if name not in matrices}
    parameters, first, second = adam(state, rest, number, rate, faster)
    for name in matrices:
        before = state[0][name], state[1][name], gradient[name]
        parameters[name], first[name] = muon(*before, rate, name)
        second[name] = state[2][name]  # kept as it is: all states look alike
    # The norm is a sum in this order: a resumed run must find the one that the whole run had.
    alike = [{name: part[name] for name in state[0]} for part in (parameters, first, second)]
    return alike[0], alike[1], alike[2]


OPTIMISERS = {"adam": adam, "muon": muon_and_adam}


def learning_rate(train: Train, step: int) -> float:
    """Rate of a step (0 is the first): warm-up, flat, then a cosine to the final share.

    A function of the step alone, never of the clock: a resumed run takes the same path.
    """
    total = train.steps_per_epoch * train.epochs
    warm = min(1.0, (step + 1) / max(train.warmup_steps, 1))
    flat = train.flat_share * total
    falling = min(max(step - flat, 0) / max(total - flat, 1), 1.0)
    cosine = (1 + math.cos(math.pi * falling)) / 2
    return train.learning_rate * warm * (train.final_share + (1 - train.final_share) * cosine)
