"""Runtimes `cortex_m4`, `cortex_m7`, `cortex_m55`: the C library in firmware, on QEMU.

Every run starts the board, reads frames from a file by semihosting and writes masks, states and
counts; the arena travels to the next run, so the state is carried on.

Counts are exact and repeat to the instruction.  Under `-icount shift=6` an instruction lasts 64 ns
of virtual time, and SysTick ticks more than once in it, so rounding gives the integer back:

    25 MHz (mps2)  n = (40 ticks + 32) / 64        32 MHz (mps3)  n = (1000 ticks + 1024) / 2048

They are instructions, not cycles; docs/firmware.md says what to make of them.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.compiled import find_tool
from tinyse.errors import InputError, MachineFault, TinySEError
from tinyse.files import cache_folder, write_bytes
from tinyse.pack.c_source import arena_bytes
from tinyse.pack.format import Layout
from tinyse.pack.native import Blob, pack
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.compiled import build, harness, library_sources
from tinyse.runtimes.interface import RuntimeInfo, checked_frames
from tinyse.tflite.check import load

GET = "make firmware-deps"
COMPILER, EMULATOR, SIZES = "arm-none-eabi-gcc", "qemu-system-arm", "arm-none-eabi-size"
# -fbuiltin: without it every memcpy of four bytes becomes a call.  The loop option keeps the
# compiler from turning our own memset into a call of itself.
FLAGS = (
    *("-std=c99", "-Os", "-mthumb", "-mfloat-abi=hard", "-ffreestanding", "-fbuiltin"),
    *("-fno-tree-loop-distribute-patterns", "-ffunction-sections", "-fdata-sections", "-nostdlib"),
)
SECONDS_PER_FRAME, MOST_SECONDS = 0.5, 60  # a firmware that hangs must not hang us
ARENA_BYTES = 64 << 10  # of measure.c and sound.c
OF_THE_NETWORK = {
    95: "a layer of more instructions than its counter of 24 bits can tell",
    96: "more than 64 layers",
}
OF_THE_FIRMWARE = {97: "writing a file failed", 98: "no frames", 99: "a fault"}


@dataclass(frozen=True)
class Board:
    """A machine of QEMU and how code is built for its core.

    model_bytes : the largest blob that it has room for
    ticks : (factor, offset, divisor) from SysTick ticks to instructions
    """

    core: str
    machine: str
    flags: tuple[str, ...]
    layout: Layout
    ram: int
    code_bytes: int
    model_section: str
    model_bytes: int
    ticks: tuple[int, int, int]

    def instructions(self, counts: NDArray[np.uint32], empty: int) -> NDArray[np.int64]:
        """Of regions that took `counts` ticks, where an empty one takes `empty`."""
        factor, offset, divisor = self.ticks
        found = (np.append(counts, np.uint32(empty)).astype(np.int64) * factor + offset) // divisor
        return (found[:-1] - found[-1]).reshape(counts.shape)


M4 = Board(
    core="Cortex-M4",
    machine="mps2-an386",
    flags=("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"),
    layout=Layout.PAIRS,
    ram=0x20000000,
    code_bytes=0x400000,
    model_section=".flash_model",
    model_bytes=(4096 - 64) << 10,
    ticks=(40, 32, 64),
)
M7 = Board(
    core="Cortex-M7",
    machine="mps2-an500",
    flags=("-mcpu=cortex-m7", "-mfpu=fpv5-d16"),
    layout=Layout.PAIRS,
    ram=0x20000000,
    code_bytes=0x400000,
    model_section=".flash_model",
    model_bytes=(4096 - 64) << 10,
    ticks=(40, 32, 64),
)
M55 = Board(
    core="Cortex-M55",
    machine="mps3-an547",
    flags=("-mcpu=cortex-m55",),
    layout=Layout.ROWS,
    ram=0x21000000,
    code_bytes=0x80000,
    model_section=".ram_model",  # 512 KiB of code memory hold no dense model
    model_bytes=3800 << 10,
    ticks=(1000, 1024, 2048),
)


@dataclass(frozen=True)
class Measured:
    """What a run of firmware told.

    masks : int8 [T, outputs]
    instructions : int64 [T, layers] of every frame
    arena_bytes, stack_bytes : of the model; of one step, with the call
    """

    masks: NDArray[np.int8]
    instructions: NDArray[np.int64]
    arena_bytes: int
    stack_bytes: int


def library_object(board: Board) -> Path:
    """The library compiled for a board, one relocatable object."""
    compiler = find_tool((COMPILER,), GET)
    include = f"-I{harness() / 'include'}"
    command = (compiler, *board.flags, *FLAGS, include, "-r")
    return build(command, library_sources(), "-library.o")


def firmware(board: Board, blob: bytes, program: str = "measure") -> Path:
    """The ELF file of a model on a board, with the program of the harness that measures it.

    InputError for a blob that the board has no room for.
    """
    if len(blob) > board.model_bytes:
        what = f"a blob of {len(blob):,} bytes, the board has room for {board.model_bytes:,}"
        raise InputError(what, board.machine, "make the network smaller")
    needed = arena_bytes(blob, 4)
    if needed > ARENA_BYTES:
        what = f"an arena of {needed:,} bytes, the firmware has {ARENA_BYTES:,}"
        raise InputError(what, board.machine, "make the network smaller")
    kept = cache_folder() / "compiled" / f"{hashlib.sha256(blob).hexdigest()[:24]}.tsb"
    if not kept.exists():
        write_bytes(kept, blob)
    target = harness() / "targets" / "cortex_m"
    symbols = f"--defsym=RAM_ORIGIN={board.ram:#x},--defsym=CODE_BYTES={board.code_bytes:#x}"
    command = (
        find_tool((COMPILER,), GET),
        *board.flags,
        *FLAGS,
        f"-I{harness() / 'include'}",
        f"-DTINYSE_BLOB={_c_text(kept)}",
        f"-DTINYSE_MODEL_SECTION={board.model_section}",
        *("-nostartfiles", "-T", str(target / "board.ld")),
        *(f"-Wl,--gc-sections,--no-warn-rwx-segments,{symbols}", "-lgcc"),
    )
    sources = [target / "start.c", target / f"{program}.c", target / "model.S"]
    return build(command, [*sources, library_object(board)], ".elf")


def _c_text(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def code_bytes(board: Board, blob: bytes, program: str = "measure") -> int:
    """Flash that the library's code and constants take in a firmware that does what `program` does.

    `measure` creates a model and steps it, `sound` makes audio of it and processes.
    """
    done = subprocess.run(
        [find_tool((SIZES,), GET), "-A", str(firmware(board, blob, program))],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split() for line in done.stdout.splitlines())
    return next(int(row[1]) for row in rows if row and row[0] == ".library")


def start(board: Board, elf: Path, folder: Path, frames: int) -> None:
    """Run a firmware beside its files in `folder`.

    InputError for a network that it cannot measure, TinySEError where the firmware fails,
    MachineFault where it does not end in time.
    """
    command = (
        *(find_tool((EMULATOR,), GET), "-M", board.machine, "-nographic", "-monitor", "none"),
        *("-serial", "none", "-icount", "shift=6", "-kernel", str(elf)),
        *("-semihosting-config", "enable=on,target=native"),
    )
    limit = MOST_SECONDS + SECONDS_PER_FRAME * frames
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"{frames} frames took more than {limit:g} s"
        raise MachineFault(what, board.core, "try again when the machine is idle") from error
    if done.returncode in OF_THE_NETWORK:
        raise InputError(OF_THE_NETWORK[done.returncode], board.core, "leave this core out")
    if done.returncode:
        what = OF_THE_FIRMWARE.get(done.returncode, f"status {done.returncode}")
        raise TinySEError(f"the firmware ended with {what} {done.stderr}".strip(), board.core)


class Emulated:
    """A runtime on a board; `measured` holds what the last run counted."""

    name: str
    board: Board
    measured: Measured | None = None

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.blob: Blob = pack(network, self.board.layout)
        self._elf = firmware(self.board, self.blob.data)
        self._state: bytes | None = None
        self._states = b""
        first = self.run(np.zeros((1, network.layers[0].width), np.int8))
        assert len(first) == 1 and self.measured is not None
        release = f"tinyse {__version__}, {self.board.core} on QEMU {self.board.machine}"
        arena = self.measured.arena_bytes
        self.info = RuntimeInfo(network.input, network.output, arena, release, True)
        self.reset()

    @classmethod
    def open(cls, path: Path | str) -> Emulated:
        """The firmware of a `.tflite` file."""
        return cls(load(path).network)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self._state = None
        self._states = bytes(sum(3 * layer.units for layer in self.network.lstms))

    def step(self, frame: NDArray[np.int8]) -> NDArray[np.int8]:
        """Mask int8 [m] of one frame int8 [n]; the board starts for it."""
        return self.run(np.asarray(frame)[None])[0]

    def run(self, frames: NDArray[np.int8]) -> NDArray[np.int8]:
        """Masks int8 [T, m] of frames int8 [T, n]; the state is carried on."""
        frames = checked_frames(frames, self.network.layers[0].width, np.int8)
        if not len(frames):
            return np.empty((0, self.network.layers[-1].units), np.int8)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "frames.bin").write_bytes(np.ascontiguousarray(frames).tobytes())
            if self._state is not None:
                (folder / "state.bin").write_bytes(self._state)
            start(self.board, self._elf, folder, len(frames))
            self.measured = self._read(folder, len(frames))
            self._state = (folder / "state.bin").read_bytes()
            self._states = (folder / "states.bin").read_bytes()
        return self.measured.masks

    def _read(self, folder: Path, frames: int) -> Measured:
        arena, stack, empty = np.fromfile(folder / "facts.bin", np.uint32)
        counts = np.fromfile(folder / "counts.bin", np.uint32).reshape(frames, -1)
        masks = np.fromfile(folder / "masks.bin", np.int8)
        return Measured(
            masks.reshape(frames, self.network.layers[-1].units),
            self.board.instructions(counts, empty),
            int(arena),
            int(stack),
        )

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` int8 and `c_<layer>` int16 [units] after the last frame."""
        found: dict[str, NDArray] = {}
        at = 0
        for layer in self.network.lstms:
            found[f"h_{layer.name}"] = np.frombuffer(self._states, np.int8, layer.units, at)
            at += layer.units
            cells = self._states[at : at + 2 * layer.units]
            found[f"c_{layer.name}"] = np.frombuffer(cells, np.int16)
            at += 2 * layer.units
        return found


class CortexM4(Emulated):
    """SMLAD on pairs of int16."""

    name, board = "cortex_m4", M4


class CortexM7(Emulated):
    """The code of the Cortex-M4, compiled for the M7."""

    name, board = "cortex_m7", M7


class CortexM55(Emulated):
    """The vector extension MVE."""

    name, board = "cortex_m55", M55
