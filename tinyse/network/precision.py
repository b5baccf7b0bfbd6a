"""In what the products of training are computed: float32 by XLA, or bfloat16 by `on_cpu`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

from tinyse.errors import InputError
from tinyse.network import backend

_cpu_calls: ContextVar[ModuleType | None] = ContextVar("cpu_calls", default=None)


def find_cpu_calls(precision: str) -> ModuleType | None:
    """The module `on_cpu` for "bfloat16", None for "float32".

    Raises InputError where the backend or the machine cannot do it.
    """
    if precision == "float32":
        return None
    if backend.NAME != "jax":
        what = f"bfloat16 runs on JAX, not on {backend.NAME}"
        raise InputError(what, "train.precision", "set KERAS_BACKEND=jax")
    from tinyse.network import on_cpu

    on_cpu.load()
    return on_cpu


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """What is traced within it computes its products in "float32" or "bfloat16"."""
    token = _cpu_calls.set(find_cpu_calls(precision))
    try:
        yield
    finally:
        _cpu_calls.reset(token)


def cpu_calls() -> ModuleType | None:
    """The module `on_cpu` where products are asked for in bfloat16."""
    return _cpu_calls.get()


def cpu_loops(units: int) -> ModuleType | None:
    """The same where it can run an LSTM of that width."""
    cpu = cpu_calls()
    return cpu if cpu is not None and cpu.takes(units) else None
