"""A small model to switch to."""

from __future__ import annotations

import pytest

from tinyse.live import Offers, find_offers


@pytest.fixture(scope="session")
def offers(small_model) -> Offers:
    """The small model on the oracle, and litert where it is installed."""
    return find_offers([small_model], ["oracle", "litert"])
