"""Weights copied into SRAM ahead of use, where that pays.

A matrix-vector product reads each weight once, so copying it first gains nothing.  A convolution
reads its weights for every block of outputs; they can be copied in slices of output channels, the
first while the operation before still runs, each later one while the one before it does.

The estimator knows no design that skips tiles and no stream of another length: of those the faster
of two ways counts (`ways_to_read`).

Source: `Scheduler::ProposeSlicedWeightBuffering` and `EstimateSlicedOpPerformance` of
ethos-u-vela 5.2.0; left out is what they do for want of SRAM.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from tinyse.npu.blocks import Block
from tinyse.npu.cycles import Pace, Part, count_cycles
from tinyse.npu.hardware import Target
from tinyse.npu.operations import Operation, up
from tinyse.npu.traffic import Traffic, channel_rate, copy_cycles
from tinyse.npu.weights import Stored, stored_slices

SPLIT_CHANNELS = 16
START_CYCLES = 1000  # what a start may take before it counts against copying
LEAST_UTILISATION = 0.3  # of a block by a slice


@dataclass(frozen=True)
class Weights:
    """The weights of an operation as they are, and as the design that is asked about has them.

    encoded : as the NPU's own encoder stores them
    stored : the same object, or what skipping or a stream of another length makes of it
    pace : what makes the array faster for `stored`, as the estimator counts it
    """

    encoded: Stored
    stored: Stored
    pace: Pace

    @property
    def as_is(self) -> Weights:
        """As they are, with nothing skipped and streams of their own length."""
        pace = replace(self.pace, two_of_four=self.encoded.is_two_of_four, live_share=1.0)
        return Weights(self.encoded, self.encoded, pace)


@dataclass(frozen=True)
class Buffered:
    """What copying weights ahead makes of an operation.

    npu_cycles : of the whole operation, with the copies that show
    stored : the weights as slices, which are a little longer together
    copied_bytes : copied while the operation itself runs
    slack : cycles under which the next operation's weights can be copied
    staging_bytes : of SRAM, for a slice in use and the next one
    hides_table : whether the copy of the operation's table does not show: the estimator has it so
        where it copies the weights as they are, and fewer of them are no reason
    """

    npu_cycles: int
    stored: Stored
    copied_bytes: int
    slack: int
    staging_bytes: int
    hides_table: bool


def ways_to_read(
    operation: Operation,
    block: Block,
    weights: Weights,
    traffic: Traffic,
    target: Target,
    slack: int,
    is_first: bool,
) -> list[Buffered | None]:
    """How the weights of `operation` may be copied ahead, None for reading them in place.

    Weights as they are have the one way that the estimator takes.  Its rules of thumb may find a
    slower way for less work or fewer bytes, so what is asked about has two: what the rules say of
    it, and what they say of the weights as they are.

    slack : cycles of the operation before, under which the first slice is copied
    """
    if target.memory == "sram":
        return [None]
    slack = 0 if is_first else slack
    plan = _Plan(operation, block, weights, traffic, target, slack, is_first)
    cuts = [plan.cuts()]
    if weights.stored is not weights.encoded:
        as_is = _Plan(operation, block, weights.as_is, traffic, target, slack, is_first)
        cuts.append(as_is.cuts())
        if cuts[-1] is None and traffic.refetches == 1:
            return [None]  # what is read once, and in place: fewer bytes are no reason to copy it
    hides_table = cuts[-1] is not None
    return [plan.copied(each, hides_table) if each else None for each in cuts]


class _Plan:
    """The terms of the decision for one operation."""

    def __init__(
        self, operation: Operation, block: Block, weights: Weights, traffic: Traffic,
        target: Target, slack: int, is_first: bool,
    ) -> None:  # fmt: skip
        self.operation, self.block, self.target = operation, block, target
        self.encoded, self.stored, self.pace = weights.encoded, weights.stored, weights.pace
        self.slack, self.is_first, self.refetches = slack, is_first, traffic.refetches
        self.channels, self.deep = operation.output.shape[2], block.outputs[2]
        self.least = SPLIT_CHANNELS if not target.hardware.is_u85 else max(16, block.micro[2])
        self.full = copy_cycles(self.stored.bytes, target)
        self.in_place = self._read_cycles(in_sram=False)
        self.from_sram = self._read_cycles(in_sram=True)
        self.run = count_cycles(operation, block, target, self.pace).npu
        self.inputs = int(traffic.inputs[0] / target.sram.bytes_per_cycle)
        self.inputs += target.sram.read_latency_cycles
        smallest = int(self.full * min(self.channels, SPLIT_CHANNELS) / self.channels)
        soon = smallest < self.in_place / 10 or smallest <= START_CYCLES
        self.force = is_first and self.refetches > 1 and soon
        self.early = not is_first and smallest < slack and self.refetches > 1
        self.npu_bound = self.run > self.in_place

    def _read_cycles(self, in_sram: bool) -> int:
        """Cycles to see all weights as often as they are read."""
        memory = self.target.sram if in_sram else self.target.weights
        channel = "fast_weight" if self.stored.is_fast else "weight"
        rate = channel_rate(self.target, memory, channel)
        return int(self.stored.bytes / rate + memory.read_latency_cycles) * self.refetches

    def cuts(self) -> list[int] | None:
        """Output channels at which slices begin and end; None where reading in place is as good."""
        cuts = self._proposed()
        return cuts if cuts is not None and self._pays(cuts) else None

    def _proposed(self) -> list[int] | None:
        """The same, None where copying cannot win."""
        if self.from_sram >= self.in_place:
            return None
        whole = self.from_sram + max(self.full - self.slack, 0) < self.in_place
        if not (self.force or whole or self.channels // self.deep > 2 or self.early):
            return None
        ratio = self._first_share()
        first = max(int(self.channels * ratio) // self.least * self.least, SPLIT_CHANNELS)
        if ratio >= 1 or first >= self.channels:
            return [0, self.channels]
        size = self._later_size(first)
        cuts = [0, *range(first, self.channels, size), self.channels]
        thin = size / up(size, self.deep) < LEAST_UTILISATION
        return None if len(cuts) > 3 and thin and self.npu_bound else cuts

    def _first_share(self) -> float:
        """The share of the channels that is copied while the operation before runs."""
        smallest = min(SPLIT_CHANNELS / self.channels, 1.0)
        share = min(self.slack / self.full, 1.0)
        aligned = share // smallest * smallest
        share = 1.0 if 1 - aligned < smallest / 2 else share
        if self.npu_bound and 0.5 < share < 1:
            share = min(up(self.channels // 2, SPLIT_CHANNELS) / self.channels, 1.0)
        return max(share, smallest)

    def _later_size(self, first: int) -> int:
        """Channels of each later slice: what can be copied while the first one runs."""
        run = self._slice_cycles(first, Part(True, False, True))
        size = up(max(self.channels * run // self.full, SPLIT_CHANNELS), self.deep)
        step = self.deep if size > self.deep else self.least
        return max(size // step * step, self.least)

    def _slice_cycles(self, channels: int, part: Part) -> int:
        height, width, _ = self.operation.output.shape
        output = replace(self.operation.output, shape=(height, width, channels))
        piece = replace(self.operation, output=output)
        return count_cycles(piece, self.block, self.target, self.pace, part).npu

    def _slices(self, cuts: list[int]) -> list[Stored]:
        """Each slice of the weights is a stream of its own; of each as much is left as of all."""
        left = self.stored.stream.bytes / self.encoded.stream.bytes
        slices = stored_slices(self.operation, self.block, self.encoded, cuts, self.target)
        return [piece.scaled(left) for piece in slices]

    def _runs(self, cuts: list[int]) -> list[int]:
        """Cycles of each slice."""
        sizes = [end - begin for begin, end in pairwise(cuts)]
        last = len(sizes) - 1
        return [
            self._slice_cycles(size, Part(number == 0, number == last, True))
            for number, size in enumerate(sizes)
        ]

    def copied(self, cuts: list[int], hides_table: bool) -> Buffered:
        """The weights copied ahead in these slices."""
        slices, last = self._slices(cuts), self._runs(cuts)[-1]
        first = slices[0].bytes
        whole = count_cycles(
            self.operation, self.block, self.target, self.pace, Part(weights_in_sram=True)
        )
        start = max(copy_cycles(first, self.target) - self.slack, 0)
        npu = max(self.full - self.slack + last, whole.npu + start)
        stored = _joined(slices)
        copied = max(stored.stream.bytes - (0 if self.is_first else first), 0)
        return Buffered(npu, stored, copied, last, _staging(slices), hides_table)

    def _pays(self, cuts: list[int]) -> bool:
        """Whether slices are no worse than reading in place."""
        runs, slices, visible = self._runs(cuts), self._slices(cuts), 0
        hidden = self.slack if not self.is_first else START_CYCLES if self.force else 0
        for cycles, piece in zip(runs, slices, strict=True):
            visible += max(copy_cycles(piece.bytes, self.target) - hidden, 0)
            hidden = cycles
        before = max(self.run, self.in_place, self.inputs)
        after = max(sum(runs) + visible, self.from_sram, self.inputs)
        if self.npu_bound:
            shown = after
            if visible // len(slices) < START_CYCLES:
                after -= visible
            if len(slices) > 1 and sum(runs) + visible == shown and self.force:
                after -= len(slices) * (START_CYCLES // 2)
        once = self.refetches == 1 and self.full + self.from_sram > before
        return after <= before and not once


def _staging(slices: list[Stored]) -> int:
    """SRAM for the largest slices: one in use, the next one on its way."""
    return sum(
        max((piece.bytes for piece in half), default=0) for half in (slices[::2], slices[1::2])
    )


def _joined(slices: list[Stored]) -> Stored:
    """All slices as one, for what is counted per operation."""
    stream = replace(
        slices[0].stream,
        bytes=sum(piece.stream.bytes for piece in slices),
        values=sum(piece.stream.values for piece in slices),
        zeros=sum(piece.stream.zeros for piece in slices),
    )
    return replace(slices[0], stream=stream, scale_bytes=sum(p.scale_bytes for p in slices))
