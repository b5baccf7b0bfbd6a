"""Learned thresholds, the part outside the graph: where they start, their controller, the cut.

A group g of gate half k with norm n_g stays while n_g > t_k.  Thresholds t_k = exp(r_k) are trained
with the weights on loss + penalty * (share of weights that stays), through a sigmoid of
(n_g - t_k) / rms_k as the mask's gradient (after Learned Threshold Pruning, arXiv 2003.00075, which
multiplies by the sigmoid where the mask here is 0 or 1; see docs/patents.md).

One penalty for all halves means that in the end the last group of every half is worth the same;
what it must be for a given sparsity nobody knows, so a controller steers it.  What is left of the
error is taken away by one constant added to all r_k: at every choice on the way (`in_time`), and in
the end such that the count is exact (`cut`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.sparsity.choice import Keep, Norms, sparsity_of
from tinyse.sparsity.groups import Structure, Weights, groups_left, keep_exactly

Thresholds = Mapping[str, float]

START = 0.02  # least sparsity to start from: a threshold below every norm feels no group
_BELOW = 1 - 1e-6  # a group stays while its norm is above the threshold
SMALLEST = 1e-6  # threshold; its logarithm is trained
PENALTIES = (1e-2, 1e4)
PENALTY = 10.0  # dB of loss for all weights: where a trained network's is at half of them


def start(norms: Norms, budgets: Mapping[str, float]) -> dict[str, float]:
    """Thresholds at which every half has the sparsity of its budget, or the least to start from."""
    return {
        name: max(float(np.quantile(values, max(budgets.get(name, 0.0), START))), SMALLEST)
        for name, values in norms.items()
    }


def held_back(norms: Norms, thresholds: Thresholds, density: float) -> dict[str, float]:
    """The thresholds, none of them so high that a half keeps less than `density` of its groups.

    A half that is nearly empty has nothing left that could pull its threshold back: the sigmoid's
    window lies in the tail of its norms, where task and penalty alike find nothing.
    """
    highest = {
        name: float(np.partition(values, -most, axis=None)[-most])
        for name, values in norms.items()
        for most in [min(max(math.ceil(density * values.size), 1), values.size)]
    }
    return {
        name: max(min(threshold, highest[name] * _BELOW), SMALLEST)
        for name, threshold in thresholds.items()
    }


def in_time(
    weights: Weights,
    structure: Structure,
    norms: Norms,
    thresholds: Thresholds,
    least: float,
    most: float,
) -> Thresholds:
    """The thresholds, all times one factor where they leave less than `least` or more than `most`.

    least, most : sparsity that the path asks for now and at the next choice

    A short ramp has no time to learn back what went too early, nor to lose at its end what is late.
    What is learned is how halves stand to each other, which one factor leaves as it is.
    """
    sparsity = sparsity_of(weights, structure, kept(norms, thresholds))
    if least <= sparsity <= most:
        return thresholds
    keep = cut(weights, structure, norms, thresholds, min(max(sparsity, least), most))
    first = _parted(np.concatenate([_largest(values) for values in norms.values()]), norms)
    ratios = np.concatenate(
        [values[keep[name] & ~first[name]] / thresholds[name] for name, values in norms.items()]
    )
    if not ratios.size:  # nothing is left but the largest of each, which stay in any case
        return thresholds
    factor = float(ratios.min()) * _BELOW
    return {name: max(each * factor, SMALLEST) for name, each in thresholds.items()}


def kept(norms: Norms, thresholds: Thresholds) -> Keep:
    """What is above its threshold."""
    return {name: values > thresholds[name] for name, values in norms.items()}


def cut(
    weights: Weights,
    structure: Structure,
    norms: Norms,
    thresholds: Thresholds,
    sparsity: float,
) -> Keep:
    """Exactly as many groups as `sparsity` leaves: those that are furthest above their threshold.

    n_g / t_k ranks groups as one constant added to all log thresholds takes them away.  The largest
    of every half stays: no matrix may be empty.  For units, as few go as bring the share of weights
    down to what is asked.
    """
    over = np.concatenate([(norms[name] / thresholds[name]).ravel() for name in norms])
    first = np.concatenate([_largest(norms[name]) for name in norms])
    if structure.kind != "unit":
        return _parted(keep_exactly(over, groups_left(over.size, sparsity), first=first), norms)

    def keep_at(gone: int) -> Keep:
        return _parted(keep_exactly(over, over.size - gone, first=first), norms)

    low, high = 0, int(over.size - first.sum())  # the least number that is enough lies in between
    while low < high:
        middle = (low + high) // 2
        enough = sparsity_of(weights, structure, keep_at(middle)) >= sparsity
        low, high = (low, middle) if enough else (middle + 1, high)
    return keep_at(low)


def _largest(values: NDArray) -> NDArray[np.bool_]:
    found = np.zeros(values.size, bool)
    found[np.argmax(values)] = True
    return found


def _parted(keep: NDArray[np.bool_], norms: Norms) -> Keep:
    """One flat choice, back in the shape of the norms."""
    ends = np.cumsum([values.size for values in norms.values()])[:-1]
    parts = zip(norms.items(), np.split(keep, ends), strict=True)
    return {name: part.reshape(values.shape) for (name, values), part in parts}


@dataclass
class Controller:
    """Steers the penalty to a sparsity: proportional and integral, on the logarithm.

    log penalty += proportional * (e - e before) + integral * e,  e in points of sparsity

    Between its bounds it cannot wind up: what is beyond a bound is forgotten.
    """

    proportional: float
    integral: float
    penalty: float = PENALTY
    error: float = math.nan  # the last one; NaN before the first

    def steer(self, asked: float, found: float) -> float:
        """The penalty after a sparsity `found` where `asked` was wanted."""
        error = 100 * (asked - found)
        change = 0.0 if math.isnan(self.error) else self.proportional * (error - self.error)
        exponent = math.log(self.penalty) + change + self.integral * error
        low, high = PENALTIES
        self.penalty = math.exp(min(max(exponent, math.log(low)), math.log(high)))
        self.error = error
        return self.penalty
