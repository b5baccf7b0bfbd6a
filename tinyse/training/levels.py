"""The path of one level: from the sparsity before it, over ramp and settling, to recovery.

    step 0 .. ramp        sparsity grows along the schedule, the learning rate is flat
         .. freeze        sparsity is reached; groups may still change places
         .. steps         the choice is fixed

From the end of the ramp on the rate falls along a cosine.

Everything is a function of the step, never of the clock: a resumed run takes the same path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from tinyse.recipe import Compress
from tinyse.sparsity.magnitude import Plan, Schedule

# E-foldings of a threshold between two choices.  Units' norms lie close together: what moves a
# threshold past a few blocks moves it past most units.
_FARTHEST = 0.25
_FARTHEST_OF_UNITS = 0.03


@dataclass(frozen=True)
class Level:
    """One sparsity of a run; steps count from 0 at the level's start.

    before, sparsity : shares of groups (for units, of weights) at its start and its end
    """

    number: int
    before: float
    sparsity: float
    settings: Compress

    @property
    def steps(self) -> int:
        """Steps of the level."""
        return self.settings.steps

    @property
    def selects(self) -> bool:
        """Whether there is anything to choose: at sparsity 0 there is only int8."""
        return self.sparsity > 0

    @cached_property
    def ramp(self) -> int:
        """Steps until the sparsity is reached, a multiple of `update_every`."""
        every = self.settings.update_every
        longest = (self.steps - 1) // every  # the last step trains what was chosen
        choices = min(round(self.settings.ramp_share * self.steps / every), longest)
        return choices * every if self.selects else 0

    @cached_property
    def freeze(self) -> int:
        """The step from which on the choice is fixed."""
        if not self.selects:
            return 0
        settle = self.settings.settle_share * self.steps
        return min(self.ramp + round(settle), self.steps - 1)

    @cached_property
    def distilled(self) -> int:
        """Steps that also follow the float network's mask."""
        return round(self.settings.distil_share * self.steps) if self.settings.distil else 0

    def target(self, step: int) -> float:
        """Sparsity that `learned` is steered to: the path of PolynomialDecay."""
        if self.settings.schedule == "ConstantSparsity" or step >= self.ramp:
            return self.sparsity
        return self.sparsity + (self.before - self.sparsity) * (
            (1 - step / self.ramp) ** self.settings.power
        )

    def learning_rate(self, step: int) -> float:
        """Rate of a step: warm-up, flat through the ramp, then a cosine to the final share."""
        settings = self.settings
        warm = min(1.0, (step + 1) / max(settings.warmup_share * self.steps, 1))
        falling = min(max(step - self.ramp, 0) / max(self.steps - self.ramp, 1), 1.0)
        cosine = (1 + math.cos(math.pi * falling)) / 2
        share = settings.final_share + (1 - settings.final_share) * cosine
        return settings.learning_rate * warm * share

    def threshold_rate(self, step: int) -> float:
        """Learning rate of thresholds: their way is as long however many steps the ramp has.

        In a short one it is shorter, so that the penalty is steered before they are far.  As they
        settle it falls to 0: what the cut has to take away is what the last steps moved.
        """
        settings = self.settings
        farthest = _FARTHEST_OF_UNITS if settings.structure == "unit" else _FARTHEST
        fastest = min(settings.threshold_pace / max(self.ramp, 1), farthest / settings.update_every)
        return fastest * min((self.freeze - step) / max(self.freeze - self.ramp, 1), 1.0)

    def slope(self, step: int) -> float:
        """Width of the sigmoid behind a learned mask."""
        first, last = self.settings.slope
        done = min(step / max(self.ramp, 1), 1.0)
        return first + (last - first) * done

    @property
    def schedules(self) -> Plan:
        """TF-MOT's schedules of every new choice by magnitude."""
        every = {"frequency": self.settings.update_every}
        constant = {"target_sparsity": self.sparsity, "end_step": self.freeze, **every}
        if self.settings.schedule == "ConstantSparsity" or not self.ramp:
            return [Schedule("ConstantSparsity", {"begin_step": 0, **constant})]
        growing = {"initial_sparsity": self.before, "final_sparsity": self.sparsity}
        growing |= {"begin_step": 0, "end_step": self.ramp, "power": self.settings.power, **every}
        return [
            Schedule("PolynomialDecay", growing),
            Schedule("ConstantSparsity", {"begin_step": self.ramp, **constant}),
        ]


def levels(settings: Compress) -> list[Level]:
    """Every level of a run, in order; one below the level before has its own sparsity at once."""
    before = [0.0, *settings.levels]
    return [
        Level(number, min(start, asked), asked, settings)
        for number, (start, asked) in enumerate(zip(before, settings.levels, strict=False))
    ]
