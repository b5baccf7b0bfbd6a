"""Which operations run in one go: activations in the output stage, and chains on the Ethos-U85.

An activation joins the operation before it if nothing else reads what lies between them.  The
Ethos-U85 also chains elementwise operations behind another operation through a small buffer, four
operations and three maps from outside at most.

Source: `SchedulerPacking::CanPack` and `EthosU{55,85}OpGroup::Add` of ethos-u-vela 5.2.0.
"""

from __future__ import annotations

from tinyse.npu.graph import Draft, View
from tinyse.npu.operations import ACTIVATIONS, ELEMENTWISE

LONGEST_CHAIN = 4
MOST_OUTSIDE_INPUTS = 3


def fused(drafts: list[Draft], chaining: bool) -> list[Draft]:
    """`drafts` in the order of execution, with those that run in one go made one."""
    found: list[Draft] = []
    for draft in drafts:
        if found and (_fuse(found[-1], draft) or (chaining and _chain(found[-1], draft))):
            continue
        found.append(draft)
    return found


def _last(draft: Draft) -> Draft:
    return draft.chained[-1] if draft.chained else draft


def _is_private(between: View, after: View) -> bool:
    """Whether a map is written once, read once, as a whole, and kept nowhere."""
    seen = between.map
    outside = seen.is_output or seen.is_outside
    whole = not between.is_part and after.shape == between.shape
    return whole and not outside and len(seen.writers) == 1 == len(seen.readers)


def _fuse(before: Draft, draft: Draft) -> bool:
    if draft.kind not in ACTIVATIONS or not draft.unit_scale:
        return False
    last = _last(before)
    if last.activations or last.kind in ACTIVATIONS or draft.inputs[0].map is not last.output.map:
        return False
    if not _is_private(last.output, draft.inputs[0]):
        return False
    if last.output.map.is_state != draft.output.map.is_state:
        return False
    last.activations = (draft.kind,)
    last.fused_table = draft.table
    draft.output.map.writers.remove(draft)
    last.write_to(draft.output)
    return True


def _chain(first: Draft, draft: Draft) -> bool:
    last = _last(first)
    if draft.kind not in ELEMENTWISE or len(first.chained) + 2 > LONGEST_CHAIN:
        return False
    link = next((view for view in draft.inputs if view.map is last.output.map), None)
    if link is None or not _is_private(last.output, link) or link.shape != draft.output.shape:
        return False
    if last.output.map.is_state != draft.output.map.is_state:
        return False
    outside = [view for view in first.inputs if not _is_scalar_constant(view)]
    for chained in (*first.chained, draft):
        outside += [view for view in chained.inputs if not _is_scalar_constant(view)]
    # Each link counts as one of the inputs.
    if len(outside) - len(first.chained) - 1 > MOST_OUTSIDE_INPUTS:
        return False
    first.chained = (*first.chained, draft)
    return True


def _is_scalar_constant(view: View) -> bool:
    return view.map.is_constant and view.shape == (1, 1, 1)
