"""LiteRT as a runtime: near, resettable, and honest about not being exact."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.network_maker import frames, integer_network
from tests.tflite.edited import valid_file, valid_step_file
from tinyse.errors import InputError, MissingExtra
from tinyse.runtimes.oracle import Oracle
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytest.importorskip("ai_edge_litert")

from tinyse.runtimes.litert import LiteRT

MOST_STEPS = 8  # of 1/256, on random weights far livelier than trained ones


def test_deviation_is_bounded(record_property):
    network = integer_network()
    x = frames(1000, 4)
    exact = Oracle(network).run(x).astype(int)
    runtime = LiteRT(check_bytes(serialise(network)))
    difference = np.abs(runtime.run(x) - exact)
    report = f"{np.count_nonzero(difference)} of {exact.size} bytes, at most {difference.max()}"
    print(f"LiteRT differs from the oracle in {report}")
    record_property("litert_deviation", report)
    assert not runtime.info.exact
    assert difference.max() <= MOST_STEPS and difference.mean() < 0.5


def test_it_says_nothing_on_stderr(capfd):
    LiteRT(check_bytes(serialise(integer_network())))
    print("still there", file=sys.stderr)
    assert capfd.readouterr().err == "still there\n"


@pytest.mark.parametrize(("profile", "most"), [("step16x8", 0.004), ("step8", 0.09)])
def test_deviation_of_basic_operators_is_bounded(profile, most):
    """int16 runs on LiteRT's own kernels, int8 on XNNPACK; differences are of the mask, 0 to 1."""
    network = integer_network(profile=profile)
    x = frames(500, 4, of=network.input)
    masks = [r.run(x) for r in (Oracle(network), LiteRT(check_bytes(serialise(network, profile))))]
    exact, found = (network.output.dequantise(mask) for mask in masks)
    difference = np.abs(found - exact)
    print(f"LiteRT, {profile}: mask RMS {np.sqrt((difference**2).mean()):.5f}, "
          f"at most {difference.max():.4f}")  # fmt: skip
    assert difference.max() <= most


def test_a_wide_lstm_is_refused_in_one_line():
    network = integer_network((9,), (), 11, 6, 0, "fused16x8")
    with pytest.raises(InputError, match="LiteRT refuses it") as caught:
        LiteRT(check_bytes(serialise(network, "fused16x8")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [valid_file(), valid_step_file(), valid_step_file("step8")])
def test_reset_gives_the_stream_again(data):
    runtime = LiteRT(check_bytes(data))
    x = frames(60, 2, 11, runtime.info.input)
    first = runtime.run(x)
    runtime.reset()
    assert np.array_equal(np.stack([runtime.step(frame) for frame in x]), first)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tinyse\[litert\]'"):
        LiteRT(check_bytes(valid_file()))
