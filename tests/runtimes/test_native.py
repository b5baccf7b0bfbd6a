"""The C library on this host: every set of kernels, refusals, what is missing."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from tests.network_maker import frames, integer_network, small_network
from tests.sparse_networks import by_magnitude, cut_network
from tinyse.compiled import MissingTool
from tinyse.errors import InputError
from tinyse.pack.c_source import arena_bytes
from tinyse.pack.format import HEADER, MATRIX, Layout
from tinyse.pack.native import pack, with_checksum
from tinyse.runtimes import open_runtime
from tinyse.runtimes.interface import trace
from tinyse.runtimes.native import Native, NativeAudio, NativeModel, NativeReference, aligned
from tinyse.runtimes.oracle import Oracle
from tinyse.tflite.write import serialise

NETWORKS = {
    "odd": integer_network((7, 3, 11), (6, 9), 13, 10),
    "wide": integer_network((5,), (), 1100, 4),
    "4x4": cut_network(integer_network((36, 20), (17,), 24, 16), by_magnitude(4, 4, 0.8)),
    "all dead": cut_network(integer_network((20,), (), 24, 16), lambda weights: 0 * weights),
}


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_reference_equals_the_oracle_in_every_layout(name, layout):
    network = NETWORKS[name]
    model = NativeModel(pack(network, layout).data, kernels="reference")
    x = frames(200, 5, network.layers[0].width)
    assert np.array_equal(model.run(x), Oracle(network).run(x))


@pytest.mark.parametrize("kernels", ["avx2", "avx512vnni"])
@pytest.mark.parametrize("name", NETWORKS)
def test_vector_kernels_equal_the_oracle(name, kernels):
    network = NETWORKS[name]
    try:
        model = NativeModel(pack(network, Layout.LANES).data, kernels=kernels)
    except InputError:
        pytest.skip(f"this processor has no {kernels}")
    x = np.concatenate([frames(200, 5, network.layers[0].width)] * 2)
    x[200:] = np.where(x[200:] > 0, 127, -128)
    assert np.array_equal(model.run(x), Oracle(network).run(x))


def test_the_arena_is_what_the_header_says():
    for network in NETWORKS.values():
        runtime = Native(network)
        needed = arena_bytes(pack(network, Layout.LANES).data, ctypes.sizeof(ctypes.c_void_p))
        assert runtime.info.arena_bytes == needed


def test_states_and_reset():
    network = small_network()
    runtime, x = Native(network), frames(60, 2, 11)
    first = trace(runtime, x)
    expected = trace(Oracle(network), x)
    assert first.keys() == expected.keys()
    for key, values in expected.items():
        assert np.array_equal(first[key], values), key
        assert first[key].dtype == values.dtype
    runtime.reset()
    assert np.array_equal(runtime.run(x), first["mask"])


@pytest.mark.parametrize("runtime", ["native", "native_reference"])
def test_opening_a_file(tmp_path, runtime):
    (tmp_path / "m.tflite").write_bytes(serialise(small_network()))
    opened = open_runtime(runtime, tmp_path / "m.tflite")
    assert opened.name == runtime and opened.info.exact and opened.info.arena_bytes > 0
    assert NativeReference(small_network()).model.kernels == "reference"


DAMAGED = {
    "magic": (0, b"X", -4),
    "version": (4, b"\x02", -5),
    "truncated": (8, b"\xff\xff\xff", -6),
    "weights": (-70, b"\x80\x80\x80\x80\x80\x80", -7),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_blob_is_refused_with_its_code(kind):
    at, content, code = DAMAGED[kind]
    data = bytearray(pack(small_network(), Layout.ROWS).data)
    at %= len(data)
    data[at : at + len(content)] = content
    with pytest.raises(InputError, match=f"error {code}:"):
        NativeModel(bytes(data))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 500])
def test_a_truncated_blob_is_refused(count):
    with pytest.raises(InputError, match="error -6"):
        NativeModel(pack(small_network(), Layout.ROWS).data[:count])


def test_a_weight_of_minus_128_is_refused_behind_a_good_checksum():
    data = bytearray(pack(small_network(), Layout.ROWS).data)
    data[-80 - 16] = 0x80
    with pytest.raises(InputError, match="error -10"):
        NativeModel(with_checksum(bytes(data)))


def test_arena_and_alignment_are_checked():
    good = NativeModel(pack(small_network(), Layout.ROWS).data)
    lib, blob, size = good.lib, good.blob.ctypes.data, len(good.blob)
    import ctypes

    handle, arena = ctypes.c_void_p(), aligned(len(good.arena) + 16)
    arena[:] = 0x5A
    create = lib.tinyse_create
    place, room = arena.ctypes.data, len(good.arena)
    assert create(ctypes.byref(handle), blob, size, place, room - 1) == -3
    assert create(ctypes.byref(handle), blob, size, place + 8, room) == -2
    assert create(None, blob, size, place, room) == -1
    assert create(ctypes.byref(handle), None, size, place, room) == -1
    shifted = aligned(size + 8)[8:]
    shifted[:] = good.blob
    assert create(ctypes.byref(handle), shifted.ctypes.data, size, place, room) == -2
    assert (arena == 0x5A).all()  # an error leaves the arena as it was


def test_kernels_that_do_not_read_the_blob_are_refused():
    blob = pack(small_network(), Layout.ROWS).data
    for kernels in ("avx2", "avx512vnni", "smlad", "abacus", ""):
        with pytest.raises(InputError, match="error -1:") if kernels else nullcontext():
            NativeModel(blob, kernels=kernels)


def test_layers_that_do_not_fit_together_are_refused():
    data = bytearray(pack(small_network(), Layout.ROWS).data)
    (records,) = HEADER.unpack_from(data)[15:16]
    data[records + 4] ^= 1  # units of the first layer
    with pytest.raises(InputError, match="error -9"):
        NativeModel(with_checksum(bytes(data)))


def test_values_of_lanes_lie_on_cache_lines():
    """Vectors of 64 bytes that straddle lines take half as long again."""
    for network in NETWORKS.values():
        model = NativeModel(pack(network, Layout.LANES).data)
        *_, matrices = HEADER.unpack_from(model.blob)
        count = HEADER.unpack_from(model.blob)[7]
        for at in range(matrices, matrices + count * MATRIX.size, MATRIX.size):
            values = MATRIX.unpack_from(model.blob, at)[0]
            assert (model.blob.ctypes.data + values) % 64 == 0


def test_audio_needs_tables_of_its_feature_set():
    model = NativeModel(pack(integer_network((8,), ()), Layout.ROWS, frontend=False).data)
    with pytest.raises(InputError, match="error -11"):
        NativeAudio(model)
    data = bytearray(pack(integer_network((8,), ()), Layout.ROWS).data)
    data[HEADER.unpack_from(data)[14]] ^= 1
    with pytest.raises(InputError, match="error -11"):
        NativeModel(with_checksum(bytes(data)))


def test_without_a_compiler_the_command_ends_with_3(monkeypatch):
    from tinyse.runtimes import native

    native.library.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="install it with") as raised:
        Native(small_network())
    assert raised.value.exit_code == 3
    native.library.cache_clear()


def test_it_imports_no_tensorflow(tmp_path):
    (tmp_path / "m.tflite").write_bytes(serialise(small_network()))
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'tflite_micro')))\n"
        "from tinyse.runtimes import open_runtime; open_runtime('native', sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "m.tflite"], check=True)
