"""Costs by hand, the grain of the hardware, and what skipping designs save."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.npu.files import gaussian
from tinyse.npu.cost import OperationCost, network_cost
from tinyse.npu.hardware import Target, find_target
from tinyse.npu.operations import Feature, Kernel, Operation
from tinyse.npu.what_if import changed_target, parse_what_if

FLASH = find_target("ethos-u55-128", "flash")


def layer(weights, bits: int = 8, out_bits: int = 16, brick: bool = True) -> Operation:
    """One gate's product: a state in rows, 16 bits out in bricks."""
    outputs, inputs = weights.shape
    source, target = Feature((1, 1, inputs), bits), Feature((1, 1, outputs), out_bits, brick)
    values = weights[:, None, None, :]
    return Operation("FullyConnected", "layer", "layer", (source,), target, weights=values)


def cost(operation: Operation, target: Target = FLASH, mode: str = "vela") -> OperationCost:
    return network_cost((operation,), target, mode)[0]


def test_one_layer_by_hand():
    """docs/cost_model.md works the same layer."""
    found = cost(layer(gaussian(256, 256)))
    assert found.block.outputs == (1, 2, 128) and found.block.inputs == (1, 2, 32)
    mac, out = 32 * 16 * 8, 10 * 128 * 64 / 256  # per block of 128 outputs
    read, write = 32 + 32 // 8, 32 + 256 // 8
    command = (write - read + mac + out) / 4
    assert found.npu_cycles == mac * 2 + command + write + read == 9403
    assert found.sram_cycles == (256 * 2 + 512) / 8
    assert found.stored.scale_bytes == 10 * 256
    assert found.weight_cycles == found.stored.stream.bytes + 2560 == found.cycles
    assert found.binds("flash") == "flash"


def test_a_matrix_vector_product_takes_the_weight_path_whatever_the_array_is():
    operation = layer(gaussian(256, 256))
    macs = {cost(operation, find_target(f"ethos-u55-{n}", "sram")).inside.weight_path
            for n in (64, 128, 256)}  # fmt: skip
    assert macs == {256 * 256 // 8}


@pytest.mark.parametrize(
    ("npu", "grain"), [("ethos-u55-32", 4), ("ethos-u55-128", 8), ("ethos-u85-512", 16)]
)
def test_channels_cost_what_whole_micro_blocks_cost(npu, grain):
    """17 channels cost what 24 cost; 25 cost more."""
    target = find_target(npu, "sram")

    def macs(outputs: int) -> int:
        return cost(layer(gaussian(outputs, 64)), target).live_macs

    edge = -(-17 // grain) * grain
    assert macs(17) == macs(edge) < macs(edge + 1)


def test_int16_inputs_take_twice_as_long():
    narrow, wide = (cost(layer(gaussian(256, 256), bits)).inside.weight_path for bits in (8, 16))
    assert wide == 2 * narrow


def test_zeros_make_the_stream_shorter_and_nothing_faster_in_the_npu():
    dense, sparse = (cost(layer(gaussian(256, 256, zeros=z))) for z in (0.0, 0.9))
    assert sparse.stored.bytes < 0.3 * dense.stored.bytes
    assert sparse.npu_cycles == dense.npu_cycles


def test_a_4x4_mask_leaves_most_large_tiles_alive():
    random = np.random.default_rng(0)
    mask = np.repeat(np.repeat(random.random((64, 64)) >= 0.9, 4, 0), 4, 1)
    operation = layer((gaussian(256, 256) | 1) * mask.astype(np.int8))
    shares = {}
    for tile in ("4x4", "8x8", "8x32"):
        target = changed_target(FLASH, parse_what_if(f"tile={tile}"))
        shares[tile] = cost(operation, target).tiles.live_share
    assert shares["4x4"] == pytest.approx(mask.mean())
    assert shares["8x32"] > 0.7 > shares["8x8"] > 0.25 > shares["4x4"]


def test_skipping_saves_the_work_and_the_bytes_of_dead_tiles():
    weights = gaussian(256, 256)
    weights[:, 128:] = 0
    plain = cost(layer(weights))
    skipping = cost(layer(weights), find_target("hypothetical-u55-128-tile-8x32", "flash"))
    assert skipping.tiles.live_share == 0.5
    assert skipping.inside.weight_path == plain.inside.weight_path // 2
    assert skipping.stored.bytes < plain.stored.bytes
    assert skipping.stored.scale_bytes == plain.stored.scale_bytes


def test_a_dense_layer_pays_for_the_index_of_a_skipping_design():
    weights = gaussian(256, 256) | 1
    plain = cost(layer(weights))
    by_bit = cost(layer(weights), find_target("hypothetical-u55-128-tile-8x32", "flash"))
    by_byte = cost(layer(weights), find_target("hypothetical-u55-128-tile-4x4", "flash"))
    assert plain.stored.bytes < by_bit.stored.bytes < by_byte.stored.bytes
    assert by_byte.stored.stream.bytes == 256 * 256 + 64 * 64


def test_a_skipping_design_with_nothing_to_do():
    found = cost(
        layer(np.zeros((64, 64), np.int8)), find_target("hypothetical-u55-128-tile-4x4", "flash")
    )
    assert found.tiles.live_share == 0 and found.inside.weight_path == 0
    assert found.cycles > 0


def test_a_fast_decoder_helps_where_weights_are_near():
    sparse = layer(gaussian(256, 256, zeros=0.95))
    target = find_target("hypothetical-u55-128-fast-decoder", "sram")
    assert (
        cost(sparse, target).npu_cycles
        < cost(sparse, find_target("ethos-u55-128", "sram")).npu_cycles
    )


def test_a_fast_decoder_helps_where_weights_are_copied_ahead():
    sparse = layer(gaussian(256, 256, zeros=0.95))
    fast, plain = (
        network_cost((sparse, sparse), find_target(npu, "dram"))[1]
        for npu in ("hypothetical-u55-128-fast-decoder", "ethos-u55-128")
    )
    assert fast.staging_bytes and plain.staging_bytes
    assert fast.npu_cycles < plain.npu_cycles


def test_two_of_four_quarters_the_weight_path_of_the_u85():
    """The estimator halves the time of a block, and a block is twice as deep."""
    weights = gaussian(256, 256) | 1
    weights[:, 0::4] = weights[:, 1::4] = 0
    target = find_target("ethos-u85-256", "sram")
    found, dense = cost(layer(weights), target), cost(layer(gaussian(256, 256) | 1), target)
    assert found.stored.is_two_of_four and not dense.stored.is_two_of_four
    assert found.inside.weight_path == dense.inside.weight_path // 4


def test_mode_measured_has_zeros_decoded_faster_on_the_u85_alone():
    sparse, dense = (layer(gaussian(256, 256, zeros=z)) for z in (0.95, 0.0))
    for npu, faster in (("ethos-u85-128", 4), ("ethos-u55-128", 1)):
        target = find_target(npu, "flash")
        paths = [cost(each, target, "measured").inside.weight_path for each in (dense, sparse)]
        assert paths[0] == pytest.approx(faster * paths[1], rel=0.01)


def test_memory_binds_where_it_is_slow():
    operation = layer(gaussian(128, 128))
    slow = changed_target(FLASH, parse_what_if("flash.bandwidth=0.01"))
    assert cost(operation, slow).binds("flash") == "flash"
    assert cost(operation, find_target("ethos-u55-128", "sram")).binds("sram") == "weight_path"


def test_a_convolution_copies_weights_that_it_reads_again():
    weights = gaussian(64, 9 * 64).reshape(64, 3, 3, 64)
    source, target = Feature((32, 32, 64), 8, True), Feature((32, 32, 64), 8, True)
    operation = Operation("Conv2D", "c", "c", (source,), target, Kernel((3, 3)), weights)
    in_place, copied = network_cost((operation, operation), FLASH)
    assert copied.staging_bytes > 0
    assert copied.sram_bytes > in_place.sram_bytes or in_place.staging_bytes > 0


def test_elementwise_operations_wait_for_the_output_stage():
    vector = Feature((1, 1, 256), 16, True)
    found = cost(Operation("Add", "a", "a", (vector, vector), vector))
    assert found.npu_cycles == 384 and found.binds("flash") == "output"  # 1.5 cycles an element


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([8, 16]), st.data())
def test_costs_are_sane_for_any_size(outputs, inputs, bits, data):
    npu = data.draw(
        st.sampled_from(["ethos-u55-32", "ethos-u55-256", "ethos-u65-512", "ethos-u85-512"])
    )
    target = find_target(npu, data.draw(st.sampled_from(["sram", "flash"])))
    operation = layer(
        gaussian(outputs, inputs, zeros=data.draw(st.sampled_from([0.0, 0.5, 1.0]))), bits
    )
    found = cost(operation, target)
    assert found.cycles == max(found.npu_cycles, found.sram_cycles, found.weight_cycles) > 0
    assert operation.macs <= found.tiles.values.size
    more = cost(replace(operation, weights=np.tile(operation.weights, (2, 1, 1, 1)),
                        output=Feature((1, 1, 2 * outputs), 16, True)), target)  # fmt: skip
    assert more.npu_cycles >= found.npu_cycles


def test_the_clock_moves_no_cycle():
    fast = msgspec.structs.replace(
        FLASH, system=msgspec.structs.replace(FLASH.system, clock_hz=1e9)
    )
    operation = layer(gaussian(64, 64))
    assert cost(operation, fast).cycles == cost(operation).cycles
