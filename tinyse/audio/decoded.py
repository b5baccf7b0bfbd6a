"""Audio files decoded once in a process and sliced by many rows.

Rows of a list and intervals of a manifest share files, and seeking in Opus costs about as much as
decoding from the start, so the last files are kept whole, up to `LIMIT` bytes of samples.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.io import read_audio

LIMIT = 256 << 20  # bytes: about 70 minutes at 16 kHz

Key = tuple[str, int, int]
_kept: OrderedDict[Key, NDArray[np.float32]] = OrderedDict()


def decoded(path: Path) -> NDArray[np.float32]:
    """`read_audio(path)`, read-only; kept until newer files need the room or the file changes."""
    key = file_key(path)
    samples = _kept.get(key)
    if samples is None:
        samples = read_audio(path)
        samples.flags.writeable = False
        _kept[key] = samples
        while len(_kept) > 1 and sum(kept.nbytes for kept in _kept.values()) > LIMIT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return samples


def file_key(path: Path) -> Key:
    """Name, time and size of a file: what tells that it has changed."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return str(path), 0, 0  # read_audio says what is wrong
    return str(path), facts.st_mtime_ns, facts.st_size
