"""Files that are never half-written, their hashes, and where the packaged data lies."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tinyse.errors import InputError, Unavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cache_folder() -> Path:
    """What can be made again: XDG_CACHE_HOME, else ~/.cache, and there `tinyse`.

    A path that is not absolute does not count, as the XDG specification has it.
    """
    told = os.environ.get("XDG_CACHE_HOME", "")
    return Path(told if os.path.isabs(told) else Path.home() / ".cache") / "tinyse"


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary binary file beside `path`; on success sync it and rename it to `path`.

    If the body raises, or the disk is full, the temporary file is removed and `path` is as it was.
    Raises Unavailable if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise Unavailable(
            f"cannot be written ({error.strerror or error})",
            path,
            "check the folder and the free space",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    with atomic_file(path) as file:
        file.write(data)


def write_together(contents: dict[Path, bytes]) -> None:
    """Write several files, none of which appears unless there is room for all."""
    for path in contents:
        if path.is_dir():
            raise InputError("is a folder where a file is to be", path, "remove or rename it")
    with contextlib.ExitStack() as stack:
        for path, data in contents.items():
            file = stack.enter_context(atomic_file(path))
            file.write(data)
            file.flush()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8 to `path` whole or not at all."""
    write_bytes(path, utf8(text, path))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, keys in their order, whole or not at all."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """The bytes that `write_json` writes."""
    return utf8(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "JSON")


def utf8(text: str, where: object) -> bytes:
    """The bytes of a text; InputError where it names a file whose name is no text."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError("would hold a name that is not UTF-8", where, "rename it") from error


def refuse_same(output: Path, *inputs: Path) -> None:
    """InputError where what would be written is what is read, which no --force may replace."""
    # Not `Path.resolve`, which raises for a link to itself.
    place = os.path.realpath(output)
    if any(place == os.path.realpath(each) for each in inputs):
        raise InputError("is input and output", output, "write to another place")


def clear(folder: Path, *names: str) -> None:
    """Remove these files and folders from a folder, where they are there."""
    for path in (folder / name for name in names):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_bytes(path: str | os.PathLike) -> bytes:
    """All of `path`; Unavailable if it is missing or cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(f"cannot be read ({reason})", path, "check the path") from error


def read_json(path: str | os.PathLike) -> Any:
    """The JSON value in `path`; InputError if it is missing or not JSON."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"is not JSON ({error})", path, "write it again with the command that made it"
        ) from error


def read_toml(path: str | os.PathLike, remedy: str = "see docs/formats.md") -> dict[str, Any]:
    """The TOML document in `path`; InputError with `remedy` if it is missing or not TOML."""
    data = read_bytes(path)
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))  # editors put a mark before it
        repr(document)  # hexadecimal numbers are read at any length, and nobody could name them
        return document
    # ValueError: no TOML, no text, or a number of 4301 digits; RecursionError: [[[[[[[[..
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not TOML ({error})", path, remedy) from error


def read_npz(
    path: str | os.PathLike, fault: str, remedy: str, names: Container[str] | None = None
) -> dict[str, NDArray]:
    """The arrays of an .npz in its order, all or those of `names`.

    Raises InputError with `fault`, as "is no checkpoint", and `remedy` for a file that is none.
    """
    # Here: every command starts with this module, and few read arrays.
    import io
    import struct
    import tokenize
    import zipfile
    import zlib

    import numpy as np

    # What zip, its decompressors and NumPy say of damaged files.
    damaged = (
        *(ValueError, TypeError, AttributeError, KeyError, EOFError, OSError, MemoryError),
        *(RuntimeError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
    )
    data = io.BytesIO(read_bytes(path))  # NumPy leaves a path it cannot use open
    try:
        # Of another kind of file NumPy gives an array, or an object without `with`.
        with np.load(data, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except damaged as error:
        # Of what is no archive NumPy says how to load it all the same, which is no advice.
        why = "" if "allow_pickle" in str(error) else f" ({error})"
        raise InputError(fault + why, path, remedy) from error


def sha256(path: str | os.PathLike) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", path, "check the path"
        ) from error
    return digest.hexdigest()


def packaged(*parts: str) -> Path:
    """Where packaged data (`models`) lies: in an installed wheel, else in the checkout."""
    here = Path(__file__).resolve().parent
    inside = here / "data" / Path(*parts)
    return inside if inside.exists() else here.parent / Path(*parts)


def find_published(name: str | os.PathLike) -> Path:
    """The folder of a published model, by its path or its name; InputError where there is none."""
    folder = Path(name) if Path(name).is_dir() else packaged("models", str(name))
    if not folder.is_dir():
        known = sorted(path.parent.name for path in packaged("models").glob("*/metrics.json"))
        what, remedy = "there is no such published model", f"use {', '.join(known) or 'none'}"
        raise InputError(what, name, remedy)
    if not (folder / "metrics.json").is_file():
        raise InputError("holds no metrics.json", folder, "give a published model")
    return folder
