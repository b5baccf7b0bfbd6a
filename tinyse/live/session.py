"""One page's sound: the stream it goes through, its past, and the time its frames take.

A switch must not be heard as a gap: the new stream first gets the last half second, which brings
its network's state and its overlap to where they would be, and then goes on with the next frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from tinyse import __version__
from tinyse.enhance import LATENCY_MS, BlockStream, Passthrough, open_stream
from tinyse.enhance.pcm import FRAME_BYTES, bytes_of, samples_of
from tinyse.errors import TinySEError
from tinyse.features import HOP, RATE
from tinyse.live.messages import (
    BadMessage,
    Choose,
    Chosen,
    Hello,
    OfferedModel,
    Refused,
    Start,
    frame_reply,
    read_text,
    text_of,
)
from tinyse.live.offers import Offers

FRAME_MS = 1000 * HOP / RATE
PAST = 32  # frames: half a second
JUDGED = 62  # frames over which real time is judged: a second


class Session:
    """Answers the messages of one page; `notices` hears once of a stream that is too slow."""

    def __init__(self, offers: Offers, notices: Callable[[str], None] | None = None) -> None:
        self._paths = {offer.name: offer.path for offer in offers.models}
        self._offers, self._notices = offers, notices
        self._past: deque[bytes] = deque(maxlen=PAST)
        self._use(Passthrough(), Chosen(None, offers.runtimes[0]))
        self._number = 0

    def hello(self) -> str:
        """What the page is told first."""
        models = [OfferedModel(offer.name, offer.flash_bytes) for offer in self._offers.models]
        runtimes, missing = list(self._offers.runtimes), self._offers.missing
        return text_of(Hello(__version__, RATE, HOP, LATENCY_MS, models, runtimes, missing))

    def answer(self, message: bytes | str) -> bytes | str | None:
        """The answer to a message, None where there is none; BadMessage for what is no message."""
        if isinstance(message, bytes):
            return self._frame(message)
        request = read_text(message)
        if isinstance(request, Start):
            self._start()
            return None
        return text_of(self._choose(request))

    def _frame(self, data: bytes) -> bytes:
        if len(data) != FRAME_BYTES:
            raise BadMessage(f"expected frames of {FRAME_BYTES} bytes, got {len(data)}")
        began = time.perf_counter()
        enhanced = bytes_of(self._stream.blocks(samples_of(data)))
        taken_us = round(1e6 * (time.perf_counter() - began))
        self._past.append(data)
        self._judge(taken_us / 1000)
        self._number += 1
        return frame_reply(self._number - 1, taken_us, enhanced)

    def _start(self) -> None:
        self._stream.reset()
        self._past.clear()
        self._times_ms.clear()
        self._number = 0

    def _choose(self, request: Choose) -> Chosen | Refused:
        model, runtime = request.model, request.runtime
        if model is not None and model not in self._paths:
            return Refused(model, runtime, "there is no such model here")
        if runtime not in self._offers.runtimes:
            return Refused(model, runtime, "there is no such runtime here")
        try:
            stream = open_stream(self._paths[model], runtime) if model else Passthrough()
        except TinySEError as error:
            return Refused(model, runtime, str(error))
        stream.reset()
        if self._past:
            stream.blocks(samples_of(b"".join(self._past)))
        self._use(stream, Chosen(model, runtime))
        return self._chosen

    def _use(self, stream: BlockStream, chosen: Chosen) -> None:
        self._stream, self._chosen = stream, chosen
        self._times_ms: deque[float] = deque(maxlen=JUDGED)
        self._told = False

    def _judge(self, taken_ms: float) -> None:
        """Says so, once, when frames take longer than they last."""
        self._times_ms.append(taken_ms)
        if self._told or len(self._times_ms) < JUDGED:
            return
        mean_ms = sum(self._times_ms) / JUDGED
        if mean_ms > FRAME_MS and self._notices is not None:
            self._told = True
            name = f"{self._chosen.model} on {self._chosen.runtime}"
            line = f"{name} takes {mean_ms:.1f} ms a frame; real time is {FRAME_MS:g} ms"
            self._notices(line)
