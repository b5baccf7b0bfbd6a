"""Batches from a process of their own, through a ring of shared memory.

The process is spawned, never forked (the trainer has threads).  What it imports stands in this room
and above it; with Keras it would take seven seconds of a core and 0.7 GB to start.  Batch k is
`Mixer.batch(k)` whoever asks and whenever: a feed that starts at k goes on where another stopped.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import shared_memory
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.mixing import Mixer
from tinyse.audio.pools import PoolFiles
from tinyse.errors import MachineFault, TinySEError, Unavailable
from tinyse.features import BINS
from tinyse.recipe import Mixing

_DEPTH = 8  # batches ahead; two would do, eight ride out a pause of the other process
_POLL_S = 1.0


@dataclass(frozen=True)
class Batches:
    """Which batches: `rows` sequences of `frames` frames, steps `first` .. `last` - 1."""

    pools: PoolFiles
    mixing: Mixing
    seed: int
    rows: int
    frames: int
    first: int
    last: int

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of a batch."""
        samples = Mixer.samples_of(self.frames)
        return {
            "speech": (self.rows, samples),
            "noise": (self.rows, samples),
            "equaliser": (self.rows, 2, BINS),
            "snr_db": (self.rows,),
            "level_dbfs": (self.rows,),
        }

    def slot_bytes(self) -> int:
        """Bytes of one batch, all float32."""
        return sum(4 * math.prod(shape) for shape in self.layout().values())


class Feed:
    """Iterates over batches; a context manager.

    Attributes
    ----------
    waited_s : seconds the caller has waited for a batch
    """

    def __init__(self, batches: Batches) -> None:
        self.waited_s = 0.0
        self._batches = batches
        context = multiprocessing.get_context("spawn")
        self._memory = _shared(batches.slot_bytes() * _DEPTH)
        self._free: Queue[int] = context.Queue()
        self._ready: Queue[int | TinySEError] = context.Queue()
        for slot in range(_DEPTH):
            self._free.put(slot)
        arguments = self._memory.name, self._free, self._ready, batches
        self._process = context.Process(target=_fill, args=arguments, daemon=True)

    def __enter__(self) -> Feed:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self._memory.close()
        self._memory.unlink()

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        for _ in range(self._batches.first, self._batches.last):
            slot = self._next_slot()
            # A copy, since the backend may still read the arrays when the slot is filled again.
            views = _views(self._memory, slot, self._batches)
            yield {name: view.copy() for name, view in views.items()}
            self._free.put(slot)

    def _next_slot(self) -> int:
        begin = time.perf_counter()
        while True:
            try:
                found = self._ready.get(timeout=_POLL_S)
            except queue.Empty:
                if self._process.is_alive():
                    continue
                raise MachineFault(
                    "the mixing process died", "feed", "see the lines above"
                ) from None
            if isinstance(found, TinySEError):
                raise found
            self.waited_s += time.perf_counter() - begin
            return found


def _shared(size: int) -> shared_memory.SharedMemory:
    place = Path("/dev/shm")
    # A page that is missing when it is first touched kills the process without a word.
    if place.is_dir() and shutil.disk_usage(place).free < size:
        what = f"needs {size >> 20} MiB of shared memory, more than is free"
        raise Unavailable(what, "train.batch", f"lower it, or give {place} more room")
    return shared_memory.SharedMemory(create=True, size=size)


def _views(
    memory: shared_memory.SharedMemory, slot: int, batches: Batches
) -> dict[str, NDArray[np.float32]]:
    found, offset = {}, slot * batches.slot_bytes()
    for name, shape in batches.layout().items():
        found[name] = np.ndarray(shape, np.float32, memory.buf, offset)
        offset += found[name].nbytes
    return found


def _fill(
    memory_name: str, free: Queue[int], ready: Queue[int | TinySEError], batches: Batches
) -> None:
    """The process; an error that is not a bug is the parent's to raise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        _fill_slots(memory_name, free, ready, batches)
    except TinySEError as error:
        ready.put(error)
    # The queue's thread must have sent the last of it before the process ends.
    ready.close()
    ready.join_thread()


def _fill_slots(
    memory_name: str, free: Queue[int], ready: Queue[int | TinySEError], batches: Batches
) -> None:
    """Draw a batch into each slot that comes free, until the parent is gone."""
    memory = shared_memory.SharedMemory(memory_name)
    mixer = Mixer(*batches.pools.load(), batches.mixing, batches.seed, batches.frames)
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was spawned
    for step in range(batches.first, batches.last):
        batch = mixer.batch(step, batches.rows)
        while True:
            try:
                slot = free.get(timeout=_POLL_S)
                break
            except queue.Empty:
                if not parent.is_alive():
                    return
        for name, view in _views(memory, slot, batches).items():
            view[...] = batch[name]
        ready.put(slot)
