"""A bounds-checked reader of flatbuffers: every offset, length and alignment is checked.

Source: the binary format in the documentation of FlatBuffers ("Internals").  A table starts with
the distance back to its vtable; the vtable lists, after its own size and the table's, where each
field lies in the table, 0 for an absent one.  Strings and vectors carry their length in front.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.tflite.layout import OPTIONS, TABLES

# A file of ours holds some hundred; far more would only serve to make reading slow.
MOST_TABLES = 20_000
# Strings and vectors of all tables together, over the bytes of the file.  Written files share next
# to none; a table's offset costs four bytes, so a small file could ask for gigabytes.
MOST_SHARING = 4

NUMPY = {"b": "<i1", "B": "<u1", "?": "<u1", "i": "<i4", "I": "<u4", "f": "<f4", "q": "<i8"}


class DamageError(ValueError):
    """The bytes are not what the format allows; `read` turns it into an InputError."""


class FlatReader:
    """Reads tables of `layout` from bytes into dicts; absent fields are absent keys."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._tables_read = self._bytes_read = 0

    def root(self, name: str) -> dict[str, Any]:
        """The root table, whose layout is `name`."""
        return self._table(self._target(0), name)

    def _scalar(self, kind: str, position: int) -> Any:
        size = struct.calcsize("<" + kind)
        if position < 0 or position + size > len(self.data):
            raise DamageError(f"offset {position} lies outside the {len(self.data)} bytes")
        return struct.unpack_from("<" + kind, self.data, position)[0]

    def _target(self, position: int) -> int:
        return position + self._scalar("I", position)

    def _table(self, position: int, name: str) -> dict[str, Any]:
        self._tables_read += 1
        if self._tables_read > MOST_TABLES:
            raise DamageError(f"holds more than {MOST_TABLES} tables")
        fields: dict[str, Any] = {}
        for number, offset in self._slots(position, name):
            if number not in TABLES[name]:
                raise DamageError(f"{name} has the unknown field {number}")
            key, kind = TABLES[name][number]
            if kind is None:
                raise DamageError(f"{name}.{key} is not supported")
            fields[key] = self._field(position + offset, kind, fields)
        return fields

    def _slots(self, position: int, name: str) -> list[tuple[int, int]]:
        """(field number, offset in the table) of each field that is present."""
        if position % 4:
            raise DamageError(f"{name} at {position} is not aligned")
        vtable = position - self._scalar("i", position)
        vtable_size, table_size = self._scalar("H", vtable), self._scalar("H", vtable + 2)
        if vtable_size < 4 or vtable_size % 2 or vtable % 2 or table_size < 4:
            raise DamageError(f"{name} at {position} has an impossible vtable")
        if position + table_size > len(self.data):
            raise DamageError(f"{name} at {position} lies partly outside the file")
        slots = []
        for number in range((vtable_size - 4) // 2):
            offset = self._scalar("H", vtable + 4 + 2 * number)
            if offset:
                self._check_slot(name, number, offset, table_size)
                slots.append((number, offset))
        return slots

    def _check_slot(self, name: str, number: int, offset: int, table_size: int) -> None:
        kind = TABLES[name].get(number, ("", None))[1] or "I"
        size = struct.calcsize("<" + kind) if len(kind) == 1 else 4
        if offset < 4 or offset + size > table_size:
            raise DamageError(f"{name} has field {number} outside of itself")

    def _field(self, position: int, kind: str, before: dict[str, Any]) -> Any:
        if len(kind) == 1:
            return self._scalar(kind, position)
        target = self._target(position)
        if kind == "text":
            return self._text(target)
        if kind == "union":
            table = OPTIONS.get(before.get("options_type", 0))
            return self._table(target, table) if table else None
        if kind.startswith("*@"):
            return self._tables(target, kind[2:])
        if kind.startswith("@"):
            return self._table(target, kind[1:])
        return self._vector(target, kind[1:])

    def _length(self, position: int, item_size: int) -> int:
        if position % 4:
            raise DamageError(f"the vector at {position} is not aligned")
        length = self._scalar("I", position)
        if position + 4 + length * item_size > len(self.data):
            raise DamageError(f"the vector of {length} items at {position} exceeds the file")
        self._bytes_read += length * item_size
        if self._bytes_read > MOST_SHARING * len(self.data):
            raise DamageError("reads the same bytes again and again")
        return length

    def _vector(self, position: int, kind: str) -> NDArray:
        """A vector of scalars, without a copy."""
        dtype = np.dtype(NUMPY[kind])
        length = self._length(position, dtype.itemsize)
        if length and (position + 4) % dtype.itemsize:
            raise DamageError(f"the items of the vector at {position} are not aligned")
        return np.frombuffer(self.data, dtype, length, position + 4)

    def _tables(self, position: int, name: str) -> list[dict[str, Any]]:
        length = self._length(position, 4)
        starts = (position + 4 + 4 * index for index in range(length))
        return [self._table(self._target(start), name) for start in starts]

    def _text(self, position: int) -> str:
        length = self._length(position, 1)
        if self._scalar("B", position + 4 + length):
            raise DamageError(f"the string at {position} does not end")
        try:
            return self.data[position + 4 : position + 4 + length].decode()
        except UnicodeDecodeError:
            raise DamageError(f"the string at {position} is not UTF-8") from None
