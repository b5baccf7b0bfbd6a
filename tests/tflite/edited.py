"""Valid files, and files with one thing changed through the schema's object API."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import flatbuffers

from tests.network_maker import small_network
from tinyse.tflite.schema import schema_module
from tinyse.tflite.write import serialise


@cache
def valid_file() -> bytes:
    """A small file that passes every check."""
    return serialise(small_network())


def edited(change: Callable[[Any], None]) -> bytes:
    """The small file after `change` of its ModelT."""
    schema = schema_module()
    model = schema.ModelT.InitFromPackedBuf(valid_file(), 0)
    change(model)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(model: Any, name: str) -> Any:
    """The tensor of that name."""
    return next(t for t in model.subgraphs[0].tensors if t.name == name.encode())


def operator(model: Any, index: int) -> Any:
    """The operator at that place."""
    return model.subgraphs[0].operators[index]
