"""Sounds to judge by ear: the best, the median and the worst clip of a folder, by SDR gain.

    NAME_noisy.wav  NAME_enhanced.wav  NAME_clean.wav     as `tinyse evaluate --audio` writes them
    noisy.wav       enhanced.wav       clean.wav          as `tinyse demo` does

The rule is the same for everyone, so that no one picks what sounds good.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.metrics import sdr
from tinyse.report.charts import MINUS, RATE
from tinyse.report.page import Example

SIDES = ("noisy", "enhanced", "clean")
LONGEST_S = 8.0  # of a clip in the page
RULE = (
    "Of the clips that were given, the ones of the highest, the median and the lowest SDR gain;"
    f" of a longer one its first {LONGEST_S:g} s."
)


def chosen_clips(folder: Path) -> list[Example]:
    """Best, median and worst clip of `folder`, fewer where it has fewer."""
    stems = sorted(path.name.removesuffix("noisy.wav") for path in folder.glob("*noisy.wav"))
    if not stems:
        raise InputError("holds no NAME_noisy.wav", folder, "see tinyse evaluate --audio")
    clips = sorted((_clip(folder, stem) for stem in stems), key=_gain, reverse=True)
    places = {0: "best", (len(clips) - 1) // 2: "median", len(clips) - 1: "worst"}
    places |= {0: "best"} if len(clips) > 1 else {0: "the only one"}
    return [_titled(clips[place], rank, len(clips)) for place, rank in sorted(places.items())]


def _clip(folder: Path, stem: str) -> Example:
    noisy, enhanced, clean = (_read(folder / f"{stem}{side}.wav") for side in SIDES)
    if not len(noisy) == len(enhanced) == len(clean):
        raise InputError("the three sounds differ in length", folder / stem, "cut them alike")
    if not np.any(clean):
        raise InputError("the clean sound is silent", folder / f"{stem}clean.wav", "leave it out")
    name = stem.rstrip("_-") or folder.resolve().name
    return Example(name, noisy, enhanced, clean, sdr(clean, noisy), sdr(clean, enhanced))


def _gain(clip: Example) -> float:
    assert clip.sdr_out is not None and clip.sdr_in is not None
    return clip.sdr_out - clip.sdr_in


def _titled(clip: Example, rank: str, count: int) -> Example:
    gain = f"{_gain(clip):+.1f}".replace("-", MINUS)
    title = f"{rank.capitalize()} of {count}: {clip.title}, SDR {gain} dB"
    end = round(LONGEST_S * RATE)
    sounds = (clip.noisy[:end], clip.enhanced[:end], clip.clean[:end])
    return Example(title, *sounds, clip.sdr_in, clip.sdr_out)


def _read(path: Path) -> NDArray[np.float64]:
    import soundfile

    if not path.is_file():
        raise InputError("is missing", path, "a clip is three files: noisy, enhanced, clean")
    try:
        sound, rate = soundfile.read(path, dtype="float64")
    except soundfile.SoundFileError as error:
        raise InputError(f"is no sound ({error})", path, "write it again") from error
    if rate != RATE or sound.ndim != 1 or not len(sound):
        what = f"expected {RATE} Hz mono, got {rate} Hz and shape {sound.shape}"
        raise InputError(what, path, "convert it")
    return sound
