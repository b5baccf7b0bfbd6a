"""The one console that results are printed on, whoever named what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console(**settings: Any) -> Console:
    """A console on stdout that takes words as they are: names from files hold [ and : too."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **settings)
