"""The C library with a packed model, copied into a user's tree: `make` builds it there."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tinyse.errors import InputError
from tinyse.files import packaged, read_bytes, write_together
from tinyse.pack.files import SOURCES, native_files
from tinyse.tflite.check import load

COPIED = ("include", "src", "targets/host", "targets/cortex_m", "examples", "test", "fuzz")
MODEL_FOLDER = "model"
FRAMES = "frames.bin"  # int8, a frame after the other


def copy_firmware(folder: Path, model: Path, target: str, force: bool = False) -> list[Path]:
    """Writes the library, its Makefile and the packed `model` (.tflite); returns the paths.

    Raises InputError, and writes nothing, for a model that the C kernels cannot run or a file that
    exists.
    """
    source = packaged("firmware_harness")
    paths = [path for part in COPIED for path in sorted((source / part).rglob("*"))]
    files = {
        folder / path.relative_to(source): read_bytes(path)
        for path in [source / "Makefile", *paths]
        if path.is_file()
    }
    network = load(model).network
    packed = native_files(network, target)
    for name in (*SOURCES, "model.tsb"):
        files[folder / MODEL_FOLDER / name] = packed[name]
    files[folder / FRAMES] = _frames(Path(model), network.layers[0].width)
    existing = [path for path in files if path.exists()]
    if existing and not force:
        raise InputError("already exists", existing[0], "give --force to replace it")
    write_together(files)
    return list(files)


def _frames(model: Path, width: int) -> bytes:
    """What the example hears: the golden frames of a published model, else 50 of zeros."""
    golden = model.parent / "golden.npz"
    if not golden.exists():
        return bytes(50 * width)
    data = io.BytesIO(read_bytes(golden))  # NumPy leaves a path it cannot use open
    try:
        with np.load(data) as arrays:
            return arrays["features_q"].tobytes()
    # Of a file that is no npz at all NumPy gives an array, or an object without `with`.
    except (ValueError, EOFError, AttributeError, TypeError, KeyError, BadZipFile) as error:
        remedy = "publish the model again"
        raise InputError(f"is no golden.npz ({error})", golden, remedy) from error
