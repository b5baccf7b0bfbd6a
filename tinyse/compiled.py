"""What is compiled on first use, kept in the cache folder under the hash of what went in."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyse.errors import MachineFault, TinySEError
from tinyse.files import cache_folder


class DoesNotCompile(TinySEError):
    """A compiler refuses our sources, or a linker what they are to hold (exit 1)."""


class MissingTool(TinySEError):
    """A program that is no Python package is not installed (exit 3)."""

    exit_code = 3

    def __init__(self, tool: str, package: str) -> None:
        self.tool, self.package = tool, package
        super().__init__(f"{tool} is not installed", remedy=f"install it with: {package}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.tool, self.package)


class NoCache(MachineFault, MissingTool):
    """The system keeps or loads nothing compiled where the cache lies (exit 3)."""

    def __init__(self, place: object, reason: str) -> None:
        self.place, self.reason = place, reason
        remedy = "set XDG_CACHE_HOME to a folder that can be written and may hold programs"
        TinySEError.__init__(self, f"cannot be used for what is compiled ({reason})", place, remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.place, self.reason)


def build(command: Sequence[str], sources: Sequence[Path], suffix: str, headers: Path) -> Path:
    """The output of `command SOURCES -o OUTPUT`, made once for the same sources and headers.

    headers : folder whose headers the sources may include

    Raises DoesNotCompile, and NoCache where the cache folder cannot be written.
    """
    digest = hashlib.sha256("\0".join((*command, *_compiler(command[0]))).encode())
    included = (path for kind in ("h", "inc", "ld") for path in headers.rglob(f"*.{kind}"))
    for path in sorted({*sources, *included}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = cache_folder() / "compiled" / f"{digest.hexdigest()[:24]}{suffix}"
    with _in_cache():
        if not target.exists():
            _make(command, sources, target)
    return target


def load_library(path: Path) -> ctypes.CDLL:
    """The shared library that `build` made; NoCache where the system does not load it."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoCache(path, f"{error}; a damaged file may be removed") from error


def _make(command: Sequence[str], sources: Sequence[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        made = Path(place) / target.name
        arguments = [*command, *map(str, sources), "-o", str(made)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "")
            remedy = f"for all it says: {shlex.join(arguments)}"
            raise DoesNotCompile(f"does not compile: {said.strip()}", command[0], remedy)
        os.replace(made, target)


@contextlib.contextmanager
def _in_cache() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # a folder that cannot be written, or lies where nothing may run
        raise NoCache(cache_folder(), error.strerror or str(error)) from error


def _compiler(program: str) -> tuple[str, ...]:
    """What tells one compiler, and the machine that it compiles for, from another."""
    found = shutil.which(program)
    facts = Path(found).stat() if found else None
    return platform.machine(), *(map(str, (facts.st_size, facts.st_mtime_ns)) if facts else ())


def find_tool(names: Sequence[str], package: str) -> str:
    """The first of these programs that is there; MissingTool names them, and how to get one."""
    for name in names:
        if name and shutil.which(name):
            return name
    raise MissingTool(" or ".join(filter(None, names)), package)
