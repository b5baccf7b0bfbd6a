"""What page and server say to each other.

The page sends sound as binary messages of one frame: 256 samples, 16-bit little-endian, the same
as `tinyse enhance -` takes.  Each is answered by one binary message: the number of the frame since
the sound began (uint32), the microseconds its enhancement took (uint32), and 256 samples, those of
one frame before.  Everything else is JSON with a `type`; the structures here are the whole of it.
What does not fit ends the connection.
"""

from __future__ import annotations

import struct

import msgspec

from tinyse.errors import TinySEError

HEADER = struct.Struct("<II")
MOST_BYTES = 4096  # of a message from the page; a frame has 512


class BadMessage(TinySEError):
    """The page said what is not in the protocol."""


class Choose(msgspec.Struct, tag="choose", forbid_unknown_fields=True):
    """From the page: hear this; `model` null is the noisy sound."""

    model: str | None
    runtime: str


class Start(msgspec.Struct, tag="start", forbid_unknown_fields=True):
    """From the page: a new sound begins."""


class OfferedModel(msgspec.Struct):
    """A model that may be chosen."""

    name: str
    flash_bytes: int


class Hello(msgspec.Struct, tag="hello"):
    """The first message to the page."""

    version: str
    rate_hz: int
    frame_samples: int
    latency_ms: int
    models: list[OfferedModel]
    runtimes: list[str]
    missing: dict[str, str]


class Chosen(msgspec.Struct, tag="chosen"):
    """To the page: this is heard from the next frame on."""

    model: str | None
    runtime: str


class Refused(msgspec.Struct, tag="refused"):
    """To the page: what was chosen cannot be opened; all is as it was."""

    model: str | None
    runtime: str
    reason: str


_decoder = msgspec.json.Decoder(Choose | Start)


def read_text(text: str) -> Choose | Start:
    """The request in a text message; BadMessage if it is none."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise BadMessage(f"not a request: {error}") from error


def text_of(message: Hello | Chosen | Refused) -> str:
    """The text message that says it."""
    return msgspec.json.encode(message).decode()


def frame_reply(number: int, computing_us: int, sound: bytes) -> bytes:
    """The answer to a frame."""
    return HEADER.pack(number & 0xFFFFFFFF, min(computing_us, 0xFFFFFFFF)) + sound
