"""How much of every gate half goes: budgets from one global sparsity, exact to the group.

Three ways to share it out, all with a floor, and by hand where the user says so:

table    The share that stays is proportional to a factor per kind of half.  Forget gates are
         nearly free; the cell candidate, output gates and dense layers carry the loss.
energy   Groups are ranked over the whole network by factor times saliency, the RMS over the group
         of w * sqrt(E x^2): what the group adds to the pre-activations.  Raw magnitudes say
         nothing across halves: features have unit variance, states are below one.
curves   A scan prunes one half at a time and fits loss(s) = a (exp(b s) - 1); budgets make the
         loss of the next group equal in every half.

One global rank on raw magnitude would empty whole gates: 4x4 blocks at 90 % of a trained network
leave densities from 0.1 % to 59 % per gate.  For pruning RNNs at initialisation: arXiv 1912.00120.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.sparsity.graph import free_spaces
from tinyse.sparsity.groups import (
    Structure,
    Weights,
    array_of,
    group_norms,
    groups_left,
    halves,
    refuse_oversized,
    shapes_of,
)

Budgets = dict[str, float]
Energy = Mapping[str, NDArray[np.float64]]  # array -> E x^2 of each of its inputs

# Relative density by gate, fitted to what an LSTM of 256 + 256 lost when one gate at a time went
# to 90 % in 4x4 blocks.  The order is that of the shipped densities of RNNoise 0.2 and LPCNet
# (update 1 : reset 1.5 : candidate 2.5), which the GRU's are taken from.
FACTORS = {"i": 0.84, "f": 0.36, "c": 1.38, "o": 1.44, "z": 0.6, "r": 0.9, "h": 1.5}
DENSE_FACTOR = 4.8

FLOOR = 0.25  # of the mean density: no half may be starved
SCAN_LEVELS = (0.5, 0.75, 0.9)
_LEVELS = 64.0  # shares and thresholds are searched between 2^-64 and 2^64
SMALLEST_LOSS = 1e-4  # dB; a half that improves by going is as good as free, and no better


@dataclass(frozen=True)
class Curve:
    """Loss a (exp(b s) - 1) of pruning one half to sparsity s."""

    a: float
    b: float

    def sparsity_at(self, slope: float) -> float:
        """Where the loss rises by `slope` per unit of sparsity."""
        return np.log(slope / (self.a * self.b)) / self.b


def budgets(
    weights: Weights,
    structure: Structure,
    sparsity: float,
    *,
    energy: Energy | None = None,
    curves: Mapping[str, Curve] | None = None,
    by_hand: Mapping[str, float] | None = None,
    floor: float = FLOOR,
) -> Budgets:
    """Sparsity of every half, such that the whole network's is `sparsity` to the group.

    energy : E x^2 per array (`calibration.energies`); ranks groups over the network
    curves : of a scan; takes the place of factors and energy
    by_hand : half or pattern ("lstm_*/recurrent/f") -> its sparsity; the others share the rest, and
        where there are no others the whole is what it comes to
    floor : least density of a half, as a share of the mean density

    For units the keys are the layers whose units may go, and the values their share that goes;
    the total is the share of weights, never less than asked and less than one unit more.

    Raises InputError for a sparsity that cannot be reached, with the largest that can be.
    """
    if not 0 <= sparsity < 1:
        raise InputError(f"expected 0 <= sparsity < 1, got {sparsity:g}", "sparsity")
    if structure.kind == "unit":
        return _unit_budgets(weights, sparsity, by_hand or {})
    matrices = halves(weights)
    refuse_oversized(structure, shapes_of(matrices))
    sizes = {name: math.prod(structure.grid(shape)) for name, shape in shapes_of(matrices).items()}
    fixed = {
        name: groups_left(sizes[name], share) for name, share in fixed_by_hand(by_hand or {}, sizes)
    }
    free = [name for name in sizes if name not in fixed]
    if not free:
        return {name: 1 - fixed[name] / size for name, size in sizes.items()}
    groups = np.array([sizes[name] for name in free], np.int64)
    kept = groups_left(sum(sizes.values()), sparsity) - sum(fixed.values())
    _refuse_unreachable(kept, groups, sum(sizes.values()), sum(fixed.values()))
    low = _floors(groups, kept, floor)
    if curves is not None:
        wanted = _by_curves([curves[name] for name in free], groups)
    elif energy is not None:
        wanted = _by_saliency(weights, structure, free, energy)
    else:
        wanted = _by_table(free, groups)
    counts = _exactly(lambda level: np.clip(wanted(level), low, groups), kept)
    left = fixed | dict(zip(free, counts.tolist(), strict=True))
    return {name: 1 - left[name] / size for name, size in sizes.items()}


def scan(
    weights: Weights,
    structure: Structure,
    prune: Callable[[Weights, Structure, Budgets], Weights],
    loss: Callable[[Weights], float],
    levels: tuple[float, ...] = SCAN_LEVELS,
    tell: Callable[[int, int], None] = lambda done, parts: None,
) -> dict[str, Curve]:
    """The curve of every half: `prune` one at a time to each level and ask `loss`, in dB.

    `loss` is that of weights against the unpruned network; no training between.  `tell` is called
    with halves tried and all of them.
    """
    found = {}
    names = list(halves(weights))
    for done, name in enumerate(names):
        tell(done, len(names))
        losses = [loss(prune(weights, structure, {name: level})) for level in levels]
        found[name] = fit_curve(np.array(levels), np.array(losses))
    return found


def fit_curve(levels: NDArray, losses: NDArray) -> Curve:
    """The curve through (sparsity, loss) points, least squares; losses below zero count as none."""
    losses = np.maximum(losses, SMALLEST_LOSS)
    steepness = np.geomspace(0.1, 30, 200)
    shapes = np.expm1(steepness[:, None] * levels)
    scales = (shapes @ losses) / (shapes**2).sum(axis=1)
    misses = ((scales[:, None] * shapes - losses) ** 2).sum(axis=1)
    best = int(np.argmin(misses))
    return Curve(float(scales[best]), float(steepness[best]))


def sparsity_for_bytes(
    limit: int, bytes_at: Callable[[float], int], account: str, largest: float, steps: int = 12
) -> float:
    """The least sparsity up to `largest` whose bytes are at most `limit`, to 2^-steps.

    bytes_at : sparsity -> bytes of the pruned network by the account; falls with the sparsity

    Raises InputError where even `largest` needs more, naming the smallest that can be reached.
    """
    if bytes_at(0.0) <= limit:
        return 0.0
    smallest = bytes_at(largest)
    if smallest > limit:
        what = f"{limit:,} bytes ({account}) cannot be reached"
        remedy = f"the smallest is {smallest:,}, at a sparsity of {largest:.4f}"
        raise InputError(what, "budget", remedy)
    low, high = 0.0, largest
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if bytes_at(middle) <= limit else (middle, high)
    return high


def largest_sparsity(weights: Weights, structure: Structure) -> float:
    """The sparsity that leaves one group, or one unit, wherever weights lie."""
    if structure.kind == "unit":
        spaces = free_spaces(weights)
        return 1 - weights_left(weights, dict.fromkeys(spaces, 1)) / _all_weights(weights)
    grids = [structure.grid(matrix.shape) for matrix in halves(weights).values()]
    return 1 - len(grids) / sum(map(math.prod, grids))


def weights_left(weights: Weights, units: Mapping[str, int]) -> int:
    """Weights of the network with that many units in the named spaces."""
    shares: dict[str, float] = {}
    for name, space in free_spaces(weights).items():
        for axis in space.axes:
            share = units.get(name, space.size) / space.size
            shares[axis.array] = shares.get(axis.array, 1.0) * share
    arrays = {array_of(half) for half in halves(weights)}
    return round(sum(weights[key].size * shares.get(key, 1.0) for key in arrays))


def _all_weights(weights: Weights) -> int:
    return sum(matrix.size for matrix in halves(weights).values())


def _factor(half: str) -> float:
    return FACTORS[half[-1]] if half.count("/") == 2 else DENSE_FACTOR


def _by_table(names: list[str], groups: NDArray) -> Callable[[float], NDArray]:
    factors = np.array([_factor(name) for name in names])
    return lambda level: np.minimum(np.exp2(level) * factors * groups, groups).astype(np.int64)


def _by_saliency(
    weights: Weights, structure: Structure, names: list[str], energy: Energy
) -> Callable[[float], NDArray]:
    """How many groups of each half are above a threshold, which falls as the level rises."""
    matrices, ranked = halves(weights), []
    for name in names:
        heard = matrices[name] * np.sqrt(energy[array_of(name)])
        norms = _factor(name) * group_norms(structure, heard).ravel()
        ranked.append(np.sort(np.maximum(norms, np.exp2(-_LEVELS))))
    return lambda level: np.array(
        [len(norms) - np.searchsorted(norms, np.exp2(-level)) for norms in ranked], np.int64
    )


def _by_curves(curves: list[Curve], groups: NDArray) -> Callable[[float], NDArray]:
    """How many groups stay where the next one costs the same everywhere."""

    def wanted(level: float) -> NDArray:
        pairs = zip(curves, groups, strict=True)
        gone = [curve.sparsity_at(np.exp2(-level) * size) for curve, size in pairs]
        return np.floor((1 - np.clip(gone, 0, 1)) * groups).astype(np.int64)

    return wanted


def fixed_by_hand(
    patterns: Mapping[str, float], sizes: Mapping[str, int]
) -> list[tuple[str, float]]:
    """(name, sparsity) of what the patterns name; the last that fits counts."""
    found: dict[str, float] = {}
    for pattern, share in patterns.items():
        names = [name for name in sizes if fnmatchcase(name, pattern)]
        if not names:
            remedy = f"the names are {', '.join(sizes)}"
            raise InputError("fits no matrix of the network", pattern, remedy)
        if not 0 <= share <= 1:
            raise InputError(f"expected 0 <= sparsity <= 1, got {share:g}", pattern)
        found |= dict.fromkeys(names, share)
    return list(found.items())


def _refuse_unreachable(kept: int, groups: NDArray, total: int, fixed: int) -> None:
    """Every half keeps a group, and none can keep more than it has."""
    if kept < len(groups):
        reachable = 1 - (len(groups) + fixed) / total
        what = f"leaves {max(kept, 0)} groups for {len(groups)} matrices, which would be empty"
        raise InputError(what, "sparsity", _largest(reachable))
    if kept > groups.sum():
        reachable = 1 - (int(groups.sum()) + fixed) / total
        what = "is below what is asked of single matrices by hand"
        raise InputError(what, "sparsity", f"the smallest that can be reached is {reachable:.6f}")


def _largest(sparsity: float) -> str:
    """What remains to be asked for, rounded so that it can be had."""
    return f"the largest that can be reached is {math.floor(1e6 * sparsity) / 1e6:.6f}"


def _floors(sizes: NDArray, kept: int, floor: float) -> NDArray:
    """Least count of each; where one group each is more than the floor, one."""
    low = np.maximum(np.floor(floor * kept / sizes.sum() * sizes).astype(np.int64), 1)
    return low if low.sum() <= kept else np.ones_like(low)


def _exactly(counts: Callable[[float], NDArray], total: int) -> NDArray:
    """Counts that sum up to `total`; `counts` must rise with its argument."""
    low, high = _around(counts, total)
    below, above = counts(low), counts(high)
    missing = total - int(below.sum())
    for index in np.argsort(-(above - below), kind="stable"):
        step = min(int(above[index] - below[index]), missing)
        below[index] += step
        missing -= step
    return below


def _around(counts: Callable[[float], NDArray], total: int) -> tuple[float, float]:
    """Two levels next to each other whose sums enclose `total`."""
    low, high = -_LEVELS, _LEVELS
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if counts(middle).sum() <= total else (low, middle)
    return low, high


def _unit_budgets(weights: Weights, sparsity: float, by_hand: Mapping[str, float]) -> Budgets:
    sizes = {name: space.size for name, space in free_spaces(weights).items()}
    fixed = {name: groups_left(sizes[name], share) for name, share in fixed_by_hand(by_hand, sizes)}
    free = [name for name in sizes if name not in fixed]
    groups = np.array([sizes[name] for name in free], np.int64)
    factors = np.array([1.0 if _gated(weights, name) else DENSE_FACTOR for name in free])
    everything = _all_weights(weights)
    smallest = weights_left(weights, fixed | dict.fromkeys(free, 1))
    # Whole weights: what 1 - w / everything asks for must be had in floats too.
    allowed = math.floor(everything * (1 - sparsity) + 1e-6)
    if (free and smallest > allowed) or not all(fixed.values()):
        what = "would leave a layer without units"
        raise InputError(what, "sparsity", _largest(1 - smallest / everything))

    def fits(counts: NDArray) -> bool:
        left = weights_left(weights, fixed | dict(zip(free, counts.tolist(), strict=True)))
        return left <= allowed

    def counts(level: float) -> NDArray:
        wanted = np.minimum(np.exp2(level) * factors * groups, groups)
        return np.maximum(wanted.astype(np.int64), 1)

    low, high = -_LEVELS, _LEVELS
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(counts(middle)) else (low, middle)
    chosen = counts(low)
    for index in range(len(free)):  # single units, where one layer still has room for them
        more = chosen + (np.arange(len(free)) == index)
        while more[index] <= groups[index] and fits(more):
            chosen, more = more, more + (np.arange(len(free)) == index)
    left = fixed | dict(zip(free, chosen.tolist(), strict=True))
    return {name: 1 - left[name] / size for name, size in sizes.items()}


def _gated(weights: Weights, layer: str) -> bool:
    return f"{layer}/recurrent" in weights
