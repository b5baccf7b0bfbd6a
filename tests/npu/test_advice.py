"""Advice: every line can be had again, and the thresholds are where they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.npu.files import PUBLISHED, gaussian
from tinyse.npu import advise, find_target, parse_what_if, profile
from tinyse.npu.advice import smallest_sparsity
from tinyse.npu.cost import network_cost
from tinyse.npu.operations import Feature, Operation

pytestmark = pytest.mark.slow

FLASH = find_target("ethos-u55-128", "flash")


@pytest.fixture(scope="module")
def advice() -> list[dict]:
    return advise(PUBLISHED, FLASH)


def test_each_line_can_be_reproduced(advice):
    for line in advice:
        total = profile(PUBLISHED, FLASH, asked=parse_what_if(line["what_if"]))["total"]
        assert total["cycles"] == line["cycles"], line
        assert total["encoded_bytes"] == line["encoded_bytes"], line


def test_it_names_the_layer_that_takes_most(advice):
    layers = profile(PUBLISHED, FLASH)["layers"]
    most = max(layers, key=lambda layer: layer["cycles"])
    assert advice[0]["subject"] == most["name"] and most["binds"] in advice[0]["says"]


def test_the_most_that_pruning_can_give_is_the_weight_path(advice):
    (floor,) = [line for line in advice if "the most that any pruning" in line["says"]]
    found = profile(PUBLISHED, FLASH)["total"]
    assert floor["cycles"] == found["npu_cycles"]
    assert "weight path" in floor["says"]
    assert floor["speed_up"] == pytest.approx(found["cycles"] / found["npu_cycles"], abs=1e-3)


def test_more_pruning_than_advised_gives_no_more(advice):
    line = next(line for line in advice if ".sparsity=" in line["what_if"])
    layer, share = line["what_if"].split(".sparsity=")
    for text, waits in (
        (line["what_if"], False),
        (f"{layer}.sparsity={float(share) - 0.02}", True),
    ):
        rows = profile(PUBLISHED, FLASH, asked=parse_what_if(text))["layers"]
        binds = next(row["binds"] for row in rows if row["name"] == layer)
        assert (binds == "flash") == waits


def test_advice_on_what_was_asked_starts_there():
    lines = advise(PUBLISHED, FLASH, asked_text="sparsity=0.9,block=8x8")
    assert all(line["what_if"].startswith("sparsity=0.9,block=8x8") for line in lines)
    tile = next(line for line in lines if "tile=" in line["what_if"])
    assert tile["what_if"].endswith("tile=8x8")  # the largest of those that skip as much


def test_zeros_are_looked_for_in_the_blocks_that_were_asked_for():
    lines = advise(PUBLISHED, FLASH, asked_text="block=8x8")
    line = next(line for line in lines if "stops waiting" in line["says"])
    asked = parse_what_if(line["what_if"])
    ((layer, share),) = asked.sparsity.items()
    for zeros, waits in ((share, False), (share - 0.01, True)):
        more = replace(asked, sparsity={layer: zeros})
        rows = profile(PUBLISHED, FLASH, asked=more)["layers"]
        binds = next(row["binds"] for row in rows if row["name"] == layer)
        assert (binds == "flash") == waits


def test_where_weights_are_near_nothing_waits_for_them():
    lines = advise(PUBLISHED, find_target("ethos-u55-128", "sram"))
    assert not [line for line in lines if "stops waiting" in line["says"]]
    floor = next(line for line in lines if "the most" in line["says"])
    assert floor["speed_up"] == pytest.approx(1, abs=0.01)


# (outputs, inputs, fused behind, zeros at which the bottleneck moves, encoded bytes there), of
# normal values with a deviation of 32 and zeros at random places.
MOVES = [
    (256, 128, (), 0.959, 2235), (256, 256, (), 0.933, 6843), (128, 256, ("Relu",), 0.920, 4004),
    (128, 128, ("Table",), 0.945, 1460),
]  # fmt: skip


@pytest.mark.parametrize(("outputs", "inputs", "fused", "share", "size"), MOVES)
def test_where_the_bottleneck_moves(outputs, inputs, fused, share, size):
    bits = 8 if fused else 16

    def operation(zeros: float) -> Operation:
        weights = gaussian(outputs, inputs, zeros=zeros)[:, None, None, :]
        source, target = Feature((1, 1, inputs), 8), Feature((1, 1, outputs), bits, True)
        return Operation("FullyConnected", "l", "l", (source,), target, weights=weights,
                         activations=fused)  # fmt: skip

    around = [network_cost((operation(share + d),), FLASH)[0] for d in (-0.015, 0.015)]
    assert [cost.binds("flash") == "flash" for cost in around] == [True, False]
    sizes = [cost.stored.stream.bytes for cost in around]
    assert sizes[1] < size < sizes[0]


def test_scale_records_alone_can_keep_a_layer_waiting():
    deep = find_target("ethos-u55-128", "flash", "ethos-u55-deep-embedded")
    weights = gaussian(256, 128)[:, None, None, :]
    source, target = Feature((1, 1, 128), 8), Feature((1, 1, 256), 16, True)
    operation = Operation("FullyConnected", "l", "l", (source,), target, weights=weights)
    assert smallest_sparsity([operation], deep, "vela") is None
    assert smallest_sparsity([operation], FLASH, "vela") is not None
