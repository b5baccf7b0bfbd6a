"""Cortex-M on QEMU: bytes, states, repeatable counts."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from tests.network_maker import frames, integer_network, small_network
from tests.sparse_networks import by_magnitude, cut_network
from tinyse.audio.synth import demo_mixture
from tinyse.compiled import MissingTool
from tinyse.errors import InputError, TinySEError
from tinyse.features import HOP
from tinyse.files import packaged
from tinyse.pack.c_source import arena_bytes
from tinyse.pack.format import Layout
from tinyse.pack.native import pack
from tinyse.quant import IntegerDense, IntegerNetwork, Quantisation
from tinyse.runtimes import emulated
from tinyse.runtimes.emulated import M4, M55, CortexM4, CortexM7, CortexM55, firmware
from tinyse.runtimes.emulated_sound import process
from tinyse.runtimes.interface import trace
from tinyse.runtimes.native import NativeAudio, NativeModel
from tinyse.runtimes.oracle import Oracle
from tinyse.tflite.check import load

BOARDS = [CortexM4, CortexM7, CortexM55]
needs_board = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="make firmware-deps installs the compiler and QEMU",
)
NETWORKS = {
    "odd": integer_network((7, 3, 11), (6, 9), 13, 10),
    "4x4": cut_network(integer_network((36, 20), (17,), 24, 16), by_magnitude(4, 4, 0.8)),
    "all dead": cut_network(integer_network((20,), (), 24, 16), lambda weights: 0 * weights),
}


@needs_board
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_masks_and_states_equal_the_oracle_over_runs(name, board):
    network = NETWORKS[name]
    x, oracle = frames(60, 5, network.layers[0].width), Oracle(network)
    expected = oracle.run(x)
    runtime = board(network)
    found = np.concatenate([runtime.run(x[:25]), runtime.run(x[25:])])
    assert np.array_equal(found, expected)
    for key, values in oracle.states().items():
        assert np.array_equal(runtime.states()[key], values), key


@needs_board
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_counts_repeat_to_the_instruction(board):
    network = small_network()
    x, counts = frames(20, 5, 11), []
    for _ in range(2):
        runtime = board(network)
        runtime.run(x)
        counts.append(runtime.measured.instructions)
    assert np.array_equal(*counts)
    assert counts[0].shape == (20, len(network.layers)) and counts[0].min() > 50


@needs_board
def test_the_arena_is_what_the_header_says():
    for board in BOARDS:
        runtime = board(small_network())
        assert runtime.info.arena_bytes == arena_bytes(runtime.blob.data, 4)
        assert 0 < runtime.measured.stack_bytes < 1024


@needs_board
def test_no_frame_and_no_state_yet():
    runtime = CortexM4(small_network())
    assert runtime.run(np.empty((0, 11), np.int8)).shape == (0, runtime.network.layers[-1].units)
    for name, values in Oracle(small_network()).states().items():
        assert np.array_equal(runtime.states()[name], values), name


def test_a_blob_that_the_board_cannot_hold_is_refused():
    with pytest.raises(InputError, match="mps3-an547: a blob of 5,242,880 bytes"):
        firmware(M55, bytes(5 << 20))


@needs_board
def test_reset_starts_again():
    runtime, x = CortexM55(small_network()), frames(5, 2, 11)
    first = trace(runtime, x)
    runtime.reset()
    assert np.array_equal(runtime.run(x), first["mask"])


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="make firmware-deps"):
        CortexM4(small_network())


def dense(n: int, bias: int = 0, zero: int = 0, weight: int = 1):
    """One dense layer [n, n]; products of the largest weights do not fit the fast kernels."""
    kernel, scales = np.full((n, n), weight, np.int8), np.linspace(2.0**-11, 2.0**-10, n)
    arriving, leaving = Quantisation(2.0**-5, zero), Quantisation(4.0)
    biases = np.full(n, bias, np.int32)
    layer = IntegerDense("dense", kernel, biases, scales, arriving, leaving)
    return IntegerNetwork("dense", (layer,))


@needs_board
@pytest.mark.parametrize("board", [CortexM4, CortexM55], ids=lambda board: board.name)
def test_a_dense_layer_without_a_bias_takes_the_same_loops(board):
    counts = []
    for bias in (0, 5):
        runtime = board(dense(64, bias))
        runtime.run(frames(1, 5, 64))
        counts.append(int(runtime.measured.instructions.sum()))
    assert counts[0] == counts[1]


@needs_board
def test_a_layer_that_the_counter_cannot_tell_is_refused():
    with pytest.raises(InputError, match="more instructions than its counter of 24 bits"):
        CortexM4(dense(640, 1, -128, 127))


def test_an_arena_that_the_firmware_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr(emulated, "ARENA_BYTES", 300)
    blob = pack(small_network(), Layout.PAIRS).data
    with pytest.raises(InputError, match=r"mps2-an386: an arena of [0-9,]+ bytes"):
        firmware(M4, blob)


@needs_board
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_sound_on_a_board_is_that_of_the_host(board):
    """But for roundings: one multiplies and adds at once, another in vectors of its own order.

    The M55 has a front end in vectors: silence, no number and more than full scale go through too.
    """
    network = load(packaged("models", "lstm_tiny", "model.tflite")).network
    sound = demo_mixture(1).mixture[: 100 * HOP].astype(np.float32)
    sound[20 * HOP : 22 * HOP], sound[30 * HOP + 5] = 0, np.nan
    sound[40 * HOP : 41 * HOP] *= 1e4
    sound[90 * HOP : 91 * HOP] = 1e30  # infinite power
    host = NativeAudio(NativeModel(pack(network, Layout.LANES).data)).process(sound)
    processed = process(board.board, pack(network, board.board.layout).data, sound)
    assert processed.instructions.shape == (100,)
    numbers = np.isfinite(host)
    assert np.array_equal(np.isfinite(processed.sound), numbers) and (~numbers).sum() == 3 * HOP
    assert np.abs(host[: 20 * HOP]).max() > 0.05
    apart = np.abs(processed.sound - host)
    assert apart[: 20 * HOP].max() < 1e-6 and apart[: 90 * HOP][numbers[: 90 * HOP]].max() < 0.01


@needs_board
@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(95, InputError, "24 bits"), (99, TinySEError, "a fault"), (7, TinySEError, "status 7")],
)
def test_a_firmware_that_fails_is_no_fault_of_the_input(status, kind, says, monkeypatch, tmp_path):
    ended = subprocess.CompletedProcess([], status, "", "")
    monkeypatch.setattr(emulated.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(TinySEError, match=f"Cortex-M4: .*{says}") as caught:
        emulated.start(M4, tmp_path / "x.elf", tmp_path, 1)
    assert type(caught.value) is kind
