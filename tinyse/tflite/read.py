"""Reads a `.tflite` file into plain data, with nothing taken on trust.

Neither TFLM nor LiteRT verifies a file: a few wrong bytes end in a segmentation fault.  So every
file goes through here (structure, sizes, indices) and through `check` (meaning) before either
sees it.  Only `struct` and NumPy are needed: no schema package, no TensorFlow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.files import read_bytes
from tinyse.tflite.flat import DamageError, FlatReader
from tinyse.tflite.layout import CUSTOM, OPERATORS, TYPES

IDENTIFIER = b"TFL3"
REMEDY = "export the file again"
LARGEST_TENSOR = 1 << 26  # elements; nothing that fits a microcontroller comes near

ITEM_BYTES = {"float32": 4, "int32": 4, "int64": 8, "int16": 2, "int8": 1, "uint8": 1, "bool": 1}


@dataclass(frozen=True)
class Tensor:
    """One tensor; `data` is None where the file holds no bytes for it."""

    name: str
    shape: tuple[int, ...]
    type: str
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int
    data: NDArray | None
    is_variable: bool


@dataclass(frozen=True)
class Operator:
    """One operator: builtin number, its name, version, tensors by number (-1 absent), options."""

    code: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options_type: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """The one subgraph of a file, and what stands beside it."""

    path: Path | None
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: dict[str, bytes]
    bytes: int
    subgraphs: int = 1


def read_model(path: Path | str) -> Model:
    """The model in the file `path`; InputError with the path on any damage."""
    path = Path(path)
    return parse_model(read_bytes(path), path)


def parse_model(data: bytes, path: Path | None = None) -> Model:
    """The model in `data`; InputError, naming `path`, on any damage."""
    try:
        if data[4:8] != IDENTIFIER:
            raise DamageError("has no TFL3 identifier")
        return _model(FlatReader(data).root("Model"), len(data), path)
    except DamageError as damage:
        where = path or "model"
        raise InputError(f"not a usable .tflite: {damage}", where, REMEDY) from damage


def _model(root: dict[str, Any], size: int, path: Path | None) -> Model:
    if root.get("version") != 3:
        raise DamageError(f"schema version {root.get('version', 0)}, expected 3")
    subgraphs = root.get("subgraphs", [])
    if not subgraphs:
        raise DamageError("holds no subgraph")
    buffers = [_buffer(buffer) for buffer in root.get("buffers", [])]
    main = subgraphs[0]
    tensors = tuple(_tensor(tensor, buffers) for tensor in main.get("tensors", []))
    codes = [_code(code) for code in root.get("operator_codes", [])]
    inputs, outputs = (_indices(main, key, tensors) for key in ("inputs", "outputs"))
    if -1 in inputs + outputs:
        raise DamageError("an input or output of the graph is absent")
    operators = tuple(_operator(value, codes, tensors) for value in main.get("operators", []))
    _check_signatures(root, len(subgraphs), len(tensors))
    metadata = _metadata(root, buffers, size)
    return Model(path, tensors, operators, inputs, outputs, metadata, size, len(subgraphs))


def _buffer(fields: dict[str, Any]) -> NDArray[np.uint8]:
    # 0 and 1 both stand for "inside the file"; others are for files beyond 2 GB.
    if fields.get("offset", 0) > 1 or fields.get("size", 0) > 1:
        raise DamageError("a buffer lies outside the flatbuffer")
    return fields.get("data", np.empty(0, np.uint8))


def _tensor(fields: dict[str, Any], buffers: list[NDArray[np.uint8]]) -> Tensor:
    name = fields.get("name", "")
    shape = tuple(int(size) for size in fields.get("shape", ()))
    if min(shape, default=0) < 0 or math.prod(shape) > LARGEST_TENSOR:
        raise DamageError(f"tensor {name!r} has shape {shape}")
    number = fields.get("type", 0)
    if number not in TYPES:
        raise DamageError(f"tensor {name!r} has the unknown type {number}")
    if fields.get("external_buffer", 0):
        raise DamageError(f"tensor {name!r} lies in another file")
    index = fields.get("buffer", 0)
    if index >= len(buffers):
        raise DamageError(f"tensor {name!r} has buffer {index} of {len(buffers)}")
    scales, zero_points, axis = _quantisation(fields.get("quantization", {}), name, shape)
    data = _constant(buffers[index], TYPES[number], shape, name)
    variable = bool(fields.get("is_variable", False))
    return Tensor(name, shape, TYPES[number], scales, zero_points, axis, data, variable)


def _quantisation(
    fields: dict[str, Any], name: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    scales = fields.get("scale", np.empty(0, np.float32))
    zero_points = fields.get("zero_point", np.empty(0, np.int64))
    axis = fields.get("dimension", 0)
    if fields.get("details_type", 0):
        raise DamageError(f"tensor {name!r} has a custom quantisation")
    if len(scales) != len(zero_points):
        raise DamageError(f"tensor {name!r}: {len(scales)} scales, {len(zero_points)} zero points")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise DamageError(f"tensor {name!r}: {len(scales)} scales for axis {axis} of {shape}")
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise DamageError(f"tensor {name!r} has a scale that is not a positive number")
    return scales, zero_points, axis


def _constant(
    buffer: NDArray[np.uint8], kind: str, shape: tuple[int, ...], name: str
) -> NDArray | None:
    if not len(buffer):
        return None
    if kind not in ITEM_BYTES:
        raise DamageError(f"tensor {name!r} is a constant of type {kind}")
    expected = math.prod(shape) * ITEM_BYTES[kind]
    if len(buffer) != expected:
        raise DamageError(f"tensor {name!r} has {len(buffer)} bytes, its shape needs {expected}")
    return buffer.view(np.dtype(kind).newbyteorder("<")).reshape(shape)


def _code(fields: dict[str, Any]) -> tuple[int, str, int]:
    """(number, name, version); files before 2020 hold the number in the other field only."""
    number = max(fields.get("code", 0), fields.get("deprecated_code", 0))
    custom = fields.get("custom_code", "")
    name = f"CUSTOM {custom}" if number == CUSTOM else OPERATORS.get(number, f"builtin {number}")
    return number, name, fields.get("version", 1)


def _operator(fields: dict[str, Any], codes: list, tensors: tuple[Tensor, ...]) -> Operator:
    index = fields.get("opcode", 0)
    if index >= len(codes):
        raise DamageError(f"an operator has code {index} of {len(codes)}")
    code, name, version = codes[index]
    keys = ("inputs", "outputs", "intermediates")
    inputs, outputs, intermediates = (_indices(fields, key, tensors) for key in keys)
    options = fields.get("options") or {}
    options_type = fields.get("options_type", 0)
    return Operator(code, name, version, inputs, outputs, intermediates, options_type, options)


def _indices(fields: dict[str, Any], key: str, tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    values = fields.get(key, np.empty(0, np.int32))
    if len(values) and not (values.min() >= -1 and values.max() < len(tensors)):
        raise DamageError(f"{key} names a tensor outside the {len(tensors)} of the graph")
    return tuple(values.tolist())


def _check_signatures(root: dict[str, Any], subgraphs: int, tensors: int) -> None:
    for signature in root.get("signatures", []):
        maps = [*signature.get("inputs", []), *signature.get("outputs", [])]
        if signature.get("subgraph", 0) >= subgraphs:
            raise DamageError("a signature names a subgraph that is not there")
        if subgraphs == 1 and any(entry.get("tensor", 0) >= tensors for entry in maps):
            raise DamageError("a signature names a tensor that is not there")


def _metadata(
    root: dict[str, Any], buffers: list[NDArray[np.uint8]], size: int
) -> dict[str, bytes]:
    found = {}
    for entry in root.get("metadata", []):
        index = entry.get("buffer", 0)
        if index >= len(buffers):
            raise DamageError(f"metadata {entry.get('name')!r} has buffer {index}")
        size -= len(buffers[index])
        if size < 0:
            raise DamageError("metadata reads the same bytes again and again")
        found[entry.get("name", "")] = buffers[index].tobytes()
    return found
