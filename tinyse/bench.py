"""Time and memory of exported files on every runtime that is installed.

A figure is the median over blocks of frames, and the runtimes of a model take turns block by
block: on a busy machine a ratio within one run means something, a bare time does not.

    ms_per_frame    one frame per call, as a device gets them
    real_time       ms_per_frame over the 16 ms a frame lasts
    against_first   ms_per_frame over that of the first runtime in the table
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.errors import MissingExtra
from tinyse.features import HOP, RATE
from tinyse.files import packaged
from tinyse.runtimes import Runtime, open_runtime

SCHEMA = 1
INTEGER_RUNTIMES = ("tflm", "litert", "oracle")
_BLOCKS, _FRAMES, _WARM_UP = 15, 40, 5
FRAME_MS = 1000 * HOP / RATE


def published_models() -> list[Path]:
    """The exported file of every published model."""
    return sorted(packaged("models").glob("*/model.tflite"))


def bench(files: Sequence[Path], runtimes: Sequence[str] = INTEGER_RUNTIMES) -> dict[str, Any]:
    """Measure `files` on `runtimes`; the document of `bench --json` and bench.json.

    A runtime that is not installed is left out and named under `missing`; one that was asked for
    alone and is not installed raises MissingExtra.
    """
    missing: dict[str, str] = {}
    models = []
    for path in files:
        opened = _open(path, runtimes, missing)
        if not opened:
            raise MissingExtra("tflite-micro", "tflm")
        models.append({"model": _name(path), "file": path.name, "runtimes": _measure(opened)})
    return {
        "schema": SCHEMA,
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"tinyse": __version__, "python": platform.python_version()},
        "missing": missing,
        "models": models,
    }


def _name(path: Path) -> str:
    return path.stem if path.name != "model.tflite" else path.resolve().parent.name


def _open(path: Path, runtimes: Sequence[str], missing: dict[str, str]) -> list[Runtime]:
    opened = []
    for name in runtimes:
        try:
            opened.append(open_runtime(name, path))
        except MissingExtra as error:
            missing[name] = str(error)
    return opened


def _measure(runtimes: Sequence[Runtime]) -> list[dict[str, Any]]:
    blocks = {runtime.name: [] for runtime in runtimes}
    for number in range(_BLOCKS + 1):
        for runtime in runtimes:
            spent = _block(runtime, number)
            if number:  # the first block warms caches and is not counted
                blocks[runtime.name].append(spent)
    medians = {name: float(np.median(spent)) for name, spent in blocks.items()}
    first = medians[runtimes[0].name]
    return [
        {
            "runtime": runtime.name,
            "version": runtime.info.version,
            "exact": runtime.info.exact,
            "ms_per_frame": round(medians[runtime.name], 4),
            "ms_per_frame_min": round(min(blocks[runtime.name]), 4),
            "ms_per_frame_max": round(max(blocks[runtime.name]), 4),
            "real_time": round(medians[runtime.name] / FRAME_MS, 4),
            "against_first": round(medians[runtime.name] / first, 3),
            "arena_bytes": runtime.info.arena_bytes,
        }
        for runtime in runtimes
    ]


def _block(runtime: Runtime, number: int) -> float:
    """Milliseconds a frame over one block of frames that no block before had."""
    frames = random_frames(_FRAMES, number)
    for frame in frames[:_WARM_UP]:
        runtime.step(frame)
    begin = time.perf_counter()
    for frame in frames:
        runtime.step(frame)
    return 1000 * (time.perf_counter() - begin) / _FRAMES


def random_frames(count: int, seed: int) -> NDArray[np.int8]:
    """Feature frames int8 [count, 128] over the whole range; no kernel's time depends on them."""
    return np.random.default_rng(seed).integers(-128, 128, (count, 128)).astype(np.int8)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
