"""Our totals against Vela's own, from the `.tflite` alone."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tests.network_maker import integer_network
from tests.npu.files import (
    PUBLISHED,
    clustered,
    gaussian,
    one_layer,
    one_operator,
    pruned,
    published_as,
    write,
)
from tests.npu.vela import check, differences, needs_vela
from tinyse.errors import InputError, MissingExtra
from tinyse.npu import against_vela, compare, find_target, parse_what_if, profile
from tinyse.npu.what_if import changed_target
from tinyse.tflite.write import serialise

pytestmark = [needs_vela, pytest.mark.slow]

U55 = [f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)]
MEMORIES = [("flash", None), ("sram", None), ("flash", "ethos-u55-deep-embedded")]
SIZES = [(1024, 128), (1024, 256), (1024, 384), (128, 256), (128, 128), (256, 512)]
RAGGED = [(17, 40), (93, 128), (93, 93), (100, 37), (200, 7), (5, 300), (256, 250), (31, 31),
          (129, 65), (384, 200), (144, 24), (1, 24)]  # fmt: skip


@pytest.mark.parametrize("npu", U55)
@pytest.mark.parametrize(("memory", "system"), MEMORIES)
def test_the_published_network_on_the_u55(npu, memory, system):
    check(PUBLISHED, npu, memory, system)


@pytest.mark.parametrize("npu", ["ethos-u65-256", "ethos-u65-512"])
@pytest.mark.parametrize("memory", ["flash", "sram", "dram"])
def test_the_published_network_on_the_u65(npu, memory):
    check(PUBLISHED, npu, memory, within=0.01)


@pytest.mark.parametrize("npu", ["ethos-u85-128", "ethos-u85-256", "ethos-u85-512"])
@pytest.mark.parametrize("memory", ["flash", "sram", "dram"])
def test_the_published_network_on_the_u85(npu, memory):
    check(PUBLISHED, npu, memory, within=0.02)


@pytest.mark.parametrize("name", ["fused", "fused16x8", "step16x8", "step8"])
@pytest.mark.parametrize("npu", ["ethos-u55-32", "ethos-u55-128", "ethos-u85-256"])
def test_every_profile_of_export(tmp_path, name, npu):
    path = write(tmp_path, serialise(integer_network((96, 64), (48,), profile=name), name))
    for memory in ("flash", "sram"):
        check(path, npu, memory)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_layer_sizes_on_the_u55(tmp_path, size):
    path = write(tmp_path, one_layer(gaussian(*size)))
    for npu in U55:
        for memory, system in MEMORIES:
            check(path, npu, memory, system)


@pytest.mark.parametrize("size", RAGGED, ids=str)
def test_ragged_sizes(tmp_path, size):
    path = write(tmp_path, one_layer(gaussian(*size, zeros=0.6)))
    for npu in ("ethos-u55-32", "ethos-u55-128", "ethos-u55-256"):
        check(path, npu, "flash")
    check(path, "ethos-u65-512", "dram", within=0.01)
    check(path, "ethos-u85-256", "flash", within=0.02)


PRUNED = {
    **{f"unstructured {share:.0%}": pruned(1, 1, share) for share in (0.5, 0.75, 0.9, 0.95, 0.97)},
    "4x4 90%": pruned(4, 4, 0.9),
    "8x8 90%": pruned(8, 8, 0.9),
    "16x1 90%": pruned(16, 1, 0.9),
    "8x32 95%": pruned(8, 32, 0.95),
    "8 levels": clustered(8),
    "all zero": np.zeros_like,
}


@pytest.mark.parametrize("name", PRUNED)
def test_pruned_and_clustered_networks(tmp_path, name):
    path = write(tmp_path, published_as(PRUNED[name]))
    for npu, memory in (
        ("ethos-u55-128", "flash"), ("ethos-u55-256", "dram"), ("ethos-u65-512", "dram"),
        ("ethos-u85-256", "flash"), ("ethos-u85-128", "dram"),
    ):  # fmt: skip
        check(path, npu, memory, within=0.01)


def test_a_network_with_a_gru(tmp_path):
    path = write(tmp_path, serialise(integer_network((), profile="step8", gru=(40,)), "step8"))
    for npu in ("ethos-u55-128", "ethos-u85-128"):
        check(path, npu, "flash", within=0.01)


@pytest.mark.parametrize("npu", ["ethos-u55-128", "ethos-u65-512", "ethos-u85-256"])
def test_flash_is_what_vela_places(npu):
    assert abs(differences(PUBLISHED, npu, "flash")["flash_bytes"]) < 0.001


def test_every_operation_has_vela_beside_it(tmp_path):
    target = find_target("ethos-u55-128", "flash")
    found = compare(PUBLISHED, target, profile(PUBLISHED, target))
    assert not found["vela"]["unmatched"]
    for row in found["operations"]:
        assert row["vela_cycles"] == pytest.approx(row["cycles"], rel=0.005, abs=20)


def test_a_what_if_of_the_memory_is_compared_too():
    asked = parse_what_if("flash.bandwidth=0.5,flash.latency=100")
    target = find_target("ethos-u55-128", "flash")
    found = compare(
        PUBLISHED, changed_target(target, asked), profile(PUBLISHED, target, asked=asked)
    )
    assert abs(found["vela"]["total"]["cycles"]["difference"]) < 0.005


def test_a_hypothetical_design_cannot_be_compared():
    target = find_target("hypothetical-u55-128-tile-4x4", "flash")
    with pytest.raises(InputError, match="Vela knows no such design"):
        compare(PUBLISHED, target, profile(PUBLISHED, target))


def test_a_crash_of_vela_is_one_line(tmp_path):
    """Vela ends in a segmentation fault on a file that is cut off."""
    whole = PUBLISHED.read_bytes()
    path = write(tmp_path, whole[: len(whole) // 2])
    target = find_target("ethos-u55-128", "flash")
    found = profile(PUBLISHED, target)
    with pytest.raises(InputError, match=r"Vela (crashed on|refused) it") as error:
        compare(path, target, found)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_what_vela_leaves_to_the_cpu_is_refused(tmp_path):
    path = write(tmp_path, one_operator(0, "float32", inputs=2))
    target = find_target("ethos-u55-128", "flash")
    with pytest.raises(InputError, match="Vela leaves 1 operations to the CPU"):
        compare(path, target, profile(PUBLISHED, target))


def test_a_slow_vela_is_given_up(monkeypatch):
    monkeypatch.setattr(against_vela, "SECONDS", 0.01)
    target = find_target("ethos-u55-128", "flash")
    with pytest.raises(InputError, match="took more than"):
        compare(PUBLISHED, target, profile(PUBLISHED, target))


def test_without_vela_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ethosu", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    target = find_target("ethos-u55-128", "flash")
    with pytest.raises(MissingExtra, match=r"tinyse\[npu\]"):
        compare(PUBLISHED, target, profile(PUBLISHED, target))


def test_the_comparison_is_json():
    target = find_target("ethos-u55-128", "flash")
    json.dumps(compare(PUBLISHED, target, profile(PUBLISHED, target)), allow_nan=False)
