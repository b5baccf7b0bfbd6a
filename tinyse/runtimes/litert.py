"""Runtime `litert`: LiteRT's interpreter, from the `ai-edge-litert` package.

Its fused LSTM uses other sigmoid and tanh approximations and another rounding than TFLM's, so it
is not exact.  Its state carries the difference on: single outputs of a sparse network may be tens
of steps away, and tests bound what that costs in SDR.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tinyse.errors import InputError, MissingExtra
from tinyse.runtimes.interface import FrameByFrame, RuntimeInfo
from tinyse.tflite.check import CheckedFile, load


class LiteRT(FrameByFrame):
    """The runtime, on one thread."""

    name = "litert"

    def __init__(self, file: CheckedFile) -> None:
        made = _interpreter_class()
        try:
            with _without_its_log():
                self._interpreter = made(model_content=file.data, num_threads=1)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"LiteRT refuses it ({error})", file.path or "model") from error
        self._inputs = [found["index"] for found in self._interpreter.get_input_details()]
        self._outputs = [found["index"] for found in self._interpreter.get_output_details()]
        super().__init__(file)
        network = file.network
        release = f"ai-edge-litert {version('ai-edge-litert')}"
        self.info = RuntimeInfo(network.input, network.output, None, release, False)

    @classmethod
    def open(cls, path: Path | str) -> LiteRT:
        """The interpreter of a `.tflite` file."""
        return cls(load(path))

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self._interpreter.reset_all_variables()
        self._forget()

    def invoke(self) -> None:
        """The graph once, on the tensors as they are: what a caller in C would wait for."""
        self._interpreter.invoke()

    def _invoke(self, inputs: list[NDArray]) -> list[NDArray]:
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextlib.contextmanager
def _without_its_log() -> Iterator[None]:
    """LiteRT greets on stderr, whatever is asked, where we say one line or none."""
    try:
        kept = os.dup(2)
    except OSError:  # nobody listens
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingExtra("ai-edge-litert", "litert") from error
    return Interpreter
