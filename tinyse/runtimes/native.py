"""Runtime `native`: the C library of firmware_harness/ on this host, compiled on first use.

The code is the one that a board runs; the kernels are those that this processor is best at.
`native_reference` is the same with the plain C kernels.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.compiled import find_tool, load_library
from tinyse.errors import InputError
from tinyse.pack.format import CACHE_LINE, Layout
from tinyse.pack.native import pack
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.compiled import build, harness, library_sources
from tinyse.runtimes.interface import RuntimeInfo, checked_frames
from tinyse.tflite.check import load

HOP = 256
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O3", "-shared", "-fPIC", "-fno-math-errno")
_Pointer, _Size, _Out = ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)
_SIZE_OUT = ctypes.POINTER(ctypes.c_size_t)
# name -> result, arguments
_FUNCTIONS = {
    "tinyse_error": (ctypes.c_char_p, (ctypes.c_int,)),
    "tinyse_arena_bytes": (ctypes.c_int, (_Pointer, _Size, _SIZE_OUT)),
    "tinyse_create": (ctypes.c_int, (_Out, _Pointer, _Size, _Pointer, _Size)),
    "tinyse_reset": (None, (_Pointer,)),
    "tinyse_run": (None, (_Pointer, _Pointer, _Size, _Pointer)),
    "tinyse_inputs": (_Size, (_Pointer,)),
    "tinyse_outputs": (_Size, (_Pointer,)),
    "tinyse_kernels": (ctypes.c_char_p, (_Pointer,)),
    "tinyse_choose": (ctypes.c_int, (_Pointer, ctypes.c_char_p)),
    "tinyse_lstm_state": (ctypes.c_int, (_Pointer, _Size, _Out, _Out, _SIZE_OUT)),
    "tinyse_audio_bytes": (_Size, ()),
    "tinyse_audio_create": (ctypes.c_int, (_Out, _Pointer, _Pointer, _Size)),
    "tinyse_audio_reset": (None, (_Pointer,)),
    "tinyse_process_blocks": (None, (_Pointer, _Pointer, _Size, _Pointer)),
    "tinyse_plain_bytes": (ctypes.c_int, (_Pointer, _Size, _SIZE_OUT)),
    "tinyse_unpack": (ctypes.c_int, (_Pointer, _Size, _Pointer, _Size)),
}


@cache
def library() -> ctypes.CDLL:
    """The shared library, from the cache or compiled; MissingTool where that is in vain."""
    compiler = find_tool(COMPILERS, "apt-get install gcc")
    sources = [path for path in library_sources() if path.suffix == ".c"]
    folder = harness()
    command = (compiler, *FLAGS, f"-I{folder / 'include'}")
    path = build(command, [*sources, folder / "targets" / "host" / "run.c"], ".so")
    loaded = load_library(path)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def checked(status: int, where: object) -> None:
    """Raises InputError for a status of the C library that is not 0."""
    if status:
        remedy = "pack it again with: tinyse export --pack native"
        said = library().tinyse_error(status).decode()
        raise InputError(f"error {status}: {said}", where, remedy)


def aligned(count: int) -> NDArray[np.uint8]:
    """`count` zero bytes on a cache line: the library asks for less, and is faster on this."""
    buffer = np.zeros(count + CACHE_LINE, np.uint8)
    return buffer[-buffer.ctypes.data % CACHE_LINE :][:count]


class NativeModel:
    """A blob in an arena of its own: the C interface, one method a function."""

    def __init__(self, blob: bytes, where: object = "blob", kernels: str | None = None) -> None:
        self.lib = library()
        self.blob = aligned(len(blob))
        self.blob[:] = np.frombuffer(blob, np.uint8)
        needed = ctypes.c_size_t()
        address = self.blob.ctypes.data
        checked(self.lib.tinyse_arena_bytes(address, len(blob), ctypes.byref(needed)), where)
        self.arena = aligned(needed.value)
        self.handle = ctypes.c_void_p()
        arguments = (address, len(blob), self.arena.ctypes.data, needed.value)
        checked(self.lib.tinyse_create(ctypes.byref(self.handle), *arguments), where)
        if kernels:
            checked(self.lib.tinyse_choose(self.handle, kernels.encode()), f"kernels {kernels}")
        self.inputs = self.lib.tinyse_inputs(self.handle)
        self.outputs = self.lib.tinyse_outputs(self.handle)

    @property
    def kernels(self) -> str:
        """The set of kernels in use."""
        return self.lib.tinyse_kernels(self.handle).decode()

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self.lib.tinyse_reset(self.handle)

    def run(self, frames: NDArray[np.int8]) -> NDArray[np.int8]:
        """Masks int8 [T, outputs] of frames int8 [T, inputs]."""
        frames = np.ascontiguousarray(checked_frames(frames, self.inputs, np.int8))
        masks = np.empty((len(frames), self.outputs), np.int8)
        self.lib.tinyse_run(self.handle, frames.ctypes.data, len(frames), masks.ctypes.data)
        return masks

    def state(self, index: int) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
        """h int8 and c int16 [units] of LSTM `index` after the last frame."""
        h, c, units = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        arguments = (ctypes.byref(h), ctypes.byref(c), ctypes.byref(units))
        checked(self.lib.tinyse_lstm_state(self.handle, index, *arguments), "LSTM")
        hidden = np.frombuffer(ctypes.string_at(h, units.value), np.int8)
        cell = np.frombuffer(ctypes.string_at(c, 2 * units.value), np.int16)
        return hidden, cell


class NativeAudio:
    """The audio front end around a model: sound in blocks of 256 samples, float32."""

    def __init__(self, model: NativeModel) -> None:
        self.model = model
        self.memory = aligned(model.lib.tinyse_audio_bytes())
        self.handle = ctypes.c_void_p()
        arguments = (model.handle, self.memory.ctypes.data, len(self.memory))
        checked(model.lib.tinyse_audio_create(ctypes.byref(self.handle), *arguments), "audio")

    def reset(self) -> None:
        """Back to silence, and the model to its first state."""
        self.model.lib.tinyse_audio_reset(self.handle)

    def process(self, sound: NDArray) -> NDArray[np.float32]:
        """Enhanced samples float32 [256 n] of samples [256 n], those of 256 samples before."""
        sound = np.ascontiguousarray(sound, np.float32)
        if sound.ndim != 1 or len(sound) % HOP:
            what = f"expected whole blocks of {HOP} samples, got {list(sound.shape)}"
            raise InputError(what, "sound", "pad it with zeros")
        out = np.empty_like(sound)
        process = self.model.lib.tinyse_process_blocks
        process(self.handle, sound.ctypes.data, len(sound) // HOP, out.ctypes.data)
        return out


def unpack(coded: bytes, where: object = "blob") -> bytes:
    """The plain blob of an entropy-coded one, by the C library."""
    lib, source = library(), aligned(len(coded))
    source[:] = np.frombuffer(coded, np.uint8)
    needed = ctypes.c_size_t()
    arguments = (source.ctypes.data, len(coded))
    checked(lib.tinyse_plain_bytes(*arguments, ctypes.byref(needed)), where)
    plain = aligned(needed.value)
    checked(lib.tinyse_unpack(*arguments, plain.ctypes.data, needed.value), where)
    return plain.tobytes()


class Native:
    """The runtime on the network of a `.tflite`, packed for this host in memory."""

    name = "native"
    wanted: str | None = None
    layout = Layout.LANES

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.model = NativeModel(pack(network, self.layout).data, network.name, self.wanted)
        release = f"tinyse {__version__}, {self.model.kernels}"
        arena = len(self.model.arena)
        self.info = RuntimeInfo(network.input, network.output, arena, release, True)

    @classmethod
    def open(cls, path: Path | str) -> Native:
        """The library on a `.tflite` file."""
        return cls(load(path).network)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self.model.reset()

    def step(self, frame: NDArray[np.int8]) -> NDArray[np.int8]:
        """Mask int8 [m] of one frame int8 [n]."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.int8]) -> NDArray[np.int8]:
        """Masks int8 [T, m] of frames int8 [T, n]; the state is carried on."""
        return self.model.run(frames)

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` int8 and `c_<layer>` int16 [units] after the last frame."""
        found: dict[str, NDArray] = {}
        for index, layer in enumerate(self.network.lstms):
            found[f"h_{layer.name}"], found[f"c_{layer.name}"] = self.model.state(index)
        return found


class NativeReference(Native):
    """The same with the plain C kernels."""

    name = "native_reference"
    wanted = "reference"
