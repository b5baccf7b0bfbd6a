"""Runtime `tflm`: TensorFlow Lite Micro's reference kernels, from the `tflite-micro` package.

The Python interpreter does not verify a file, so only a checked one reaches it.  Its arena
figure is printed to file descriptor 2 and nowhere else; `_arena_bytes` reads it there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError, MissingExtra
from tinyse.runtimes.interface import FrameByFrame, RuntimeInfo
from tinyse.tflite.check import CheckedFile, load
from tinyse.tflite.layout import LSTM

HIDDEN, CELL = 18, 19  # inputs of the LSTM operator


class TFLM(FrameByFrame):
    """The runtime; with `keep_states` every tensor stays readable, at the cost of arena."""

    name = "tflm"

    def __init__(self, file: CheckedFile, keep_states: bool = False) -> None:
        package = _package()
        config = package.InterpreterConfig
        mode = config.kPreserveAllTensors if keep_states else config.kAllocationRecording
        network = file.network
        try:
            self._interpreter = package.Interpreter.from_bytes(file.data, intrepreter_config=mode)
        except RuntimeError as error:
            raise InputError(f"TFLM refuses it ({error})", file.path or "model") from error
        super().__init__(file)
        self._states = _state_tensors(file) if keep_states else {}
        arena = None if keep_states else _arena_bytes(self._interpreter)
        release = f"tflite-micro {version('tflite-micro')}"
        self.info = RuntimeInfo(network.input, network.output, arena, release, True)

    @classmethod
    def open(cls, path: Path | str, keep_states: bool = False) -> TFLM:
        """The interpreter of a `.tflite` file."""
        return cls(load(path), keep_states)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self._interpreter.reset()
        self._forget()

    def _invoke(self, inputs: list[NDArray]) -> list[NDArray]:
        # The arena of an input is used for other things later on: all are set in every call.
        for number, value in enumerate(inputs):
            self._interpreter.set_input(value, number)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(n)) for n in range(len(inputs))]

    def states(self) -> dict[str, NDArray]:
        """`h_<layer>` and `c_<layer>` [units] after the last frame, in the types of the file."""
        if self._keys:
            return self._carried_states()
        if not self._states:
            raise InputError("states were not kept", "tflm", "open it with keep_states=True")
        read = self._interpreter.GetTensor
        return {
            key: np.array(read(index, 0)["tensor_data"]).reshape(-1)
            for key, index in self._states.items()
        }


def _package() -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ModuleNotFoundError as error:
        raise MissingExtra("tflite-micro", "tflm") from error
    return runtime


def _state_tensors(file: CheckedFile) -> dict[str, int]:
    operators = [operator for operator in file.model.operators if operator.code == LSTM]
    found: dict[str, int] = {}
    if not operators:  # a file of the form "step" puts them out
        return found
    for layer, operator in zip(file.network.lstms, operators, strict=True):
        found[f"h_{layer.name}"] = operator.inputs[HIDDEN]
        found[f"c_{layer.name}"] = operator.inputs[CELL]
    return found


def _arena_bytes(interpreter: Any) -> int:
    """What the recording allocator handed out, head and tail."""
    if sys.stderr is not None:
        sys.stderr.flush()
    saved = _descriptor_2()
    with tempfile.TemporaryFile() as printed:
        try:
            os.dup2(printed.fileno(), 2)
            interpreter.print_allocations()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    found = re.search(r"Arena allocation total (\d+) bytes", text)
    if found is None:
        raise RuntimeError(f"tflite-micro prints no arena total: {text[:200]!r}")
    return int(found[1])


def _descriptor_2() -> int:
    """A copy of descriptor 2, which is the null device from now on where it was closed."""
    with contextlib.suppress(OSError):
        return os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)  # any descriptor that is free, 2 itself too
    os.dup2(null, 2)
    if null != 2:
        os.close(null)
    return os.dup(2)
