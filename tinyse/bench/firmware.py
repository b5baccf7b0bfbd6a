"""What the C runtime costs on emulated Cortex-M cores: instructions, flash, arena, stack.

Instructions are executed ones, exact and repeatable; they are not cycles.  `load_100_mhz` is the
share of 16 ms that they fill on a core that retires one a cycle at 100 MHz; docs/firmware.md has
the estimate with the cores' published timings.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.bench.timing import FRAME_MS, random_frames
from tinyse.compiled import MissingTool
from tinyse.features import HOP
from tinyse.pack.native import pack
from tinyse.quant import IntegerNetwork
from tinyse.runtimes.emulated import CortexM4, CortexM7, CortexM55, Emulated, code_bytes
from tinyse.runtimes.emulated_sound import process
from tinyse.tflite.check import load

BOARDS = {board.name: board for board in (CortexM4, CortexM7, CortexM55)}
# What `tinyse check` holds a published model to.
GATED = ("instructions_per_frame", "flash_bytes", "arena_bytes", "stack_bytes")
_FRAMES = 40
_PER_FRAME_100_MHZ = 100_000 * FRAME_MS  # instructions of 16 ms, one a cycle


def firmware_figures(file: Path, boards: tuple[str, ...] = tuple(BOARDS)) -> dict[str, Any]:
    """Board -> figures of the `.tflite` `file`; MissingTool where a tool is not installed.

    flash_bytes is the blob and all code and constants of the library in a firmware that creates a
    model and steps it; stack_bytes what one step needs.
    """
    return network_figures(load(file).network, boards)


def network_figures(
    network: IntegerNetwork, boards: tuple[str, ...] = tuple(BOARDS)
) -> dict[str, Any]:
    """The same of a network that is in no file."""
    frames = random_frames(_FRAMES, 0, network.input, network.layers[0].width)
    return {name: _figures(BOARDS[name](network), frames) for name in boards}


def front_end_figures(
    network: IntegerNetwork, name: str, alone: dict[str, Any]
) -> dict[str, int] | None:
    """What sound to sound costs on top of the network; None for one without audio tables.

    Two FFTs, the features, the mask onto the spectrum: instructions of `tinyse_process` less those
    of the network, bytes of code and tables, of its own memory, and of the stack of the whole call.

    alone : the board's figures of the network
    """
    board, tables = BOARDS[name].board, alone["flash_parts_bytes"]["front_end"]
    if not tables:
        return None
    blob = pack(network, board.layout).data
    sound = np.random.default_rng(0).normal(0, 0.1, _FRAMES * HOP).astype(np.float32)
    processed = process(board, blob, sound)
    whole = int(np.median(processed.instructions))
    return {
        "instructions_per_frame": whole - alone["instructions_per_frame"],
        "code_bytes": code_bytes(board, blob, "sound") - alone["flash_parts_bytes"]["code"],
        "tables_bytes": tables,
        "memory_bytes": processed.memory_bytes,
        "stack_bytes": processed.stack_bytes,
    }


def gated_figures(file: Path, notice: Callable[[str], None]) -> dict[str, dict[str, int]]:
    """Core -> its GATED figures of `file`; empty, and said to `notice`, without the tools.

    InputError for a network that no kernel takes, or no board.
    """
    try:
        found = firmware_figures(file)
    except MissingTool as error:
        notice(f"C runtime on Cortex-M: left out: {error}")
        return {}
    return {core: {name: figures[name] for name in GATED} for core, figures in found.items()}


def _figures(runtime: Emulated, frames: NDArray[np.int8]) -> dict[str, Any]:
    masks = runtime.run(frames)
    measured = runtime.measured
    assert measured is not None
    total = int(np.median(measured.instructions.sum(axis=1)))
    by_layer = np.median(measured.instructions, axis=0).astype(int).tolist()
    names = [layer.name for layer in runtime.network.layers]
    code, blob = code_bytes(runtime.board, runtime.blob.data), len(runtime.blob.data)
    frontend = sum(runtime.blob.accounts.get("front end", {}).values())
    return {
        "runtime": runtime.name,
        "version": runtime.info.version,
        "exact": runtime.info.exact,
        "instructions_per_frame": total,
        "instructions_by_layer": dict(zip(names, by_layer, strict=True)),
        "load_100_mhz": round(total / _PER_FRAME_100_MHZ, 4),
        "flash_bytes": code + blob - frontend,
        "flash_parts_bytes": {"code": code, "blob": blob - frontend, "front_end": frontend},
        "arena_bytes": measured.arena_bytes,
        "stack_bytes": measured.stack_bytes,
        "crc32": f"{zlib.crc32(masks.tobytes()):08x}",
    }
