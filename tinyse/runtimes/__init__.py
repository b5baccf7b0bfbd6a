"""One interface over everything that can run a network: `open_runtime(name, path)`."""

from __future__ import annotations

import importlib
from pathlib import Path

from tinyse.errors import InputError
from tinyse.runtimes.interface import Runtime, RuntimeInfo, StatefulRuntime, trace

# Name -> module and class; a module is imported only when its runtime is asked for.
RUNTIMES = {
    "oracle": ("oracle", "Oracle"),
    "tflm": ("tflm", "TFLM"),
    "litert": ("litert", "LiteRT"),
    "keras_model": ("keras_model", "KerasModel"),
    "native": ("native", "Native"),
    "native_reference": ("native", "NativeReference"),
    "cortex_m4": ("emulated", "CortexM4"),
    "cortex_m7": ("emulated", "CortexM7"),
    "cortex_m55": ("emulated", "CortexM55"),
}

__all__ = ["RUNTIMES", "Runtime", "RuntimeInfo", "StatefulRuntime", "open_runtime", "trace"]


def open_runtime(name: str, model_path: Path | str) -> Runtime:
    """The runtime `name` on a model.

    `model_path` is a `.tflite` for the integer runtimes, and a `weights.npz` or a folder that
    holds one for `keras_model`.  Raises InputError for a name that is not there or a file that
    does not pass the checks, MissingExtra where the runtime's package is not installed.
    """
    if name not in RUNTIMES:
        raise InputError(f"unknown runtime {name!r}", "runtime", f"use {', '.join(RUNTIMES)}")
    module, runtime = RUNTIMES[name]
    return getattr(importlib.import_module(f"tinyse.runtimes.{module}"), runtime).open(model_path)
