"""Whether an audio file was cut short, from its container alone.

libsndfile believes the length of the file rather than the header of a WAV, and takes the last whole
page of an Ogg file for its end, so a cut file reads as a shorter one.  Here the container's own
promise is compared with the bytes:

    RIFF/WAVE   the `data` chunk's size (little-endian bytes 4..8 of the chunk) must be in the file
    Ogg         the last page must be whole and carry the end-of-stream flag (RFC 3533, section 6)

FLAC promises its samples in STREAMINFO; the reader compares those with what it decodes.
"""

from __future__ import annotations

from pathlib import Path

_OGG_HEADER = 27  # bytes before the segment table
_OGG_LARGEST = _OGG_HEADER + 255 + 255 * 255
_END_OF_STREAM = 0x04
# Programs that write WAV into a pipe cannot know the length and leave one of these.
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36)


def is_truncated(path: Path) -> bool:
    """True when `path` is a WAV or Ogg file that promises more than it holds."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wave_is_cut(path)
    return head[:4] == b"OggS" and _ogg_is_cut(path)


def _wave_is_cut(path: Path) -> bool:
    length = path.stat().st_size
    at = 12
    with open(path, "rb") as file:
        while at + 8 <= length:
            file.seek(at)
            chunk = file.read(8)
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                return size not in _UNKNOWN_SIZES and at + 8 + size > length
            at += 8 + size + size % 2
    return False


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
