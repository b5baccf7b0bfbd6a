"""What is compiled on first use, kept in the cache folder under the hash of what went in."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def cache_folder() -> Path:
    """XDG_CACHE_HOME, else ~/.cache, and there `tinyse`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyse"


def build(command: Sequence[str], sources: Sequence[Path], suffix: str, headers: Path) -> Path:
    """The output of `command SOURCES -o OUTPUT`, made once for the same sources and headers.

    headers : folder whose headers the sources may include
    """
    digest = hashlib.sha256("\0".join(command).encode())
    included = (path for kind in ("h", "inc", "ld") for path in headers.rglob(f"*.{kind}"))
    for path in sorted({*sources, *included}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = cache_folder() / "compiled" / f"{digest.hexdigest()[:24]}{suffix}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        made = Path(place) / target.name
        arguments = [*command, *map(str, sources), "-o", str(made)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}\n{done.stderr}")
        os.replace(made, target)
    return target
