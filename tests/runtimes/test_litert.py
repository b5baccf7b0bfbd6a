"""LiteRT as a runtime: near, resettable, and honest about not being exact."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.network_maker import frames, integer_network
from tests.tflite.edited import valid_file
from tinyse.errors import MissingExtra
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


def test_reset_gives_the_stream_again():
    runtime = LiteRT(check_bytes(valid_file()))
    x = frames(60, 2, 11)
    first = runtime.run(x)
    runtime.reset()
    assert np.array_equal(np.stack([runtime.step(frame) for frame in x]), first)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tinyse\[litert\]'"):
        LiteRT(check_bytes(valid_file()))
