"""Whether an audio file was cut short, and whether it is MPEG, from its container alone.

libsndfile believes the length of the file rather than the header of a WAV, and takes the last whole
page of an Ogg file for its end, so a cut file reads as a shorter one.  Here the container's own
promise is compared with the bytes:

    RIFF/WAVE   the `data` chunk's size (little-endian bytes 4..8 of the chunk) must be in the file
    RF64/WAVE   the same, its size in bytes 16..24 of the chunk `ds64` (EBU Tech 3306)
    FORM/AIFF   the `SSND` chunk's size (big-endian) must be in the file
    Ogg         the last page must be whole and carry the end-of-stream flag (RFC 3533, section 6)

FLAC promises its samples in STREAMINFO; the reader compares those with what it decodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

_OGG_HEADER = 27  # bytes before the segment table
_OGG_LARGEST = _OGG_HEADER + 255 + 255 * 255
_END_OF_STREAM = 0x04
_WAVE_MPEG = (0x0050, 0x0055)  # tags of layers 1 to 3 (RFC 2361)
# Programs that write WAV into a pipe cannot know the length and leave one of these.
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36)
# SoX promises as many whole frames as these bytes hold where it writes AIFF into a pipe.
_AIFF_OF_A_PIPE = 0x7F000000


def is_truncated(path: Path) -> bool:
    """True when `path` is a WAV, AIFF or Ogg file that promises more than it holds."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wave_is_cut(path)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff_is_cut(path)
    return head[:4] == b"OggS" and _ogg_is_cut(path)


def is_mpeg(path: Path) -> bool:
    """True for MPEG audio, bare or in a WAV: its decoder writes to stderr on damage."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wave_is_mpeg(path)
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


def _wave_is_mpeg(path: Path) -> bool:
    for name, _, _, start in _chunks(path, "little"):
        if name in (b"fmt ", b"data"):  # libsndfile heeds no later format
            return name == b"fmt " and int.from_bytes(start[:2], "little") in _WAVE_MPEG
    return False


def _wave_is_cut(path: Path) -> bool:
    length = path.stat().st_size
    long = 0
    for name, at, size, start in _chunks(path, "little"):
        if name == b"ds64":
            long = int.from_bytes(start[8:], "little")
        if name == b"data":
            promised = long if size == 0xFFFFFFFF else size
            return promised not in _UNKNOWN_SIZES and at + 8 + promised > length
    return False


def _aiff_is_cut(path: Path) -> bool:
    length = path.stat().st_size
    for name, at, size, _ in _chunks(path, "big"):
        if name == b"SSND":
            unknown = size == 0 or abs(size - _AIFF_OF_A_PIPE) < 4096
            return not unknown and at + 8 + size > length
    return False


def _chunks(path: Path, order: Literal["little", "big"]) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Each chunk's name, place, size and first 16 bytes (of `fmt `: the codec's tag is two)."""
    length = path.stat().st_size
    at = 12
    with open(path, "rb") as file:
        while at + 8 <= length:
            file.seek(at)
            chunk = file.read(24)
            size = int.from_bytes(chunk[4:8], order)
            yield chunk[:4], at, size, chunk[8:]
            at += 8 + size + size % 2


def _ogg_is_cut(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * _OGG_LARGEST))
        tail = file.read()
    # "OggS" may occur inside a packet: a candidate counts when its page ends where the file ends.
    at = tail.rfind(b"OggS")
    while at >= 0:
        if at + _page_bytes(tail[at:]) == len(tail):
            return not tail[at + 5] & _END_OF_STREAM
        at = tail.rfind(b"OggS", 0, at)
    return True


def _page_bytes(page: bytes) -> int:
    """Bytes of the Ogg page that `page` begins with, by its segment table."""
    if len(page) < _OGG_HEADER:
        return _OGG_LARGEST + 1
    segments = page[26]
    return _OGG_HEADER + segments + sum(page[_OGG_HEADER : _OGG_HEADER + segments])
