"""Raw sound through a pipe: 16-bit little-endian samples, 16 kHz, mono, in and out.

    ffmpeg -i IN -f s16le -ar 16000 -ac 1 - | tinyse enhance - | aplay -f S16_LE -r 16000

Whatever whole frames have come are enhanced at once and written at once; nothing waits for more.
Sample k leaves when the frame that holds sample k + 256 is full: 32 ms of algorithmic latency.
As many samples leave as come, in the same places: the start-up frame is dropped, the tail flushed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinyse.enhance.streams import BlockStream
from tinyse.errors import InputError
from tinyse.features import HOP, RATE

FULL_SCALE = 32_768
SAMPLE_BYTES = 2
FRAME_BYTES = SAMPLE_BYTES * HOP
MOST_BYTES = 64 * FRAME_BYTES  # a second: what a fast pipe hands over at a time
REMEDY = "give 16-bit little-endian samples, 16 kHz mono: ffmpeg -i IN -f s16le -ar 16000 -ac 1 -"
# What files begin with.  MPEG without a tag begins as loud raw samples may.
_HEADERS = {
    "a WAV": re.compile(rb"(RIFF|RIFX|RF64)....WAVE", re.DOTALL),
    "an AIFF": re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    "a FLAC": re.compile(rb"fLaC"),
    "an Ogg": re.compile(rb"OggS"),
    "an MP3": re.compile(rb"ID3[\x02-\x04]"),
}


@dataclass
class Passed:
    """What went through.

    samples : read, and written unless `cut_off`
    computing_s : seconds spent enhancing them
    odd_byte : whether half a sample stood at the end
    cut_off : whether the reader of the result left first
    """

    samples: int = 0
    computing_s: float = 0.0
    odd_byte: bool = False
    cut_off: bool = False

    @property
    def times_real_time(self) -> float:
        """Seconds of sound per second of computing."""
        return self.samples / RATE / max(self.computing_s, 1e-9)


def samples_of(data: bytes) -> NDArray[np.float32]:
    """Samples [n], full scale 1.0, of 16-bit little-endian bytes [2 n]."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(FULL_SCALE)


def bytes_of(sound: NDArray) -> bytes:
    """16-bit little-endian bytes [2 n] of samples [n]; what is beyond full scale is clipped."""
    steps = np.rint(np.asarray(sound) * FULL_SCALE)
    return np.clip(steps, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


def enhance_pcm(source: BinaryIO, sink: BinaryIO, stream: BlockStream) -> Passed:
    """Everything from `source` to `sink`; InputError where nothing comes, or no raw samples."""
    passed = Passed()
    stream.reset()
    try:
        for data in _enhanced(source, stream, passed):
            sink.write(data)
            sink.flush()
    except BrokenPipeError:
        passed.cut_off = True
    if not passed.samples and not passed.cut_off:
        raise InputError("no sound came in", "stdin", REMEDY)
    return passed


def _enhanced(source: BinaryIO, stream: BlockStream, passed: Passed) -> Iterator[bytes]:
    """The bytes to write, as they are ready."""
    early = FRAME_BYTES  # the stream's first frame lies before the first sample
    waiting = b""

    def through(data: bytes) -> bytes:
        nonlocal early
        began = time.perf_counter()
        enhanced = bytes_of(stream.blocks(samples_of(data)))
        passed.computing_s += time.perf_counter() - began
        drop, early = early, 0
        return enhanced[drop:]

    # BinaryIO has no read1, but the buffer of a pipe has.
    while data := source.read1(MOST_BYTES):  # type: ignore[attr-defined]
        waiting += data
        if not passed.samples:
            _refuse_file(waiting)
        whole = len(waiting) - len(waiting) % FRAME_BYTES
        if whole:
            passed.samples += whole // SAMPLE_BYTES
            yield through(waiting[:whole])
            waiting = waiting[whole:]
    passed.odd_byte = len(waiting) % SAMPLE_BYTES == 1
    tail = waiting[: len(waiting) - passed.odd_byte]
    passed.samples += len(tail) // SAMPLE_BYTES
    if passed.samples:
        owed = FRAME_BYTES - early + len(tail)  # the last whole frame, if there was one, and this
        yield through(tail + bytes(-len(tail) % FRAME_BYTES + FRAME_BYTES))[:owed]


def _refuse_file(begin: bytes) -> None:
    """A file's header, of which a slow pipe hands over a few bytes at a time, is no sound."""
    for kind, header in _HEADERS.items():
        if header.match(begin):
            raise InputError(f"is {kind} file, not raw samples", "stdin", REMEDY)
