"""Where the encoder changes its way of writing: a walk forward that never looks back.

The walk counts what each way would have cost so far.  It leaves the active way when another is 40
bits ahead, or when a number cannot be written that way; a way that could not write something
starts again from what the active one has cost.  If the other way was ahead from where the active
one began, all of the span is written that way instead.

The encoder looks at every number.  So does this where there are few; of many it looks at groups,
and counts the 40 bits that the encoder falls behind before it sees that a change pays.

Source: `search_grc_params` of `mlw_encode.cpp`, ethos-u-vela 5.2.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SWITCH_BITS = 40
GROUP = 64  # a micro-block's rows by what is fed of them at a time
FEW = 4096  # numbers that are looked at one by one
UNFIT_BITS = 1 << 20  # what a way costs for a number that it cannot write
NEVER = 1 << 60


def cheapest_spans(
    costs: NDArray[np.int32], numbers: NDArray[np.intp]
) -> tuple[list[tuple[int, int]], int]:
    """((way, end) of each span of `numbers` [n], bits that are lost before changes are seen).

    costs : int32 [ways, numbers that occur], bits, UNFIT_BITS or more where a way cannot
    """
    if len(numbers) <= FEW:
        each = costs[:, numbers].astype(np.int64)
        return _walk(each, each < UNFIT_BITS, one_by_one=True), 0
    starts = np.arange(0, len(numbers), GROUP)
    grouped = np.stack([np.add.reduceat(row[numbers], starts) for row in costs])
    spans = _walk(grouped.astype(np.int64), grouped < UNFIT_BITS, one_by_one=False)
    ends = [(way, min(end * GROUP, len(numbers))) for way, end in spans]
    return ends, SWITCH_BITS * (len(spans) - 1)


def _walk(
    costs: NDArray[np.int64], fits: NDArray[np.bool_], one_by_one: bool
) -> list[tuple[int, int]]:
    """The spans of numbers or groups; `costs` and `fits` are [ways, groups]."""
    ways, groups = costs.shape
    total = np.zeros((ways, groups + 1), np.int64)
    np.cumsum(costs, axis=1, out=total[:, 1:])
    # The group behind the last one that a way could not write.
    since = np.maximum.accumulate(np.where(fits, 0, np.arange(1, groups + 1)), axis=1)
    active = int(costs[:, 0].argmin())
    spent = np.zeros(ways, np.int64)
    spans: list[tuple[int, int]] = []
    begin = 0
    while begin < groups:
        blocked = np.flatnonzero(~fits[active, begin:])
        end = begin + int(blocked[0]) + 1 if len(blocked) else groups
        by_active = spent[active] + total[active, begin : end + 1] - total[active, begin]
        counts = _counts(total, fits, since, spent, by_active, begin, end)
        compared = (by_active[:-1] if one_by_one else counts[active]).copy()
        if len(blocked):
            compared[-1] = NEVER  # the active way must be left here
        ahead = np.flatnonzero(counts.min(axis=0) + SWITCH_BITS < compared)
        if not len(ahead):
            break
        place = int(ahead[0])
        at, here = begin + place, counts[:, place]
        best = int(here.argmin())
        own = here[active] if fits[active, at] else by_active[place] + SWITCH_BITS
        if not (here[best] < own and since[best, at] <= since[active, at]):
            spans.append((active, at))
        active, begin = best, at + 1
        spent = np.where(fits[:, at], here, here[best])
    return [*spans, (active, groups)]


def _counts(
    total: NDArray[np.int64],
    fits: NDArray[np.bool_],
    since: NDArray[np.int64],
    spent: NDArray[np.int64],
    by_active: NDArray[np.int64],
    begin: int,
    end: int,
) -> NDArray[np.int64]:
    """Bits of each way behind each group from `begin` on, NEVER where it cannot write it."""
    begun = np.maximum(since[:, begin:end], begin)
    again = since[:, begin:end] > begin
    base = np.where(again, by_active[begun - begin], spent[:, None])
    counts = base + total[:, begin + 1 : end + 1] - np.take_along_axis(total, begun, axis=1)
    return np.where(fits[:, begin:end], counts, NEVER)
