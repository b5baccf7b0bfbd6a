"""One comparison for every pair: the oracle and TFLM on a file and frames, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.runtimes.interface import trace
from tinyse.runtimes.oracle import Oracle
from tinyse.runtimes.tflm import TFLM
from tinyse.tflite.check import load


@dataclass(frozen=True)
class Comparison:
    """Values compared and values that differ, by name: mask, h_<layer>, c_<layer>."""

    compared: dict[str, int]
    differing: dict[str, int]

    def __str__(self) -> str:
        masks, states = self.compared["mask"], sum(self.compared.values()) - self.compared["mask"]
        wrong = sum(self.differing.values())
        return f"{masks:,} output bytes and {states:,} h and c values compared, {wrong:,} differ"

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differing.values())


def compare_with_tflm(path: Path, frames: NDArray[np.int8]) -> Comparison:
    """Masks and every state after every frame int8 [T, n] of the file `path`."""
    file = load(path)
    expected = trace(Oracle(file.network), frames)
    found = trace(TFLM(file, keep_states=True), frames)
    assert expected.keys() == found.keys()
    assert all(expected[key].dtype == found[key].dtype for key in expected)
    differing = {key: int(np.count_nonzero(expected[key] != found[key])) for key in expected}
    return Comparison({key: value.size for key, value in expected.items()}, differing)
