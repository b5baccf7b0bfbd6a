"""Sound to sound on emulated Cortex-M cores: `tinyse_process` in firmware, on QEMU.

The front end stands around the network: two Fourier transforms of 512 samples, 128 logarithms, the
mask onto the bins.  `tinyse.runtimes.emulated` counts the network alone.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.features import HOP
from tinyse.runtimes.emulated import Board, firmware, start


@dataclass(frozen=True)
class Processed:
    """What a board made of a sound.

    sound : float32 [n], behind the input by one hop
    instructions : int64 [n / 256] of each call of `tinyse_process`
    memory_bytes, stack_bytes : of the front end, without the model; of one call
    """

    sound: NDArray[np.float32]
    instructions: NDArray[np.int64]
    memory_bytes: int
    stack_bytes: int


def process(board: Board, blob: bytes, sound: NDArray[np.float32]) -> Processed:
    """The whole blocks of a sound [n] through a packed model with its audio tables."""
    blocks = len(sound) // HOP
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in.bin").write_bytes(sound[: blocks * HOP].astype("<f4").tobytes())
        start(board, firmware(board, blob, "sound"), folder, blocks)
        memory, stack, empty = np.fromfile(folder / "facts.bin", np.uint32)
        counts = np.fromfile(folder / "counts.bin", np.uint32)
        return Processed(
            np.fromfile(folder / "out.bin", np.float32),
            board.instructions(counts, int(empty)),
            int(memory),
            int(stack),
        )
