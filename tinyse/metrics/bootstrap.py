"""Mean and 95 % interval of paired differences by a bootstrap over groups.

Files of one speaker are not independent, so what is drawn is groups: G of the G groups with
replacement, all their values together, the mean of those; 10,000 times.  With the counts of the
draws C [draws, G], sums S_g and sizes N_g of the groups that is (C @ S) / (C @ N): no loop.
The interval is [2.5 %, 97.5 %] of the means.  With fewer than 8 groups it is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tinyse.errors import InputError

DRAWS = 10_000
SEED = 20_240_501
FEWEST_GROUPS = 8  # below, say that the interval is too narrow


@dataclass(frozen=True)
class Interval:
    """A mean, its 95 % interval, and of how many groups."""

    mean: float
    low: float
    high: float
    groups: int


def paired_interval(
    values: ArrayLike, groups: Sequence[str], draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """The interval of `values` [n], one a row (for a comparison: differences), in `groups` [n].

    The same for any order of rows and any names of the groups.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or len(values) != len(groups):
        what = f"expected a value for each of {len(groups)} rows, got {len(values)}"
        raise InputError(what, "values", "give one or more rows")
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums, sizes = np.bincount(group, values), np.bincount(group)
    # Sorted by content, so that names do not decide which draw meets which group.
    order = np.lexsort((sizes, sums))
    count = len(sums)
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    means = (counts @ sums[order]) / (counts @ sizes[order])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high), count)
