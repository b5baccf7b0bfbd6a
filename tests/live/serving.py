"""A live server in a thread of its own, for tests that talk to it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from tinyse.live import LiveServer, Offers


@contextlib.contextmanager
def served(offers: Offers, notices: list[str] | None = None) -> Iterator[str]:
    """The address of a live server, which ends with the block."""
    ready, loop, address = threading.Event(), asyncio.new_event_loop(), []
    done = asyncio.Event()

    async def serve() -> None:
        async with LiveServer(offers, 0, (notices if notices is not None else []).append) as live:
            address.append(live.address)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield address[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(30)
        loop.close()
        assert not thread.is_alive()
