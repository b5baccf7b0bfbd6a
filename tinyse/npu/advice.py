"""What would make a file cheaper on an NPU: answers computed from the model, not rules of thumb.

    where    which layer takes most cycles, and what it waits for
    floor    the most that any pruning can give: weight streams of no length at all
    moves    the smallest sparsity of a layer at which it no longer waits for its weights
    tiles    what a design that skips empty tiles would make of this file, by tile shape
    values   what smaller values or fewer levels save in the encoder

Each answer has the `--what-if` that gives the same cycles again.  Weights are removed by size, as
they are; a network that is trained for it loses others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyse.npu.cost import network_cost
from tinyse.npu.document import profile_program
from tinyse.npu.hardware import Target
from tinyse.npu.lower import lower_file
from tinyse.npu.operations import Operation, Program
from tinyse.npu.skipping import find_tiles
from tinyse.npu.what_if import (
    Tile,
    WhatIf,
    changed_program,
    changed_target,
    parse_what_if,
    pruned,
)

SPARSITY_STEPS = 1000  # sparsity is looked for in steps of 0.1 %
TILES = ((1, 8), (4, 4), (8, 8), (16, 1), (8, 32), (16, 16))
PRUNED = 0.9
LIMITS, LEVELS = (63, 31), (16, 8)
PAYS = 0.98  # cycles or bytes must fall below this share to be worth a line


@dataclass(frozen=True)
class Question:
    """The state of one advice: a program, its target and the profile as it is."""

    program: Program
    target: Target
    mode: str
    asked: WhatIf
    asked_text: str
    profile: dict[str, Any]

    def answer(self, text: str) -> dict[str, Any]:
        """Totals under what was asked before and `text` too."""
        more = parse_what_if(self.joined(text))
        program = changed_program(self.program, more)
        return profile_program(program, changed_target(self.target, more), self.mode)["total"]

    def joined(self, text: str) -> str:
        """What to give to --what-if."""
        return ",".join(filter(None, (self.asked_text, text)))

    @property
    def total(self) -> dict[str, Any]:
        """Totals as they are."""
        return self.profile["total"]


def advise(
    path: Path | str, target: Target, mode: str = "vela", asked_text: str = ""
) -> list[dict[str, Any]]:
    """Lines of advice for the file `path` on `target`: subject, says, what_if, cycles, speed_up."""
    asked = parse_what_if(asked_text)
    program = lower_file(path, target.hardware.is_u85)
    now = profile_program(changed_program(program, asked), changed_target(target, asked), mode)
    question = Question(program, target, mode, asked, asked_text, now)
    lines = [_where(question), *_floor(question), *_moves(question), *_tiles(question),
             *_values(question)]  # fmt: skip
    return lines


def _line(question: Question, subject: str, says: str, text: str, total: dict) -> dict[str, Any]:
    return {
        "subject": subject,
        "says": says,
        "what_if": question.joined(text),
        "cycles": total["cycles"],
        "encoded_bytes": total["encoded_bytes"],
        "speed_up": round(question.total["cycles"] / max(total["cycles"], 1), 3),
    }


def _where(question: Question) -> dict[str, Any]:
    layers = question.profile["layers"]
    most = max(layers, key=lambda layer: layer["cycles"])
    share = most["cycles"] / max(question.total["cycles"], 1)
    says = f"takes {share:.0%} of the cycles and waits for {_resource(most['binds'])}"
    return _line(question, most["name"], says, "", question.total)


def _resource(binds: str) -> str:
    return {
        "decode": "the weight path of the NPU, not for its multipliers",
        "array": "the multiply-accumulate array",
        "output": "the output stage of the NPU",
    }.get(binds, binds)


def _floor(question: Question) -> Iterator[dict[str, Any]]:
    """Pruning can at most make streams vanish; scale records and the NPU's own time stay."""
    total = question.answer("encoded=0")
    most = question.total["cycles"] / max(total["cycles"], 1)
    waits = _resource(total["binds"])
    says = f"{most:.2f}x is the most that any pruning can give here; then it waits for {waits}"
    yield _line(question, "all layers", says, "encoded=0", total)


def _moves(question: Question) -> Iterator[dict[str, Any]]:
    """For each layer that waits for its weights: when it stops to."""
    memory = question.target.memory
    for layer in question.profile["layers"]:
        if layer["binds"] != memory:
            continue
        operations = _layer(question, layer["name"])
        block = question.asked.block
        share = smallest_sparsity(operations, _target(question), question.mode, block)
        name = layer["name"]
        if share is None:
            says = f"waits for {memory} at any sparsity: its scale records alone take longer"
            yield _line(question, name, says, "", question.total)
            continue
        text = f"{name}.sparsity={share:g}"
        says = f"stops waiting for {memory} at {share:.1%} zeros"
        yield _line(question, name, says, text, question.answer(text))


def _target(question: Question) -> Target:
    return changed_target(question.target, question.asked)


def _layer(question: Question, name: str) -> list[Operation]:
    program = changed_program(question.program, question.asked)
    return [o for o in program.operations if o.layer == name and o.weights is not None]


def smallest_sparsity(
    operations: list[Operation], target: Target, mode: str, block: Tile = (1, 1)
) -> float | None:
    """The smallest share of zeros at which most cycles of `operations` wait for something else.

    block : what zeros are taken in

    None where they wait for their weights' memory at any share.
    """
    low, high = 0, SPARSITY_STEPS
    if _waits(operations, target, mode, (SPARSITY_STEPS - 1) / SPARSITY_STEPS, block):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _waits(operations, target, mode, middle / SPARSITY_STEPS, block):
            low = middle
        else:
            high = middle
    return high / SPARSITY_STEPS


def _waits(
    operations: list[Operation], target: Target, mode: str, share: float, block: Tile
) -> bool:
    """Whether most cycles wait for the weights' memory with that share of zeros."""
    weighted = ((o, o.weights) for o in operations)
    changed = tuple(o.with_weights(pruned(w, share, block)) for o, w in weighted if w is not None)
    costs = network_cost(changed, target, mode)
    waiting = sum(c.cycles for c in costs if c.binds(target.memory) == target.memory)
    return 2 * waiting > sum(c.cycles for c in costs)


def _tiles(question: Question) -> Iterator[dict[str, Any]]:
    """Which tiles a skipping design would need for this file's zeros, and for block pruning."""
    program = changed_program(question.program, question.asked)
    answers = []
    for rows, columns in TILES:
        tile = f"{rows}x{columns}"
        found = [find_tiles(o.weights, (rows, columns)) for o in program.operations
                 if o.weights is not None]  # fmt: skip
        count = sum(len(tiles.live) for tiles in found)
        live = sum(int(tiles.live.sum()) for tiles in found) / max(count, 1)
        answers.append((rows * columns, live, tile))
    empty = [(size, live, tile) for size, live, tile in answers if live < PAYS]
    if empty:
        # The largest tile needs the smallest index; take it while it skips as much as any.
        fewest = min(live for _, live, _ in empty)
        _, live, tile = max(entry for entry in empty if entry[1] <= fewest + 0.02)
        says = f"a design that skips {tile} tiles would work on {live:.1%} of them"
        yield _line(question, "all layers", says, f"tile={tile}", question.answer(f"tile={tile}"))
        return
    text = f"sparsity={PRUNED},block=4x4,tile=4x4"
    says = (
        f"no tile is empty; with {PRUNED:.0%} of 4x4 blocks pruned, a design that skips them gives"
    )
    yield _line(question, "all layers", says, text, question.answer(text))


def _values(question: Question) -> Iterator[dict[str, Any]]:
    """What the encoder gains from values that it can write shorter."""
    before = max(question.total["encoded_bytes"], 1)
    for key, choices, words in (
        ("limit", LIMITS, "coarser values, up to {}"), ("levels", LEVELS, "{} different values"),
    ):  # fmt: skip
        for choice in choices:
            total = question.answer(f"{key}={choice}")
            saved = before - total["encoded_bytes"]
            if total["encoded_bytes"] < PAYS * before:
                what = words.format(choice)
                says = f"{what} in each matrix save {saved:,} bytes ({saved / before:.0%})"
                yield _line(question, "encoder", says, f"{key}={choice}", total)
