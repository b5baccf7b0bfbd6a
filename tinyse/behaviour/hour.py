"""Silence, and an hour without a reset.

The hour is one minute of a list's mixtures again and again.  An integer network is a finite
machine: once a minute ends in the very states that an earlier minute ended in, every later minute
repeats what came between, and the rest of the hour, or of the year, needs no running.  What runs is
the fastest runtime that gives the bytes of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.audio.lists import MixtureList, MixtureRow, PairRow
from tinyse.enhance import Enhancer, ModelFiles, Source, open_source
from tinyse.errors import TinySEError
from tinyse.evaluate import rendered
from tinyse.features import HOP, RATE, WINDOW
from tinyse.metrics import as_stored
from tinyse.runtimes import StatefulRuntime

MINUTE = 60 * RATE  # samples: 3,750 frames
SILENCE_S = 5
EXACT = ("native", "oracle")  # the fastest first; the second needs nothing that is not here
_LOOK = 125  # frames between two looks at the states: 2 s
_FULL_CELL = 32767
_DIGITS = 4


def silence_of(
    enhancer: Enhancer, mixtures: MixtureList, row: MixtureRow | PairRow
) -> dict[str, Any]:
    """Digital silence from the start and after speech: the largest sample out, in 16-bit steps."""
    quiet = np.zeros(SILENCE_S * RATE)
    speech = rendered(mixtures, row).target
    output = as_stored(enhancer.whole(np.concatenate([quiet, speech, quiet])))
    # A window that still holds speech may sound.
    before = output[: len(quiet) - WINDOW]
    after = output[len(quiet) + len(speech) + WINDOW :]
    largest = max(np.abs(before).max(), np.abs(after).max())
    return {"seconds": 2 * SILENCE_S, "largest_steps": round(float(largest * 32768))}


def hour_of(
    files: ModelFiles,
    mixtures: MixtureList,
    rows: Sequence[MixtureRow | PairRow],
    minutes: int,
) -> dict[str, Any]:
    """`minutes` of sound without a reset: whether level or states wander from minute to minute.

    The first minute begins with a state of zero, so the second is what the others must be.
    """
    enhancer = _fastest(files)
    spectrum = _minute(mixtures, rows)
    enhancer.runtime.reset()
    levels: list[float] = []
    cells: list[float] = []
    ended: dict[str, int] = {}  # digest of the states -> the minute that ended in them
    repeats = None
    for minute in range(1, minutes + 1):
        level, cell, digest = _play(enhancer, spectrum)
        levels.append(level)
        cells.append(cell)
        if digest in ended:
            repeats = ended[digest] + 1
            break
        ended[digest] = minute
    return {
        "runtime": enhancer.runtime.name,
        "minutes": minutes,
        "minutes_run": len(levels),
        "repeats_from_minute": repeats,
        "output_over_input_db": _rounded(levels[-1]),
        "drift_db": _rounded(max(abs(level - levels[1]) for level in levels[1:])),
        "cell_rms_share": _rounded(cells[-1] / _FULL_CELL),
        "cell_growth": _rounded(max(cells[1:]) / max(cells[1], 1.0)),
    }


def _fastest(files: ModelFiles) -> Enhancer:
    for name in EXACT:
        try:
            return open_source(Source.of(files, name))
        except TinySEError as error:
            # 2: a file that the C kernels do not take; 3: no compiler.  The oracle needs neither.
            if error.exit_code not in (2, 3) or name == EXACT[-1]:
                raise
    raise AssertionError("the oracle is always there")


def _minute(mixtures: MixtureList, rows: Sequence[MixtureRow | PairRow]) -> NDArray[np.complex128]:
    """Spectrum [3750, 257] of a minute of mixtures that joins itself without a seam."""
    sounds: list[NDArray] = []
    total = 0
    while total < MINUTE:
        sounds.append(rendered(mixtures, rows[len(sounds) % len(rows)]).mixture)
        total += len(sounds[-1])
    minute = np.concatenate(sounds)[:MINUTE]
    return features.stft(np.concatenate([minute, minute[:HOP]]))[1 : MINUTE // HOP + 1]


def _play(enhancer: Enhancer, spectrum: NDArray) -> tuple[float, float, str]:
    """One minute on: output over input level in dB, RMS of cell states, a digest of all states.

    GRUs have no cell: of them alone, the RMS is that of their outputs.
    """
    runtime = enhancer.runtime
    assert isinstance(runtime, StatefulRuntime)  # as all of EXACT are
    output, squares = 0.0, []
    for start in range(0, len(spectrum), _LOOK):
        piece = spectrum[start : start + _LOOK]
        output += np.sum(np.abs(enhancer.gains(piece) * piece) ** 2)
        states = runtime.states()
        cells = [cell for name, cell in states.items() if name.startswith("c_")]
        steps = [_in_cells(state) for state in cells or states.values()]
        squares.append(float(np.mean(np.concatenate(steps) ** 2)) if steps else 0.0)
    level = 10 * np.log10(max(output, 1e-20) / np.sum(np.abs(spectrum) ** 2))
    joined = b"".join(states[name].tobytes() for name in sorted(states))
    return float(level), float(np.sqrt(np.mean(squares))), hashlib.sha256(joined).hexdigest()


def _in_cells(state: NDArray) -> NDArray[np.float64]:
    """A state [units] in steps of a cell: an output of 8 bits has fewer to its full scale."""
    return state.astype(np.float64) * (_FULL_CELL / np.iinfo(state.dtype).max)


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
