"""One row of a list, heard in five ways; then all rows together.

    clean   the reference alone through the model: SI-SDR of what comes out
    noise   the noise alone (mixture minus reference): how much quieter it comes out
    level   the mixture with peaks of -36 .. -6 dBFS, stored in 16 bit: SI-SDR gain, and output
            level against input level
    start   the mixture from a state of zero: error energies of the first half second and the rest

Start is pooled: energies are summed over rows, each scaled to one power of its mixture, because a
half second alone may hold no speech and has no score of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.draw_lists import TALKER
from tinyse.audio.lists import Mixture, MixtureList, MixtureRow, PairRow
from tinyse.enhance import Enhancer, Source, open_source
from tinyse.evaluate import rendered
from tinyse.features import RATE
from tinyse.metrics import CAP_DB, as_stored, si_sdr

LEVELS_DBFS = (-36.0, -30.0, -24.0, -18.0, -12.0, -6.0)  # of the peak
START_S = 0.5
DIGITS = 4


@dataclass(frozen=True)
class Work:
    """What is done with each row; `clean_sides` where the list has no clean rows of its own."""

    mixtures: MixtureList
    model: Source
    clean_sides: bool


@dataclass(frozen=True)
class Heard:
    """The figures of one row, None or empty where it has none.

    clean_db : SI-SDR of the clean reference after the model
    noise_db : how much quieter the noise alone comes out
    gain_db, output_db : per level, SI-SDR gain and output against input level
    errors : error energies [2, 2]: before and after the model, in the start and in the rest
    """

    speaker: str
    clean_db: float | None = None
    noise_db: float | None = None
    gain_db: tuple[float, ...] = ()
    output_db: tuple[float, ...] = ()
    errors: NDArray[np.float64] | None = None


def heard_row(work: Work, row: MixtureRow | PairRow) -> Heard:
    """Every figure of a row; InputError names a row that cannot be scored."""
    mixture = rendered(work.mixtures, row)
    enhancer = open_source(work.model)
    if row.is_clean:
        return Heard(mixture.speaker, clean_db=_clean(enhancer, mixture))
    levels = [_at_level(enhancer, mixture, level) for level in LEVELS_DBFS]
    return Heard(
        mixture.speaker,
        clean_db=_clean(enhancer, mixture) if work.clean_sides else None,
        # Another talker is speech: to keep him is no fault of a network that cleans speech.
        noise_db=None if mixture.noise_class == TALKER else _noise(enhancer, mixture),
        gain_db=tuple(gain for gain, _ in levels),
        output_db=tuple(output for _, output in levels),
        errors=_errors(enhancer, mixture),
    )


def _clean(enhancer: Enhancer, mixture: Mixture) -> float:
    score = si_sdr(mixture.target, enhancer.whole(mixture.target))
    return max(score, -CAP_DB)


def _noise(enhancer: Enhancer, mixture: Mixture) -> float:
    noise = as_stored(mixture.mixture.astype(np.float64) - mixture.target)
    return -_louder_db(as_stored(enhancer.whole(noise)), noise)


def _at_level(enhancer: Enhancer, mixture: Mixture, peak_dbfs: float) -> tuple[float, float]:
    """SI-SDR gain, and output level against input level, dB, of a mixture with that peak."""
    scale = 10 ** (peak_dbfs / 20) / np.abs(mixture.mixture).max()
    noisy, clean = as_stored(scale * mixture.mixture), as_stored(scale * mixture.target)
    output = enhancer.whole(noisy)
    gain = max(si_sdr(clean, output), -CAP_DB) - max(si_sdr(clean, noisy), -CAP_DB)
    return gain, _louder_db(as_stored(output), noisy)


def _errors(enhancer: Enhancer, mixture: Mixture) -> NDArray[np.float64]:
    target, noisy = mixture.target.astype(np.float64), mixture.mixture.astype(np.float64)
    start = int(START_S * RATE)
    errors = [
        (np.sum(error[:start] ** 2), np.sum(error[start:] ** 2))
        for error in (noisy - target, enhancer.whole(noisy) - target)
    ]
    return np.array(errors) / np.mean(noisy**2)


def _louder_db(output: NDArray, sound: NDArray) -> float:
    """Level of an output against that of its input, within the cap of all scores."""
    before, after = np.sum(sound**2), np.sum(output**2)
    if before == 0:
        return 0.0
    return max(10 * math.log10(after / before), -CAP_DB) if after > 0 else -CAP_DB


def summary_of(heard: Sequence[Heard]) -> dict[str, Any]:
    """`clean`, `noise`, `level` and `start` of all rows, as far as there are rows for them."""
    parts = {"clean": _all_clean, "noise": _all_noise, "level": _all_levels, "start": _all_starts}
    found = {name: part(heard) for name, part in parts.items()}
    return {name: values for name, values in found.items() if values is not None}


def _all_clean(heard: Sequence[Heard]) -> dict[str, Any] | None:
    scores = [(row.speaker, row.clean_db) for row in heard if row.clean_db is not None]
    if not scores:
        return None
    by_speaker: dict[str, list[float]] = defaultdict(list)
    for speaker, score in scores:
        by_speaker[speaker].append(score)
    worst = min(by_speaker, key=lambda speaker: np.mean(by_speaker[speaker]))
    values = [score for _, score in scores]
    return {
        "rows": len(values),
        "speakers": len(by_speaker),
        "si_sdr_mean_db": _rounded(np.mean(values)),
        "si_sdr_median_db": _rounded(np.median(values)),
        "worst_speaker": worst,
        "worst_speaker_si_sdr_db": _rounded(np.mean(by_speaker[worst])),
    }


def _all_noise(heard: Sequence[Heard]) -> dict[str, Any] | None:
    values = [row.noise_db for row in heard if row.noise_db is not None]
    if not values:
        return None
    return {
        "rows": len(values),
        "attenuation_db": _rounded(np.mean(values)),
        "attenuation_p5_db": _rounded(np.percentile(values, 5)),
    }


def _all_levels(heard: Sequence[Heard]) -> dict[str, Any] | None:
    rows = [row for row in heard if row.gain_db]
    if not rows:
        return None
    gains = np.mean([row.gain_db for row in rows], axis=0)
    outputs = np.mean([row.output_db for row in rows], axis=0)
    return {
        "rows": len(rows),
        "input_peak_dbfs": list(LEVELS_DBFS),
        "si_sdr_gain_db": [_rounded(gain) for gain in gains],
        "output_over_input_db": [_rounded(output) for output in outputs],
        "si_sdr_gain_spread_db": _rounded(np.ptp(gains)),
        "output_over_input_spread_db": _rounded(np.ptp(outputs)),
    }


def _all_starts(heard: Sequence[Heard]) -> dict[str, Any] | None:
    errors = [row.errors for row in heard if row.errors is not None]
    if not errors:
        return None
    before, after = np.maximum(np.sum(errors, axis=0), np.finfo(np.float64).tiny)
    start, rest = 10 * np.log10(before / after)
    return {
        "rows": len(errors),
        "start_s": START_S,
        "start_snr_gain_db": _rounded(start),
        "rest_snr_gain_db": _rounded(rest),
        "start_below_rest_db": _rounded(rest - start),
    }


def _rounded(value: SupportsFloat) -> float:
    return round(float(value), DIGITS)
