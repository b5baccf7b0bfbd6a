"""One step of compression: the float step with masks and the exported arithmetic in its forward.

    loss = task(mask) + distil * distance(mask, teachers') + penalty * (share of weights kept)

The last two terms are there while a run asks for them.  What is returned, and logged, is the task's
loss alone, which can be compared with that of the float run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.network import backend
from tinyse.network.build import Parameters
from tinyse.network.integers import straight_through
from tinyse.network.masked import masked_forward
from tinyse.network.precision import products_in
from tinyse.network.quantised import Activations, quantised_forward
from tinyse.network.tensors import Tensor
from tinyse.recipe import Recipe, settings_of
from tinyse.training.groups_in_graph import THRESHOLD, Selection
from tinyse.training.losses import Batch, mask_distance, mixed_task
from tinyse.training.source import Teacher
from tinyse.training.step import OPTIMISERS, PlainState, State, clipped, finite_or_zero, shrunk

ForwardPass = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Tensor], Tensor]


class Fixed(TypedDict):
    """What a step reads and leaves: array -> mask [n, m]; the parameters of each teacher."""

    masks: Mapping[str, Tensor]
    teachers: Sequence[Mapping[str, Tensor]]


Step = Callable[[PlainState, Batch, Fixed, Mapping[str, Tensor]], tuple[PlainState, Tensor, Tensor]]


@dataclass(frozen=True)
class Knobs:
    """What changes from step to step.

    number : of the step, from 1; rate : learning rate; penalty, slope, threshold_rate : of a
    learned choice
    """

    number: float
    rate: float
    penalty: float = 0.0
    slope: float = 1.0
    threshold_rate: float = 0.0

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """As the compiled step takes them."""
        return {name: np.asarray(value, np.float32) for name, value in vars(self).items()}


def forward_pass(recipe: Recipe, activations: Activations) -> ForwardPass:
    """`forward(parameters, masks, features)`: in the integers of the file, or in float."""
    settings = settings_of(recipe)
    if settings.int8:
        bits = settings.weight_bits
        return partial(quantised_forward, recipe.network, activations, bits=bits)
    return partial(masked_forward, recipe.network)


def of_what_stays(state: State, masks: Mapping[str, Tensor]) -> State:
    """The state with no moments of what a fixed choice has taken out.

    Muon's momentum lasts for tens of steps, and would spend most of a step on what is out.
    """
    first, second = (
        {name: value * masks.get(name, 1.0) for name, value in moments.items()}
        for moments in (state.first, state.second)
    )
    return state._replace(first=first, second=second)


def make_compress_step(
    recipe: Recipe,
    activations: Activations,
    statistics: tuple[NDArray[np.float32], NDArray[np.float32]],
    selection: Selection | None = None,
    teachers: Sequence[Teacher] = (),
    frozen: bool = False,
) -> Step:
    """A compiled `step(state, batch, fixed, knobs) -> state, loss, gradient_norm`.

    statistics : mean, std [128] of the features
    selection : makes the masks from the parameters' thresholds; without, `fixed["masks"]` holds
    teachers : the networks whose mean mask is followed, while it is
    frozen : the choice is fixed: what is out learns nothing more, and the optimiser sees what is
        in alone (a step that is orthogonalised with the rest would mostly move the rest)
    """
    settings = settings_of(recipe)
    mean, std = statistics
    update = OPTIMISERS[recipe.train.optimiser]
    masks_of = forward_pass(recipe, activations)

    def loss(
        parameters: Parameters, batch: Batch, fixed: Fixed, knobs: Mapping[str, Tensor]
    ) -> Tensor:
        drawn = mixed_task(recipe.loss, batch, mean, std)
        frames = drawn.features
        masks, kept = fixed["masks"], 0.0
        if selection is not None:
            masks, kept = selection.masks(parameters, knobs["slope"])
        mask = masks_of(parameters, masks, frames)
        task = drawn.loss_of(mask)
        total = task + knobs["penalty"] * kept
        if teachers:
            # Rows are drawn alike, so half of them stand for all, at half the teachers' cost.
            rows = -(-frames.shape[0] // 2)
            pairs = zip(teachers, fixed["teachers"], strict=True)
            louder = ops.maximum(settings.teacher_dbfs - batch["level_dbfs"][:rows], 0.0)
            heard = frames[:rows] + louder[:, None, None] / std
            told = [each.mask(given, heard) for each, given in pairs]
            mean_mask = sum(told[1:], start=told[0]) / len(told)
            total = total + settings.distil * mask_distance(mask[:rows], mean_mask)
        return straight_through(task, total)

    value_and_gradient = backend.value_and_gradient(loss)

    def step(
        state: PlainState, batch: Batch, fixed: Fixed, knobs: Mapping[str, Tensor]
    ) -> tuple[PlainState, Tensor, Tensor]:
        with products_in(recipe.train.precision):
            value, gradient = value_and_gradient(state[0], batch, fixed, knobs)
            # Thresholds stand apart: a penalty as large as it has to be must not shrink the
            # weights' share of the bound, and Adam takes no notice of their gradient's size.
            thresholds = {name: g for name, g in gradient.items() if name.startswith(THRESHOLD)}
            weights = {name: g for name, g in gradient.items() if name not in thresholds}
            if frozen:
                masks = fixed["masks"]
                weights = {name: g * masks.get(name, 1.0) for name, g in weights.items()}
            weights, norm = clipped(weights, recipe.train.clip_norm)
            # They shrink with the weights all the same: of one burst Adam would remember the
            # square for a thousand steps, in which no threshold moves.
            thresholds = shrunk(thresholds, norm, recipe.train.clip_norm)
            gradient = finite_or_zero(weights | thresholds, norm)
            faster = dict.fromkeys(thresholds, knobs["threshold_rate"] / knobs["rate"])
            new = update(state, gradient, knobs["number"], knobs["rate"], faster)
        return new, value, norm

    return backend.compiled(step)
