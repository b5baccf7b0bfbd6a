"""TensorFlow Lite Micro as a runtime: memory, states, reset, refusals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.network_maker import frames, integer_network, small_network
from tests.tflite.edited import valid_file, valid_step_file
from tinyse.errors import InputError, MissingExtra
from tinyse.runtimes import open_runtime
from tinyse.tflite.check import check_bytes
from tinyse.tflite.write import serialise

pytest.importorskip("tflite_micro")

from tinyse.runtimes.tflm import TFLM


def test_the_arena_is_what_the_allocator_handed_out():
    arena = TFLM(check_bytes(serialise(integer_network()))).info.arena_bytes
    # Two 256-unit states of int8 and int16 are 1,536 bytes of it.
    assert 9_000 < arena < 11_000


def test_reading_the_arena_leaves_stderr_as_it_was(capfd):
    TFLM(check_bytes(valid_file()))
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"


def test_the_arena_is_measured_where_stderr_is_closed(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(valid_file())
    script = (
        "import os, sys; from tinyse.runtimes.tflm import TFLM\n"
        "assert sys.stderr is None\n"
        "print(TFLM.open(sys.argv[1]).info.arena_bytes, TFLM.open(sys.argv[1]).info.arena_bytes)"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, text=True, check=True
    )
    arena = TFLM(check_bytes(valid_file())).info.arena_bytes
    assert done.stdout.split() == [str(arena)] * 2


@pytest.mark.parametrize("data", [valid_file(), valid_step_file(), valid_step_file("step8")])
def test_reset_gives_the_stream_again(data):
    runtime = TFLM(check_bytes(data))
    x = frames(60, 2, 11, runtime.info.input)
    first = runtime.run(x)
    assert not np.array_equal(runtime.run(x), first)
    runtime.reset()
    assert np.array_equal(runtime.run(x), first)
    runtime.reset()
    assert np.array_equal(np.stack([runtime.step(frame) for frame in x]), first)


def test_no_frames_give_no_masks():
    assert TFLM(check_bytes(valid_file())).run(np.empty((0, 11), np.int8)).shape == (0, 6)


def test_states_need_to_be_kept():
    file = check_bytes(valid_file())
    with pytest.raises(InputError, match="keep_states=True"):
        TFLM(file).states()
    kept = TFLM(file, keep_states=True)
    assert kept.info.arena_bytes is None
    assert set(kept.states()) == {"h_lstm_0", "c_lstm_0", "h_lstm_1", "c_lstm_1"}


def test_states_of_a_step_file_are_always_there():
    file = check_bytes(valid_step_file())
    states = TFLM(file).states()
    assert {key: value.dtype.name for key, value in states.items()} == {
        "h_lstm_0": "int16", "c_lstm_0": "int16", "h_gru_0": "int16",
    }  # fmt: skip
    assert not any(value.any() for value in states.values())


def test_a_bad_file_never_reaches_it(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(valid_file()[:-200])
    with pytest.raises(InputError, match=r"bad\.tflite"):
        open_runtime("tflm", tmp_path / "bad.tflite")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tinyse\[tflm\]'"):
        TFLM(check_bytes(serialise(small_network())))
