"""Ctrl-C between two steps of training, where nothing swallows it.

KeyboardInterrupt is raised wherever the main thread happens to be.  That may be in what a library
has the garbage collector call, as JAX does, which comes with TensorFlow where it is installed: then
Python prints the exception there and goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_between_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C is noted, and raised by the function that is given; a second one acts at once.

    What another has decided of Ctrl-C stays as it is: workers ignore it.
    """
    noted = False

    def note(*_: object) -> None:
        nonlocal noted
        noted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check() -> None:
        if noted:
            raise KeyboardInterrupt

    # Python lets no other thread set a handler.
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    check()  # one that came after the last step
