"""Time, instructions and memory of exported files on every runtime that is there.

timing    milliseconds a frame of runtimes on this machine, in turns
firmware  instructions, flash, arena and stack of the C runtime on emulated Cortex-M
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinyse import __version__
from tinyse.bench.firmware import (
    BOARDS,
    firmware_figures,
    front_end_figures,
    gated_figures,
    network_figures,
)
from tinyse.bench.timing import FRAME_MS, checksum, random_frames, timed
from tinyse.compiled import MissingTool
from tinyse.errors import InputError, MachineFault, MissingExtra, TinySEError
from tinyse.files import packaged
from tinyse.quant import quantise_for, read_weights
from tinyse.runtimes import Runtime, open_runtime
from tinyse.tflite.check import check_bytes, load
from tinyse.tflite.weights import weights_beside
from tinyse.tflite.write import serialise

__all__ = [
    "FRAME_MS",
    "RUNTIMES",
    "bench",
    "checksum",
    "firmware_figures",
    "front_end_figures",
    "gated_figures",
    "machine",
    "network_figures",
    "open_here",
    "published_models",
    "random_frames",
    "timed",
]

SCHEMA = 1
STEP = "litert_step8"  # LiteRT on the same weights as a step graph, which XNNPACK takes
HOST = ("tflm", "litert", STEP, "oracle", "native", "native_reference")
RUNTIMES = (*HOST, *BOARDS)


def published_models() -> list[Path]:
    """The exported file of every published model."""
    return sorted(packaged("models").glob("*/model.tflite"))


def bench(
    files: Sequence[Path],
    runtimes: Sequence[str] = RUNTIMES,
    notice: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure `files` on `runtimes`; the document of `bench --json` and bench.json.

    notice : is told what is measured next (a bar that moves would be measured with it)

    A runtime that is not installed, or cannot run a file, is left out and named under `missing`;
    where nothing is left that raises.
    """
    for name in runtimes:
        if name not in RUNTIMES:
            raise InputError(f"unknown runtime {name!r}", "bench", f"use {', '.join(RUNTIMES)}")
    missing: dict[str, str] = {}
    models = []
    for path in files:
        # A damaged file is refused here, though the step graph needs only the weights beside.
        width = load(path).network.layers[0].width
        errors: dict[str, TinySEError] = {}
        opened = _open(path, runtimes, errors)
        firmware = _firmware(path, runtimes, errors, notice)
        if errors and not opened and not firmware:
            raise next(iter(errors.values()))
        for name, error in errors.items():
            _note(missing, name, path, error)
        if opened:
            notice(f"{_name(path)}: timing {', '.join(runtime.name for runtime in opened)}")
        rows = timed(opened, width) if opened else []
        models.append(
            {"model": _name(path), "file": path.name, "runtimes": rows, "firmware": firmware}
        )
    return {
        "schema": SCHEMA,
        "machine": machine(),
        "versions": {"tinyse": __version__, "python": platform.python_version()},
        "missing": missing,
        "models": models,
    }


def _name(path: Path) -> str:
    return path.stem if path.name != "model.tflite" else path.resolve().parent.name


def open_here(name: str, path: Path) -> Runtime:
    """A runtime of this machine; for the step graph, on a file made from the weights beside."""
    if name != STEP:
        return open_runtime(name, path)
    from tinyse.runtimes.litert import LiteRT

    weights = weights_beside(path)
    if weights is None:
        what = f"has no weights.npz of its own beside it, which {STEP} is made from"
        raise InputError(what, path, "run tinyse export where the weights are")
    network = quantise_for(read_weights(weights), _name(path), "step8")
    runtime = LiteRT(check_bytes(serialise(network, "step8")))
    runtime.name = STEP
    return runtime


def _open(path: Path, runtimes: Sequence[str], errors: dict[str, TinySEError]) -> list[Runtime]:
    opened = []
    for name in runtimes:
        if name in BOARDS:
            continue
        try:
            opened.append(open_here(name, path))
        except (MissingExtra, MissingTool, InputError) as error:
            errors[name] = error
    return opened


def _firmware(
    path: Path,
    runtimes: Sequence[str],
    errors: dict[str, TinySEError],
    notice: Callable[[str], None],
) -> list[dict[str, Any]]:
    rows = []
    for name in runtimes:
        if name not in BOARDS:
            continue
        notice(f"{_name(path)}: counting on {name}")
        try:
            found = firmware_figures(path, (name,))[name]
            front_end = front_end_figures(load(path).network, name, found)
            rows.append(found | {"front_end": front_end})
        except (MissingTool, InputError, MachineFault) as error:
            errors[name] = error
    return rows


def _note(missing: dict[str, str], name: str, path: Path, error: TinySEError) -> None:
    """Add what a runtime says of one file to what it said of those before."""
    # What is not installed is the same for every file.
    said = f"{_name(path)}: {error}" if isinstance(error, InputError) else str(error)
    before = missing.get(name)
    missing[name] = said if before in (None, said) else f"{before}; {said}"


def machine() -> dict[str, Any]:
    """What times stand on: processor, cores, system."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
