"""The C library of `firmware_harness`: where its sources lie, and building with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinyse import compiled
from tinyse.files import packaged


def harness() -> Path:
    """The folder of the C sources."""
    return packaged("firmware_harness")


def library_sources() -> list[Path]:
    """The C and assembly files of the library itself."""
    source = harness() / "src"
    return sorted([*source.glob("*.c"), *source.glob("kernels/*.c"), *source.glob("kernels/*.S")])


def build(command: Sequence[str], sources: Sequence[Path], suffix: str) -> Path:
    """The output of `command SOURCES -o OUTPUT` (`compiled.build`) with the library's headers."""
    return compiled.build(command, sources, suffix, harness())
