"""Time per frame on runtimes of this machine.

A figure is the median over blocks of frames, and the runtimes of a model take turns block by
block: on a busy machine a ratio within one run means something, a bare time does not.

    ms_per_frame    one frame per call, as a device gets them
    real_time       ms_per_frame over the 16 ms a frame lasts
    against_first   ms_per_frame over that of the first runtime in the table

Like is compared with like: what a program in C would wait for.  The native library takes a block of
frames in one call and steps through them in C.  LiteRT's graphs are invoked on tensors that are in
place, without the copies of input, output and states, which in Python cost as much as the graph.
TFLM's interpreter and the oracle are called frame by frame, copies included: a microsecond or two.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.features import BANDS, HOP, RATE
from tinyse.quant import Quantisation
from tinyse.runtimes import Runtime
from tinyse.runtimes.litert import LiteRT
from tinyse.runtimes.native import Native

_BLOCKS, _FRAMES, _WARM_UP = 15, 40, 5
FRAME_MS = 1000 * HOP / RATE


def timed(runtimes: Sequence[Runtime], width: int = BANDS) -> list[dict[str, Any]]:
    """One row a runtime, measured in turns; all of them run the same frames of `width` features."""
    blocks: dict[str, list[float]] = {runtime.name: [] for runtime in runtimes}
    for number in range(_BLOCKS + 1):
        for runtime in runtimes:
            spent = _block(runtime, number, width)
            if number:  # the first block warms caches and is not counted
                blocks[runtime.name].append(spent)
    medians = {name: float(np.median(spent)) for name, spent in blocks.items()}
    first = medians[runtimes[0].name]
    return [
        {
            "runtime": runtime.name,
            "version": runtime.info.version,
            "exact": runtime.info.exact,
            "ms_per_frame": round(medians[runtime.name], 5),
            "ms_per_frame_min": round(min(blocks[runtime.name]), 5),
            "ms_per_frame_max": round(max(blocks[runtime.name]), 5),
            "real_time": round(medians[runtime.name] / FRAME_MS, 5),
            "against_first": round(medians[runtime.name] / first, 5),
            "arena_bytes": runtime.info.arena_bytes,
            "crc32": checksum(runtime, width),
        }
        | ({"ms_by_layer": by_layer(runtime)} if isinstance(runtime, Native) else {})
        for runtime in runtimes
    ]


def by_layer(runtime: Native) -> dict[str, float]:
    """Milliseconds a frame of every layer: of the network cut behind it, less that cut before it.

    Medians of blocks in turns, as above; a layer that costs less than they scatter comes out as 0.
    """
    network = runtime.network
    cuts = [
        type(runtime)(replace(network, layers=network.layers[:count]))
        for count in range(1, len(network.layers) + 1)
    ]
    width = network.layers[0].width
    spent = [[_block(cut, number, width) for cut in cuts] for number in range(_BLOCKS)]
    up_to = np.maximum.accumulate(np.median(spent, axis=0))
    names = [layer.name for layer in network.layers]
    return dict(zip(names, np.diff(up_to, prepend=0.0).round(5).tolist(), strict=True))


def _block(runtime: Runtime, number: int, width: int) -> float:
    """Milliseconds a frame over one block of frames that no block before had."""
    assert runtime.info.input is not None  # of an integer runtime
    frames = random_frames(_FRAMES, number, runtime.info.input, width)
    for frame in frames[:_WARM_UP]:
        runtime.step(frame)
    begin = time.perf_counter()
    if isinstance(runtime, Native):
        runtime.run(frames)
    elif isinstance(runtime, LiteRT):
        for _ in frames:
            runtime.invoke()
    else:
        for frame in frames:
            runtime.step(frame)
    return 1000 * (time.perf_counter() - begin) / _FRAMES


def random_frames(count: int, seed: int, of: Quantisation, width: int = BANDS) -> NDArray:
    """Feature frames [count, width] over the whole range of `of`, in its type.

    No kernel's time depends on them.
    """
    low, high = of.bounds
    steps = np.random.default_rng(seed).integers(low, high + 1, (count, width))
    return steps.astype(of.dtype)


def checksum(runtime: Runtime, width: int = BANDS) -> str:
    """CRC-32 of the masks of 40 fixed frames from a reset: equal where runtimes are."""
    assert runtime.info.input is not None
    runtime.reset()
    masks = runtime.run(random_frames(_FRAMES, 0, runtime.info.input, width))
    return f"{zlib.crc32(masks.tobytes()):08x}"
