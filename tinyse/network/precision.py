"""In what the products of training are computed: float32 by XLA, or bfloat16 by `on_tiles`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

from tinyse.errors import InputError
from tinyse.network import backend

_tiles: ContextVar[ModuleType | None] = ContextVar("tiles", default=None)


def find_tiles(precision: str) -> ModuleType | None:
    """The module `on_tiles` for "bfloat16", None for "float32".

    Raises InputError where the backend or the machine cannot do it.
    """
    if precision == "float32":
        return None
    if backend.NAME != "jax":
        what = f"bfloat16 runs on JAX, not on {backend.NAME}"
        raise InputError(what, "train.precision", "set KERAS_BACKEND=jax")
    from tinyse.network import on_tiles

    on_tiles.load()
    return on_tiles


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """What is traced within it computes its products in "float32" or "bfloat16"."""
    token = _tiles.set(find_tiles(precision))
    try:
        yield
    finally:
        _tiles.reset(token)


def tiles() -> ModuleType | None:
    """The module `on_tiles` where products are asked for in bfloat16."""
    return _tiles.get()
