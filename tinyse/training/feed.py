"""Batches from a process of their own, through a ring of shared memory.

The process is spawned, never forked (the trainer has threads), and imports neither Keras nor
TensorFlow.  Batch k is `Mixer.batch(k)` whoever asks and whenever: a feed that starts at k goes
on where another stopped.
"""

from __future__ import annotations

import multiprocessing
import queue
import time
from collections.abc import Iterator
from multiprocessing import shared_memory

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.mixing import Mixer
from tinyse.audio.pools import PoolFiles
from tinyse.errors import TinySEError
from tinyse.features import BINS
from tinyse.recipe import Mixing

_DEPTH = 8  # batches ahead; two would do, eight ride out a pause of the other process
_POLL_S = 1.0


class Feed:
    """Iterates over the batches `first` .. `last` - 1; a context manager.

    Attributes
    ----------
    waited_s : seconds the caller has waited for a batch
    """

    def __init__(
        self,
        pools: PoolFiles,
        mixing: Mixing,
        seed: int,
        rows: int,
        frames: int,
        first: int,
        last: int,
    ) -> None:
        self.waited_s = 0.0
        self._first, self._last = first, last
        self._layout = _layout(rows, frames)
        slot_bytes = sum(4 * int(np.prod(shape)) for shape in self._layout.values())
        context = multiprocessing.get_context("spawn")
        self._memory = shared_memory.SharedMemory(create=True, size=slot_bytes * _DEPTH)
        self._free, self._ready = context.Queue(), context.Queue()
        for slot in range(_DEPTH):
            self._free.put(slot)
        self._process = context.Process(
            target=_fill,
            args=(self._memory.name, self._free, self._ready, self._layout, slot_bytes)
            + (pools, mixing, seed, rows, frames, first, last),
            daemon=True,
        )
        self._slot_bytes = slot_bytes

    def __enter__(self) -> Feed:
        self._process.start()
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.join()
        self._memory.close()
        self._memory.unlink()

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        for _ in range(self._first, self._last):
            slot = self._next_slot()
            views = _views(self._memory, slot, self._slot_bytes, self._layout)
            # A copy, since the backend may still read the arrays when the slot is filled again.
            yield {name: view.copy() for name, view in views.items()}
            self._free.put(slot)

    def _next_slot(self) -> int:
        begin = time.perf_counter()
        while True:
            try:
                slot = self._ready.get(timeout=_POLL_S)
            except queue.Empty:
                if self._process.is_alive():
                    continue
                raise TinySEError("the mixing process died", "feed", "see the lines above") from None
            self.waited_s += time.perf_counter() - begin
            return slot


def _layout(rows: int, frames: int) -> dict[str, tuple[int, ...]]:
    samples = Mixer.samples_of(frames)
    return {
        "speech": (rows, samples),
        "noise": (rows, samples),
        "equaliser": (rows, 2, BINS),
        "snr_db": (rows,),
        "level_dbfs": (rows,),
    }


def _views(memory, slot: int, slot_bytes: int, layout) -> dict[str, NDArray[np.float32]]:
    found, offset = {}, slot * slot_bytes
    for name, shape in layout.items():
        found[name] = np.ndarray(shape, np.float32, memory.buf, offset)
        offset += found[name].nbytes
    return found


def _fill(
    memory_name, free, ready, layout, slot_bytes, pools, mixing, seed, rows, frames, first, last
) -> None:
    """The process: draw a batch into each slot that comes free, until the parent is gone."""
    memory = shared_memory.SharedMemory(memory_name)
    mixer = Mixer(*pools.load(), mixing, seed, frames)
    parent = multiprocessing.parent_process()
    for step in range(first, last):
        batch = mixer.batch(step, rows)
        while True:
            try:
                slot = free.get(timeout=_POLL_S)
                break
            except queue.Empty:
                if not parent.is_alive():
                    return
        for name, view in _views(memory, slot, slot_bytes, layout).items():
            view[...] = batch[name]
        ready.put(slot)
    # The queue's thread must have sent the last slot before the process ends.
    ready.close()
    ready.join_thread()
