"""docs/formats.md's tables of recipe keys: fields, types, defaults and comments of the code."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as types

from tinyse import recipe as recipe_room
from tinyse.recipe import Recipe


def recipe_keys(root: Path) -> str:
    """A table for the top level and one for each table of the file."""
    notes = _comments(root / "tinyse" / "recipe.py")
    parts = [_table("", Recipe, notes)]
    for field in types.type_info(Recipe).fields:
        if struct := _struct(field.type):
            parts.append(_table(field.name, struct.cls, notes))
    return "\n\n".join(parts)


def _table(name: str, cls: type, notes: dict[tuple[str, str], str]) -> str:
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    for field in types.type_info(cls).fields:
        if _struct(field.type):
            continue
        default = "required" if field.required else f"`{_toml(_default(field))}`"
        note = notes.get((cls.__name__, field.name), "")
        rows.append(f"| `{field.name}` | {_type(field.type)} | {default} | {note} |")
    if not name:
        rows.append("| `inherits` | text | none | a published model, or a path beside this file |")
    document = cls.__doc__ if ast.get_docstring(_class(cls)) else ""
    head = f"### [{name}]" if name else "### Top level"
    return "\n".join([head, "", *([document.strip(), ""] if name and document else []), *rows])


def _struct(found: types.Type) -> types.StructType | None:
    """The table that a key holds, also where it may be absent."""
    parts = found.types if isinstance(found, types.UnionType) else (found,)
    return next((part for part in parts if isinstance(part, types.StructType)), None)


def _default(field: types.Field) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def _type(found: types.Type) -> str:
    if isinstance(found, types.BoolType):
        return "true or false"
    if isinstance(found, types.DictType):
        return f"table of: {_type(found.value_type)}"
    if isinstance(found, types.LiteralType):
        return " or ".join(f"`{_toml(value)}`" for value in found.values)
    if isinstance(found, types.StrType):
        return "text"
    if isinstance(found, (types.IntType, types.FloatType)):
        kind = "whole number" if isinstance(found, types.IntType) else "number"
        bounds = [
            (found.ge, "from {}"),
            (found.gt, "above {}"),
            (found.le, "to {}"),
            (found.lt, "below {}"),
        ]
        said = [text.format(f"{value:g}") for value, text in bounds if value is not None]
        return " ".join([kind, *said])
    if isinstance(found, types.VarTupleType):
        return f"list of: {_type(found.item_type)}"
    if isinstance(found, types.TupleType):
        return f"low, high: {_type(found.item_types[0])}"
    if isinstance(found, types.UnionType):
        return " or ".join(_type(each) for each in found.types)
    raise TypeError(f"no words for {found}")


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return msgspec.json.encode(value).decode()


def _class(cls: type) -> ast.ClassDef:
    tree = ast.parse(Path(recipe_room.__file__).read_text("utf-8"))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)


def _comments(path: Path) -> dict[tuple[str, str], str]:
    """(class, field) -> the comment behind the field, or else the lines above it."""
    source = path.read_text("utf-8")
    by_line = dict(_comment_lines(source))
    lines = source.splitlines()
    found = {}
    for cls in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        for field in (node for node in cls.body if isinstance(node, ast.AnnAssign)):
            above, line = [], field.lineno - 1
            while line in by_line and lines[line - 1].lstrip().startswith("#"):
                above.insert(0, by_line[line])
                line -= 1
            text = by_line.get(field.end_lineno, " ".join(above))
            found[cls.name, ast.unparse(field.target)] = text
    return found


def _comment_lines(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")
