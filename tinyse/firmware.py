"""The C library with a packed model, copied into a user's tree: `make` builds it there."""

from __future__ import annotations

from pathlib import Path

from tinyse import __version__
from tinyse.errors import InputError
from tinyse.files import clear, packaged, read_bytes, read_npz, write_together
from tinyse.pack.files import BLOB, CODED, SOURCES, native_files
from tinyse.tflite.check import load

COPIED = ("include", "src", "targets/host", "targets/cortex_m", "examples", "test", "fuzz")
MODEL_FOLDER = "model"
LICENCE, VERSION = "LICENSE", "VERSION.txt"
FRAMES = "frames.bin"  # int8, a frame after the other


def copy_firmware(folder: Path, model: Path, target: str, force: bool = False) -> list[Path]:
    """Writes the library, its licence and Makefile and the packed `model` (.tflite).

    Returns the paths.

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
    for name in (*SOURCES, BLOB, CODED):
        if name in packed:
            files[folder / MODEL_FOLDER / name] = packed[name]
    files[folder / LICENCE] = read_bytes(packaged(LICENCE))
    files[folder / VERSION] = f"tinyse {__version__}\n".encode()
    files[folder / FRAMES] = _frames(Path(model), network.layers[0].width)
    existing = [path for path in files if path.exists()]
    if existing and not force:
        raise InputError("already exists", existing[0], "give --force to replace it")
    write_together(files)
    if force and CODED not in packed:
        clear(folder / MODEL_FOLDER, CODED)  # of a copy before, which would be of another model
    return list(files)


def _frames(model: Path, width: int) -> bytes:
    """What the example hears: the golden frames of a published model, else 50 of zeros."""
    golden = model.parent / "golden.npz"
    if not golden.exists():
        return bytes(50 * width)
    fault, remedy = "is no golden.npz", "publish the model again"
    arrays = read_npz(golden, fault, remedy, ("features_q",))
    if "features_q" not in arrays:
        raise InputError(f"{fault} (features_q is missing)", golden, remedy)
    return arrays["features_q"].tobytes()
