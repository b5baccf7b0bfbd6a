"""The oracle as a runtime; that it equals TFLM is shown in tests/equivalence."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network_maker import BANDS, frames, integer_network, small_network
from tinyse.errors import InputError
from tinyse.runtimes import StatefulRuntime, open_runtime, trace
from tinyse.runtimes.integer_layers import CHUNK
from tinyse.runtimes.oracle import Oracle
from tinyse.tflite.write import serialise


def test_run_equals_steps_in_any_division():
    x = frames(CHUNK + 9, 1, 11)
    whole = Oracle(small_network()).run(x)
    oracle = Oracle(small_network())
    parts = [oracle.run(x[:3]), oracle.step(x[3])[None], oracle.run(x[4:4]), oracle.run(x[4:])]
    assert np.array_equal(np.concatenate([part.reshape(-1, 6) for part in parts]), whole)


def test_reset_gives_the_stream_again():
    oracle = Oracle(integer_network((16,), (8,), 11, 6))
    x = frames(60, 2, 11)
    first = oracle.run(x)
    assert not np.array_equal(oracle.run(x), first)
    oracle.reset()
    assert np.array_equal(oracle.run(x), first)


def test_trace_holds_masks_and_states_of_every_frame():
    x = frames(20, 3, 11)
    traced = trace(Oracle(small_network()), x)
    assert {key: value.shape for key, value in traced.items()} == {
        "mask": (20, 6),
        "h_lstm_0": (20, 9),
        "c_lstm_0": (20, 9),
        "h_lstm_1": (20, 7),
        "c_lstm_1": (20, 7),
    }
    assert traced["h_lstm_0"].dtype == np.int8 and traced["c_lstm_0"].dtype == np.int16


def test_the_state_is_bounded_whatever_comes():
    oracle = Oracle(small_network())
    for value in (-128, 127):
        masks = oracle.run(np.full((500, 11), value, np.int8))
        assert masks.dtype == np.int8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((3, 10), np.int8), r"expected int8 \[T, 11\], got int8 \[3, 10\]"),
        (np.zeros((3, 11), np.float32), "got float32"),
        (np.zeros(11, np.int8), r"got int8 \[11\]"),
    ],
)
def test_wrong_frames_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        Oracle(small_network()).run(wrong)


def test_what_it_says_about_itself(tmp_path):
    (tmp_path / "m.tflite").write_bytes(serialise(integer_network()))
    oracle = open_runtime("oracle", tmp_path / "m.tflite")
    assert isinstance(oracle, StatefulRuntime)
    assert oracle.info.exact and oracle.info.arena_bytes is None
    assert oracle.info.input.scale == 2.0**-5 and oracle.info.output.zero_point == -128
    assert oracle.step(np.zeros(BANDS, np.int8)).shape == (BANDS,)
