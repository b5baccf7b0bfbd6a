"""Audio files as float32 arrays: WAV, FLAC, Ogg (Vorbis), Opus through libsndfile.

    read_audio(path)  -> float32[n], 16 kHz, mono, full scale 1.0
    write_audio(path, samples)           16 bit by default, whole or not at all

16-bit samples are k / 32768 in both directions, so a 16-bit file that is read and written again
holds the same samples.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.audio import containers
from tinyse.errors import InputError, MachineFault, Unavailable
from tinyse.features import RATE
from tinyse.files import write_bytes

if TYPE_CHECKING:
    import soundfile

Notices = Callable[[str], None]

# suffix -> (libsndfile format, subtype)
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
}
_LOWEST_RATE, _HIGHEST_RATE = 2000, 384_000
_MOST_CHANNELS = 64
FAULTS = ("unreadable", "truncated", "not_finite")
_BLOCK = 1 << 18  # frames a read: a lying header must not decide how much memory is taken


class BadAudio(MachineFault, InputError):
    """An audio file that cannot be used; `fault` is one of FAULTS."""

    def __init__(self, what: str, where: object, remedy: str, fault: str = "unreadable") -> None:
        super().__init__(what, where, remedy)
        self.fault = fault

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.where, self.remedy, self.fault)


class Format(msgspec.Struct, frozen=True):
    """What a file's header says."""

    rate: int
    channels: int
    frames: int


def read_audio(path: Path, rate: int = RATE, notices: Notices | None = None) -> NDArray[np.float32]:
    """All of an audio file as mono float32[n] at `rate`.

    Another rate or more channels are converted, and said through `notices`.  Raises InputError
    for a file that is missing, empty, not audio, truncated, or that holds NaN or infinity.
    """
    frames, header = read_frames(path)
    say = notices or _silent
    if header.channels > 1:
        say(f"{path}: {header.channels} channels mixed down to one")
    samples = frames.mean(axis=1, dtype=np.float64) if header.channels > 1 else frames[:, 0]
    if header.rate != rate:
        say(f"{path}: resampled from {header.rate} Hz to {rate} Hz")
        samples = resample(samples, header.rate, rate)
    return np.ascontiguousarray(samples, np.float32)


def read_frames(path: Path) -> tuple[NDArray[np.float32], Format]:
    """The file as it is: float32[n, channels] and its header; refuses what `read_audio` refuses."""
    path = Path(path)
    with _opened(path) as file:
        header = _header(path, file)
        frames = _decoded(path, file)
    if len(frames) < header.frames or containers.is_truncated(path):
        _refuse(
            path, f"is truncated ({len(frames)} samples are there)", "copy it again", "truncated"
        )
    if not np.isfinite(frames).all():
        _refuse(path, "holds NaN or infinite samples", "write it again", "not_finite")
    return frames, header


def read_format(path: Path) -> Format:
    """The header alone, without decoding; InputError when the file is missing or not audio."""
    path = Path(path)
    with _opened(path) as file:
        return _header(path, file)


def audio_below(folder: Path) -> list[Path]:
    """The audio files in a folder and those below it, sorted; a suffix tells them.

    Raises InputError for a folder among them that may not be read: its files would be left out.
    """

    def refuse(error: OSError) -> NoReturn:
        what = f"cannot be read ({error.strerror or error})"
        raise Unavailable(what, error.filename, "give access to it or move it away") from error

    walk = os.walk(folder, onerror=refuse)
    files = (Path(parent, name) for parent, _, names in walk for name in names)
    return sorted(file for file in files if file.suffix.lower() in FORMATS)


def write_audio(
    path: Path,
    samples: NDArray[np.floating],
    rate: int = RATE,
    notices: Notices | None = None,
) -> None:
    """Write mono `samples` (float[n], full scale 1.0) in the format that the suffix names.

    The file appears whole or not at all.  Samples beyond full scale are clipped and counted
    through `notices`.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        _refuse(path, f"cannot write {path.suffix or 'no suffix'!r}", f"use {', '.join(FORMATS)}")
    if samples.ndim != 1 or not np.isfinite(samples).all():
        _refuse(
            path,
            f"cannot write samples of shape {samples.shape} with NaN or infinity",
            "give finite mono samples",
        )
    clipped = int(np.count_nonzero(np.abs(samples) > 1.0))
    if clipped and notices:
        notices(f"{path}: {clipped} of {len(samples)} samples clipped")
    write_bytes(path, encode(samples, rate, path.suffix.lower()))


def encode(samples: NDArray[np.floating], rate: int, suffix: str) -> bytes:
    """The bytes of an audio file of the format `suffix` with mono `samples`."""
    import soundfile

    kind, subtype = FORMATS[suffix]
    samples = np.clip(samples, -1.0, 1.0)
    if subtype == "PCM_16":
        # libsndfile scales by 32767 on the way out and by 32768 on the way in.
        samples = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(
            np.int16
        )
    else:
        samples = samples.astype(np.float32)
    # In memory first: an error of the disk inside libsndfile's callbacks would be lost.
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, 1, subtype, format=kind) as file:
        for start in range(
            0, len(samples), 1 << 15
        ):  # the Vorbis encoder keeps a block on its stack
            file.write(samples[start : start + (1 << 15)])
    return buffer.getvalue()


def resample(samples: NDArray[np.floating], rate: int, to_rate: int) -> NDArray[np.float64]:
    """`samples` at `to_rate`: ceil(n to_rate / rate) of them, polyphase with a Kaiser low-pass."""
    from scipy.signal import resample_poly

    step = math.gcd(rate, to_rate)
    return resample_poly(samples.astype(np.float64), to_rate // step, rate // step)


def resampled_length(frames: int, rate: int, to_rate: int = RATE) -> int:
    """How many samples `resample` gives."""
    return -(-frames * to_rate // rate)


def _silent(_: str) -> None:
    pass


def _opened(path: Path) -> soundfile.SoundFile:
    import soundfile

    if path.suffix.lower() == ".raw":
        _refuse(path, "raw samples have no header", "give a WAV, FLAC, Ogg or Opus file")
    try:
        size = path.stat().st_size
        if not (path.is_file() or path.is_dir()):  # of a folder the system says what it is
            _refuse(path, "is no regular file", "write the sound to one first")
        if size == 0:
            _refuse(path, "is empty", "copy it again")
        if path.suffix.lower() != ".mp3" and containers.is_mpeg(path):
            what = "is not audio that can be read (MPEG under another name)"
            _refuse(path, what, "give a WAV, FLAC, Ogg or Opus file")
        return soundfile.SoundFile(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise BadAudio(f"cannot be read ({reason})", path, "check the path") from error
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            f"is not audio that can be read ({error.error_string.strip()})",
            path,
            "give a WAV, FLAC, Ogg or Opus file",
        ) from error


def _header(path: Path, file: soundfile.SoundFile) -> Format:
    header = Format(file.samplerate, file.channels, file.frames)
    if not _LOWEST_RATE <= header.rate <= _HIGHEST_RATE:
        _refuse(
            path,
            f"sample rate: expected {_LOWEST_RATE} to {_HIGHEST_RATE} Hz, got {header.rate}",
            "convert it to 16 kHz",
        )
    if header.channels > _MOST_CHANNELS:
        _refuse(
            path,
            f"expected at most {_MOST_CHANNELS} channels, got {header.channels}",
            "convert it to mono",
        )
    if header.frames < 1:
        _refuse(path, "holds no samples", "give a file with sound in it")
    return header


def _decoded(path: Path, file: soundfile.SoundFile) -> NDArray[np.float32]:
    import soundfile

    blocks = []
    try:
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            blocks.append(block)
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            f"cannot be decoded ({error.error_string.strip()})", path, "copy it again"
        ) from error
    if not blocks:
        _refuse(path, "is truncated (no sample can be decoded)", "copy it again", "truncated")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _refuse(path: Path, what: str, remedy: str, fault: str = "unreadable") -> NoReturn:
    raise BadAudio(what, path, remedy, fault)
