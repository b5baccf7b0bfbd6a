"""The cost of a network on an NPU: operations placed, counted and added up.

    operation = max(npu, each memory's access)        network = sum over operations

Nothing else is counted: no driver, no command stream, no CPU.  Two modes disagree where the truths
do (docs/cost_model.md):

    vela       agrees with Arm's estimator: a weight takes its time whether it is zero or not
    measured   agrees with the counters that Arm published: the decoder is faster where zeros were
               left out, commands take no time, and where weights are not fetched under the
               decoder both times add up
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinyse.npu.blocks import Block
from tinyse.npu.buffering import Buffered, Weights, ways_to_read
from tinyse.npu.cycles import Cycles, Pace, count_cycles
from tinyse.npu.hardware import Memory, Target
from tinyse.npu.operations import Operation
from tinyse.npu.skipping import Tiles, find_tiles, own_tile, stored_tiles
from tinyse.npu.traffic import Traffic, channel_rate, measure_traffic, table_cycles
from tinyse.npu.weights import Stored, decode_rate, place

MODES = ("vela", "measured")
# Weights that the estimator has each core of a generation take in a cycle.
ESTIMATED_RATES = {"ethos-u55": 8, "ethos-u65": 8, "ethos-u85": 16}


@dataclass(frozen=True)
class OperationCost:
    """What one operation costs.

    cycles : the longest of the three below; in mode `measured` on an Ethos-U85 a sum
    npu_cycles : in the NPU, tables and copies that show included
    sram_cycles, weight_cycles : that the memories are busy for it
    sram_bytes, weight_bytes : that they move
    tiles : of the weights, None where it has none
    staging_bytes : of SRAM for weights that are copied ahead
    """

    operation: Operation
    block: Block
    stored: Stored | None
    tiles: Tiles | None
    inside: Cycles
    cycles: int
    npu_cycles: int
    sram_cycles: int
    weight_cycles: int
    sram_bytes: int
    weight_bytes: int
    staging_bytes: int

    @property
    def live_macs(self) -> int:
        """Multiply-accumulates of the tiles that hold anything, padding included."""
        return 0 if self.tiles is None else self.tiles.live_weights * self._area

    @property
    def tiled_macs(self) -> int:
        """Those of all tiles, which an array that skips none goes through."""
        return 0 if self.tiles is None else self.tiles.weights * self._area

    @property
    def _area(self) -> int:
        height, width, _ = self.operation.output.shape
        return height * width

    def binds(self, memory: str) -> str:
        """What the operation waits for: a part of the NPU, "sram" or the `memory` of weights."""
        if self.npu_cycles >= max(self.sram_cycles, self.weight_cycles):
            return self.inside.binds
        return "sram" if self.sram_cycles >= self.weight_cycles else memory


def network_cost(
    operations: tuple[Operation, ...], target: Target, mode: str = "vela"
) -> list[OperationCost]:
    """The cost of each of `operations`, in their order."""
    costs: list[OperationCost] = []
    slack = 0
    for operation in operations:
        cost, slack = _operation_cost(operation, target, mode, slack, not costs)
        costs.append(cost)
    return costs


def _operation_cost(
    operation: Operation, target: Target, mode: str, slack: int, is_first: bool
) -> tuple[OperationCost, int]:
    """(cost, cycles under which the next operation's weights or table can be copied)."""
    block, encoded = place(operation, target.planned)
    tiles = None if encoded is None else _tiles(operation, block, target)
    weights = None if encoded is None or tiles is None else _weights(encoded, tiles, target)
    stored = None if weights is None else weights.stored
    inside = count_cycles(operation, block, target, _pace(stored, tiles, target, mode))
    traffic = measure_traffic(operation, block, target)
    work = _Work(operation, block, stored, tiles, inside, traffic)
    ways: list[Buffered | None] = [None]
    # What is read once has to come from the weights' memory either way.
    if weights is not None and (mode == "vela" or traffic.refetches > 1):
        ways = ways_to_read(operation, block, weights, traffic, target, slack, is_first)
    costs = [work.cost(buffered, target, mode, slack) for buffered in ways]
    # Of ways that take the same, the one that leaves the next operation more time.
    return min(costs, key=lambda found: (found[0].cycles, -found[1]))


@dataclass(frozen=True)
class _Work:
    """One operation on the NPU, before it is known how its weights are read."""

    operation: Operation
    block: Block
    stored: Stored | None
    tiles: Tiles | None
    inside: Cycles
    traffic: Traffic

    def cost(
        self, buffered: Buffered | None, target: Target, mode: str, slack: int
    ) -> tuple[OperationCost, int]:
        """With the weights copied ahead like that, None for in place; as `_operation_cost`."""
        stored = self.stored
        npu = self.inside.busy if mode == "measured" and stored is not None else self.inside.npu
        next_slack = npu
        if buffered is not None:
            npu, next_slack, stored = buffered.npu_cycles, buffered.slack, buffered.stored
        if self.operation.table_bytes and not (buffered is not None and buffered.hides_table):
            npu += max(table_cycles(self.operation.table_bytes, target) - slack, 0)
        sram, weights = _accesses(self.operation, stored, self.traffic, buffered, target)
        total = max(npu, sram.cycles, weights.cycles)
        if mode == "measured" and stored is not None and not target.hardware.array.overlaps_fetch:
            total = npu + weights.cycles
        cost = OperationCost(
            operation=self.operation,
            block=self.block,
            stored=stored,
            tiles=self.tiles,
            inside=self.inside,
            cycles=total,
            npu_cycles=npu,
            sram_cycles=sram.cycles,
            weight_cycles=weights.cycles,
            sram_bytes=sram.bytes,
            weight_bytes=weights.bytes,
            staging_bytes=0 if buffered is None else buffered.staging_bytes,
        )
        return cost, next_slack


def _weights(encoded: Stored, tiles: Tiles, target: Target) -> Weights:
    """The weights as they are, and as what is asked about has them."""
    stored, skipping = encoded, target.hardware.skipping
    if skipping is not None:
        stored = stored_tiles(tiles, encoded, skipping)
    if target.encoded_factor != 1:
        stored = stored.scaled(target.encoded_factor)
    return Weights(encoded, stored, _pace(stored, tiles, target, "vela"))


def _tiles(operation: Operation, block: Block, target: Target) -> Tiles:
    assert operation.weights is not None
    skipping = target.hardware.skipping
    if skipping is None or operation.is_depthwise:
        return find_tiles(operation.weights, own_tile(operation, block))
    return find_tiles(operation.weights, (skipping.tile_outputs, skipping.tile_inputs))


def _pace(stored: Stored | None, tiles: Tiles | None, target: Target, mode: str) -> Pace:
    """What makes the array faster than the estimator has it for dense weights."""
    if stored is None or tiles is None:
        return Pace()
    pace = Pace(stored.is_two_of_four)
    if target.hardware.skipping is not None:
        pace = replace(pace, live_share=tiles.live_share)
    decoder = target.hardware.decoder
    if decoder is None or not (mode == "measured" or decoder.counted_by_estimator):
        return pace
    rate = decode_rate(stored, decoder)
    return replace(pace, weight_path=rate / ESTIMATED_RATES[target.hardware.family])


def _accesses(
    operation: Operation,
    stored: Stored | None,
    traffic: Traffic,
    buffered: Buffered | None,
    target: Target,
) -> tuple[_Access, _Access]:
    """What the operation asks of SRAM and of the memory of the weights; one where they are one."""
    sram = _Access(target, target.sram)
    weights = sram if target.memory == "sram" else _Access(target, target.weights)
    channel = "stream" if operation.is_elementwise else "input"
    sram.add(channel, sum(traffic.inputs))
    sram.add("stream", traffic.chained)
    sram.add("write", traffic.output)
    weights.add(channel, traffic.constant_inputs)
    if stored is None:
        return sram, weights
    stream = traffic.refetches * stored.stream.bytes
    if buffered is None:
        weights.add("weight", stream)
    else:
        weights.add("copy", buffered.copied_bytes)
        sram.add("write", buffered.copied_bytes)
        sram.add("weight", stream)
    weights.add("scale", traffic.refetches * stored.scale_bytes)
    return sram, weights


class _Access:
    """What one operation asks of one memory, by channel."""

    def __init__(self, target: Target, memory: Memory) -> None:
        self._target, self._memory = target, memory
        self._by_channel: dict[str, int] = {}

    def add(self, channel: str, count: int) -> None:
        """`count` bytes more."""
        self._by_channel[channel] = self._by_channel.get(channel, 0) + count

    @property
    def bytes(self) -> int:
        """Of all channels."""
        return sum(self._by_channel.values())

    @property
    def cycles(self) -> int:
        """Bounded by the memory's bandwidth, and by what each channel gets of it."""
        whole = int(self.bytes / self._memory.bytes_per_cycle)
        if self._target.hardware.rams is None:
            return whole
        shares = [
            int(count / channel_rate(self._target, self._memory, channel))
            for channel, count in self._by_channel.items()
            if count
        ]
        return max([whole, *shares])
