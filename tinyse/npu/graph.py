"""Feature maps and operations while a file is lowered: who writes and who reads what.

A `View` is a whole map or a range of its channels: taking a slice or joining maps costs nothing
where the reader or writer can work on the range itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tinyse.npu.operations import BRICK_CHANNELS, POINT, Feature, Kernel, Operation, Shape, up

TABLE_BYTES = 256  # of 8-bit values
WIDE_TABLE_BYTES = 2048  # of 16-bit values: 512 pairs of base and slope
ALIGNMENT_BYTES = 16


@dataclass(eq=False)
class Map:
    """One feature map.

    is_outside : an input, output or state of the graph, which lies row by row
    is_output : an output of the graph
    is_state : kept from call to call
    """

    name: str
    shape: Shape
    bits: int
    is_outside: bool = False
    is_output: bool = False
    is_state: bool = False
    is_constant: bool = False
    writers: list[Draft] = field(default_factory=list)
    readers: list[Draft] = field(default_factory=list)

    @property
    def is_brick(self) -> bool:
        """Whether it lies in bricks of 16 channels.

        It does if only the NPU sees it, whoever reads it reads what was written, and every part
        begins at a brick.  Source: `UpdateSchedulerTensor` of `ethosu/regor/compiler/scheduler.cpp`
        of ethos-u-vela 5.2.0.
        """
        if self.is_outside or self.is_output or self.is_state or self.is_constant:
            return False
        reads = [view for draft in self.readers for view in draft.inputs if view.map is self]
        writes = [draft.output for draft in self.writers]
        if any(view.first % BRICK_CHANNELS for view in (*reads, *writes)):
            return False
        return all(view.shape[1:] == self.shape[1:] for view in reads)


@dataclass(frozen=True)
class View:
    """A map as an operation sees it: its shape there, and the first channel of the range."""

    map: Map
    shape: Shape
    first: int = 0

    @property
    def is_part(self) -> bool:
        """Not all of the map."""
        return np.prod(self.shape) != np.prod(self.map.shape)

    def channels(self, first: int, count: int) -> View:
        """A range of the channels."""
        return View(self.map, (*self.shape[:2], count), self.first + first)


def whole(source: Map) -> View:
    """All of a map."""
    return View(source, source.shape)


@dataclass(eq=False)
class Draft:
    """An operation under construction.

    unit_scale : an activation that neither rescales nor moves the zero point, so that it can run in
        the output stage of whatever writes its input
    table, fused_table : names of the lookup tables of an activation and of the one behind it;
        equal tables have equal names
    """

    kind: str
    name: str
    layer: str
    inputs: tuple[View, ...]
    output: View
    kernel: Kernel = POINT
    weights: NDArray[np.integer] | None = None
    activations: tuple[str, ...] = ()
    chained: tuple[Draft, ...] = ()
    unit_scale: bool = False
    table: str = ""
    fused_table: str = ""

    def __post_init__(self) -> None:
        for view in self.inputs:
            if self not in view.map.readers:
                view.map.readers.append(self)
        self.output.map.writers.append(self)

    def write_to(self, output: View) -> None:
        """Write somewhere else than before."""
        self.output.map.writers.remove(self)
        self.output = output
        output.map.writers.append(self)

    def finished(self, wide_tables: bool) -> Operation:
        """The operation; `wide_tables` for NPUs that look 16-bit activations up (Ethos-U85)."""
        own = {view.map for view in self._written()}
        extra = [
            _feature(view)
            for draft in self.chained
            for view in draft.inputs
            if view.map not in own and not _feature(view).is_scalar
        ]
        return Operation(
            kind=self.kind,
            name=self.name,
            layer=self.layer,
            inputs=tuple(_feature(view) for view in self.inputs),
            output=_feature((self.chained or (self,))[-1].output),
            kernel=self.kernel,
            weights=self.weights,
            activations=self.activations,
            chained=tuple(draft.finished(wide_tables) for draft in self.chained),
            table_bytes=self._table_bytes(wide_tables),
            tables=tuple(
                table for link in (self, *self.chained) for table in link._tables(wide_tables)
            ),
            extra_inputs=tuple(extra),
        )

    def _written(self) -> list[View]:
        return [self.output, *(draft.output for draft in self.chained)]

    def _table_bytes(self, wide_tables: bool) -> int:
        if self.kind == "Table":
            return TABLE_BYTES
        return WIDE_TABLE_BYTES if wide_tables and self.kind in ("Sigmoid", "Tanh") else 0

    def _tables(self, wide_tables: bool) -> tuple[tuple[str, int], ...]:
        """(name, bytes) of its own table and of what is fused behind it."""
        fused_bytes = TABLE_BYTES if self.activations == ("Table",) else WIDE_TABLE_BYTES
        if self.activations != ("Table",) and not wide_tables:
            fused_bytes = 0
        both = ((self.table, self._table_bytes(wide_tables)), (self.fused_table, fused_bytes))
        return tuple((name, size) for name, size in both if name and size)


def _feature(view: View) -> Feature:
    return Feature(view.shape, view.map.bits, view.map.is_brick, view.map.is_constant)


def most_alive(drafts: list[Draft]) -> int:
    """Bytes of all feature maps that are alive at once, at most.

    States stay; inputs wait for their last reader and outputs for the end.  An allocator may need
    more, for it cannot always fill the gaps.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    sizes: dict[str, int] = {}
    links = [link for draft in drafts for link in (draft, *draft.chained)]
    for moment, draft in enumerate(drafts):
        chain = (draft, *draft.chained)
        private = {link.output.map for link in chain[:-1]}
        for view in [chain[-1].output, *(view for link in chain for view in link.inputs)]:
            seen = view.map
            if seen in private or seen.is_constant:
                continue
            name = seen.name if seen.is_state else f"{seen.name} {id(seen)}"
            stays = seen.is_state or seen.is_outside
            first[name] = min(first.get(name, moment), 0 if stays else moment)
            ends = len(links) if seen.is_state or seen.is_output else moment
            last[name] = max(last.get(name, 0), ends)
            whole = Feature(seen.shape, seen.bits, seen.is_brick)
            sizes[name] = up(whole.stored * whole.bits // 8, ALIGNMENT_BYTES)
    changes = [0] * (len(links) + 2)  # what comes alive at each moment, less what went before it
    for name, size in sizes.items():
        changes[first[name]] += size
        changes[last[name] + 1] -= size
    return max(accumulate(changes[: len(drafts)]), default=0)
