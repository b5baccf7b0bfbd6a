"""Valid files, and files with one thing changed through the schema's object API."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import flatbuffers

from tests.network_maker import integer_network, small_network
from tinyse.tflite.schema import schema_module
from tinyse.tflite.write import serialise


@cache
def valid_file() -> bytes:
    """A small file that passes every check."""
    return serialise(small_network())


@cache
def valid_step_file(profile: str = "step16x8") -> bytes:
    """A small file with states as inputs and outputs, of an LSTM with a clip and a GRU."""
    network = integer_network((9,), (5,), 11, 6, 0, profile, (7,))
    if profile == "step16x8":
        first = network.layers[0]
        first = dataclasses.replace(first, cell_clip=300 * first.cell_scale)
        network = dataclasses.replace(network, layers=(first, *network.layers[1:]))
    return serialise(network, profile)


class Sharing(flatbuffers.Builder):
    """Writes strings and arrays that are alike once, and points at them."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[Any, int] = {}

    def CreateString(self, text: Any, *how: Any) -> int:
        """The offset of a string."""
        if text not in self._written:
            self._written[text] = super().CreateString(text, *how)
        return self._written[text]

    def CreateNumpyVector(self, array: Any) -> int:
        """The offset of a vector."""
        key = array.dtype, array.tobytes()
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(array)
        return self._written[key]


def edited(
    change: Callable[[Any], None],
    data: bytes | None = None,
    writer: type[flatbuffers.Builder] = flatbuffers.Builder,
) -> bytes:
    """The small file, or the file `data`, after `change` of its ModelT."""
    schema = schema_module()
    model = schema.ModelT.InitFromPackedBuf(valid_file() if data is None else data, 0)
    change(model)
    builder = writer(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(model: Any, name: str) -> Any:
    """The tensor of that name."""
    return next(t for t in model.subgraphs[0].tensors if t.name == name.encode())


def operator(model: Any, index: int) -> Any:
    """The operator at that place."""
    return model.subgraphs[0].operators[index]
