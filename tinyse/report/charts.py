"""Numbers and sounds as SVG, PNG and FLAC that a page carries inside itself.

A spectrogram is a palette PNG [256 rows, T columns], 0 to 8 kHz from the bottom, 8 ms a column.
Its palette rises evenly in OKLab lightness (Ottosson, 2020), so equal steps in dB look equal, also
without colour.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000  # Hz
WINDOW, HOP = 512, 128  # samples
RANGE_DB = 70.0  # shown below the loudest
MINUS = "\N{MINUS SIGN}"
LEVELS = 64  # a step is 1.1 dB; more only make the PNG longer


def levels_db(sound: NDArray) -> NDArray[np.float64]:
    """Spectrogram in dB [256, T], row 0 at 8 kHz, of a sound [n]."""
    padded = np.pad(np.asarray(sound, dtype=np.float64), (0, max(0, WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
    power = np.abs(np.fft.rfft(frames * window)[:, 1:]) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12)).T[::-1]


def spectrogram_png(levels: NDArray, top_db: float) -> bytes:
    """A PNG of levels in dB [rows, columns]; `top_db` and above has the lightest colour."""
    shown = (levels - top_db) / RANGE_DB + 1
    indices = np.rint(np.clip(shown, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    return palette_png(indices, palette(LEVELS))


def palette_png(indices: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """An 8-bit palette PNG of indices [rows, columns] into colours [n, 3]."""
    rows, columns = indices.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    unfiltered = np.zeros((rows, columns + 1), np.uint8)  # filter type 0 before each row
    unfiltered[:, 1:] = indices
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def palette(count: int) -> NDArray[np.uint8]:
    """Colours [count, 3] from night blue over red to pale yellow, evenly lighter in OKLab."""
    at = np.linspace(0, 1, count)
    lightness = 0.13 + 0.84 * at
    hue = np.radians(275 + 180 * at)
    chroma = 0.03 + 0.15 * np.sin(np.pi * np.clip(at, 0, 1)) ** 0.8
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])
    to_roots = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
         [1, -0.0894841775, -1.2914855480]]
    )  # fmt: skip
    to_linear = np.array(
        [[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
         [-0.0041960863, -0.7034186147, 1.7076147010]]
    )  # fmt: skip
    linear = np.clip(to_linear @ (to_roots @ lab) ** 3, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded.T * 255).astype(np.uint8)


def png_uri(png: bytes) -> str:
    """A PNG as the address of an image inside a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def sound_uri(sound: NDArray) -> str:
    """A sound [n] as the address of a 16-bit FLAC inside a page."""
    import soundfile

    steps = np.clip(np.rint(np.asarray(sound, dtype=np.float64) * 32768), -32768, 32767)
    buffer = io.BytesIO()
    soundfile.write(buffer, steps.astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Change:
    """A figure before and after, for one condition."""

    label: str
    before: float
    after: float


@dataclass(frozen=True)
class Dumbbell:
    """Where one change is drawn: all in units of the drawing."""

    y: float
    before: float
    after: float
    change: Change


@dataclass(frozen=True)
class Dumbbells:
    """Changes on one axis: the drawing's size, the changes, and the ticks (x, text)."""

    width: float
    height: float
    rows: tuple[Dumbbell, ...]
    ticks: tuple[tuple[float, str], ...]


WIDTH, LEFT, RIGHT, ROW, BELOW = 420.0, 46.0, 64.0, 26.0, 22.0  # small: text must serve a phone


def dumbbells(changes: Sequence[Change], step: float = 5.0) -> Dumbbells | None:
    """Places `changes` one below the other; None when there is nothing to draw."""
    if not changes:
        return None
    values = [value for change in changes for value in (change.before, change.after)]
    low, high = step * np.floor(min(values) / step), step * np.ceil(max(values) / step)
    high = max(high, low + step)

    def x(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    rows = tuple(
        Dumbbell(ROW * (number + 0.5), x(change.before), x(change.after), change)
        for number, change in enumerate(changes)
    )
    ticks = tuple(
        (x(t), f"{t:g}".replace("-", MINUS)) for t in np.arange(low, high + step / 2, step)
    )
    return Dumbbells(WIDTH, ROW * len(rows) + BELOW, rows, ticks)
