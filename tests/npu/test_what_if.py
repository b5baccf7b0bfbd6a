"""Overrides: what they change, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.npu.files import PUBLISHED, gaussian
from tinyse.errors import InputError
from tinyse.npu import find_target, parse_what_if, profile
from tinyse.npu.cost import network_cost
from tinyse.npu.lower import lower_file
from tinyse.npu.what_if import changed_target, coarser, pruned, with_levels

TARGET = find_target("ethos-u55-128", "flash")


def asked(text: str) -> dict:
    return profile(PUBLISHED, TARGET, asked=parse_what_if(text))["total"]


def test_nothing_asked_changes_nothing():
    assert asked("") == profile(PUBLISHED, TARGET)["total"]


def test_half_the_bandwidth_is_the_deep_embedded_flash():
    target = changed_target(TARGET, parse_what_if("clock=200e6,flash.bandwidth=0.5"))
    deep = find_target("ethos-u55-128", "flash", "ethos-u55-deep-embedded")
    assert target.weights.bytes_per_cycle == deep.weights.bytes_per_cycle
    assert target.system.clock_hz == deep.system.clock_hz
    found = asked("clock=200e6,flash.bandwidth=0.5")
    assert found["cycles"] == profile(PUBLISHED, deep)["total"]["cycles"]
    assert found["latency_ms"] == pytest.approx(found["cycles"] / 200e3)


def test_streams_of_no_length_leave_the_scale_records():
    found = asked("encoded=0")
    assert found["encoded_bytes"] == 0 and found["weight_traffic_bytes"] == found["scale_bytes"]
    assert found["cycles"] < asked("encoded=0.5")["cycles"] < asked("")["cycles"]


def test_sparsity_of_one_layer_leaves_the_others():
    found = profile(PUBLISHED, TARGET, asked=parse_what_if("lstm_1.sparsity=0.9"))
    before = profile(PUBLISHED, TARGET)
    for old, new in zip(before["layers"], found["layers"], strict=True):
        if old["name"] == "lstm_1":
            assert new["weights_nonzero"] == pytest.approx(0.1 * new["weights"], rel=0.01)
        else:
            assert new == old


def test_a_layer_overrides_what_is_asked_of_all():
    found = profile(PUBLISHED, TARGET, asked=parse_what_if("sparsity=0.9,mask.sparsity=0.5"))
    by_name = {
        layer["name"]: layer["weights_nonzero"] / layer["weights"] for layer in found["layers"]
    }
    assert by_name["mask"] == pytest.approx(0.5, abs=0.02)
    assert by_name["lstm_0"] == pytest.approx(0.1, abs=0.01)


def test_skipping_tiles_pays_for_block_pruning_alone():
    both = asked("sparsity=0.9,block=4x4,tile=4x4")
    only_pruned, only_skipping = asked("sparsity=0.9,block=4x4"), asked("tile=4x4")
    assert both["npu_cycles"] < 0.4 * only_pruned["npu_cycles"]
    assert only_skipping["cycles"] >= asked("")["cycles"]
    assert both["tiles_live"] == pytest.approx(0.1 * both["tiles"], rel=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clock", "expected key=value"),
        ("clok=1e6", "did you mean clock"),
        ("clock=fast", "expected a number"),
        ("clock=nan", "out of range"),
        ("clock=-1e6", "out of range"),
        ("clock=1e30", "out of range"),
        ("flash.bandwidth=0", "out of range"),
        ("flash.bandwith=1", "did you mean flash.bandwidth"),
        ("tile=4", "expected OUTPUTSxINPUTS"),
        ("tile=0x4", "expected OUTPUTSxINPUTS"),
        ("sparsity=1.5", "out of range"),
        ("levels=0", "out of range"),
        ("levels=8.9", "expected a whole number"),
        ("limit=999", "out of range"),
        ("lstm_9.sparsity=0.5", "no layer 'lstm_9'"),
        ("dram.bandwidth=1", "has no dram"),
    ],
)
def test_nonsense_is_named(text, said):
    with pytest.raises(InputError, match="--what-if") as error:
        asked(text)
    assert said in str(error.value)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.sampled_from([(1, 1), (4, 4), (3, 5)]),
)
def test_pruning_removes_that_share_of_blocks_weakest_first(outputs, inputs, share, block):
    weights = (gaussian(outputs, inputs) | 1)[:, None, None, :]
    found = pruned(weights, share, block)
    rows, columns = block
    kept = [
        bool(found[r : r + rows, ..., c : c + columns].any())
        for r in range(0, outputs, rows)
        for c in range(0, inputs, columns)
    ]
    gone = len(kept) - sum(kept)
    assert gone - 1 < share * len(kept) <= gone + 1e-9
    np.testing.assert_array_equal(found[found != 0], weights[found != 0])
    if block == (1, 1) and 0 < sum(kept) < len(kept):
        gone = np.abs(weights[found == 0].astype(int)).max()
        assert gone <= np.abs(found[found != 0].astype(int)).min()


def test_levels_are_as_few_as_asked_and_zeros_stay():
    weights = gaussian(64, 64, zeros=0.5)[:, None, None, :]
    found = with_levels(weights, 8)
    assert len(np.unique(found[weights != 0])) <= 8
    assert not found[weights == 0].any()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 16])
@pytest.mark.parametrize("sign", [0, 1, -1])
def test_levels_make_no_zeros(count, sign):
    weights = gaussian(64, 64, zeros=0.5)[:, None, None, :]
    weights = sign * np.abs(weights) if sign else weights
    found = with_levels(weights, count)
    np.testing.assert_array_equal(found == 0, weights == 0)
    assert len(np.unique(found[found != 0])) == count


def test_coarser_values_end_at_the_limit():
    weights = gaussian(64, 64, 50)[:, None, None, :]
    assert np.abs(coarser(weights, 31)).max() == 31
    np.testing.assert_array_equal(coarser(weights, 127), weights)


BUFFERING = ["ethos-u65-256", "ethos-u65-512"]  # on DRAM they copy most weights ahead
SPARSE = ROOT / "models" / "lstm_tiny" / "model.tflite"


@pytest.mark.parametrize("npu", BUFFERING)
def test_shorter_streams_never_cost_more_where_they_are_copied_ahead(npu):
    target = find_target(npu, "dram")
    assert any(cost.staging_bytes for cost in network_cost(lower_file(SPARSE).operations, target))
    found = [
        profile(SPARSE, target, asked=parse_what_if(text))["total"]
        for text in ("", "encoded=0.9", "encoded=0.5", "encoded=0.1", "encoded=0")
    ]
    for key in ("cycles", "encoded_bytes", "weight_traffic_bytes"):
        values = [total[key] for total in found]
        assert values == sorted(values, reverse=True) and values[-1] < values[0], key
    assert found[-1]["encoded_bytes"] == 0
    assert found[-1]["weight_traffic_bytes"] == found[-1]["scale_bytes"]


@pytest.mark.parametrize("npu", BUFFERING)
@pytest.mark.parametrize("tile", ["4x4", "8x8", "8x32"])
def test_skipping_never_costs_more_where_it_stores_no_more(npu, tile):
    target = find_target(npu, "dram")
    operations = lower_file(SPARSE).operations
    plain = network_cost(operations, target)
    found = network_cost(operations, changed_target(target, parse_what_if(f"tile={tile}")))
    assert any(cost.staging_bytes for cost in found)
    assert all(b.stored.bytes <= a.stored.bytes for a, b in zip(plain, found, strict=True)
               if a.stored)  # fmt: skip
    assert sum(cost.cycles for cost in found) <= 0.9 * sum(cost.cycles for cost in plain)
