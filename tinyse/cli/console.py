"""The one console that results are printed on, whoever named what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDEST = 1000  # columns


def console(**settings: Any) -> Console:
    """A console on stdout that takes words as they are: names from files hold [ and : too."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **settings)


def print_table(table: Table) -> None:
    """The table as wide as its cells: one that is cut says nothing, and a pipe has no width."""
    out = console()
    widest = out.options.update(width=_WIDEST)
    out.width = max(out.width, out.measure(table, options=widest).maximum)
    out.print(table)
