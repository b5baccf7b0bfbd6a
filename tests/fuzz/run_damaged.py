"""A child process that damages a valid file and runs whatever still passes the checks.

    python -m tests.fuzz.run_damaged FIRST_SEED COUNT PROFILE

Prints each seed before it is tried, so that the last line of a crash names it, and at the end how
many files were refused and how many ran.
"""

from __future__ import annotations

import contextlib
import sys
from importlib.util import find_spec

import numpy as np

from tests.network_maker import frames
from tests.tflite.edited import valid_file, valid_step_file
from tinyse.errors import InputError
from tinyse.runtimes.litert import LiteRT
from tinyse.runtimes.oracle import Oracle
from tinyse.runtimes.tflm import TFLM
from tinyse.tflite.check import check_bytes


def whole(profile: str) -> bytes:
    """A valid file of that profile."""
    return valid_file() if profile == "fused" else valid_step_file(profile)


def damaged(seed: int, profile: str = "fused") -> bytes:
    """The valid file with one to five changed bytes, one bit at a time or whole."""
    generator = np.random.default_rng(seed)
    data = bytearray(whole(profile))
    for position in generator.integers(0, len(data), generator.integers(1, 6)):
        many = generator.integers(0, 2)
        data[position] ^= generator.integers(1, 256) if many else 1 << generator.integers(0, 8)
    return bytes(data)


def runs(data: bytes) -> bool:
    """Whether the file passes; then TFLM must give the oracle's bytes."""
    try:
        file = check_bytes(data)
        runtime = TFLM(file)
    except InputError:
        return False
    x = frames(5, 0, file.network.layers[0].width, file.network.input)
    assert np.array_equal(runtime.run(x), Oracle(file.network).run(x))
    if find_spec("ai_edge_litert"):
        with contextlib.suppress(InputError):  # LiteRT demands more than TFLM, but must not crash
            LiteRT(file).run(x)
    return True


def main(first: int, count: int, profile: str) -> None:
    passed = 0
    for seed in range(first, first + count):
        print(seed, flush=True)
        passed += runs(damaged(seed, profile))
    print(f"{passed} of {count} damaged files pass and give the oracle's bytes")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
