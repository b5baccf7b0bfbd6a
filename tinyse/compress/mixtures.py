"""What the re-solving listens to: features of training mixtures, made without Keras.

`training.losses.mixed` makes the same in the graph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.features import WINDOW, Normalisation, stft
from tinyse.recipe import Recipe

ROWS = 96  # mixtures; with the default 250 frames each, 24,000 frames for 384 inputs of a layer
_STEP = 10**9  # a batch that no training reaches
_TINY = 1e-10


def calibration(
    recipe: Recipe, data: Path, statistics: Normalisation, rows: int = ROWS
) -> NDArray[np.float32]:
    """Features [rows, T, n] of mixtures of the training split in folder `data`."""
    from tinyse.audio import pools
    from tinyse.audio.corpora import corpus_of_recipe
    from tinyse.audio.mixing import Mixer

    decoded = pools.decode(corpus_of_recipe(recipe.data, data))
    train = recipe.train
    mixer = Mixer(*decoded.load(), recipe.mixing, train.seed, train.frames)
    return features_of(statistics, mixer.batch(_STEP, rows))


def features_of(
    statistics: Normalisation, batch: dict[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Features [S, T, n] of a batch of `audio.mixing.Mixer`."""
    drawn = (batch[key] for key in ("speech", "noise", "equaliser", "snr_db", "level_dbfs"))
    return np.stack([_features(statistics, *row) for row in zip(*drawn, strict=True)])


def _features(
    statistics: Normalisation,
    speech: NDArray,
    noise: NDArray,
    equaliser: NDArray,
    snr_db: float,
    level_dbfs: float,
) -> NDArray[np.float32]:
    pair = zip((speech, noise), equaliser, strict=True)
    clean, noisy = (stft(sound) * gains for sound, gains in pair)
    # Noise alone has no SNR: it stays as it is, and the level below is its own.
    gain = np.sqrt(_level(clean) / (_level(noisy) * 10 ** (snr_db / 10) + _TINY))
    mixture = clean + (gain if _level(clean) >= _TINY else 1.0) * noisy
    loud = 10 ** (level_dbfs / 20) / np.sqrt(_level(mixture) + _TINY)
    return statistics.features(mixture * loud)


def _level(spectrum: NDArray) -> float:
    """Mean square of the sound behind a one-sided spectrum [T, 257]."""
    return 4 * float(np.mean(np.sum(np.abs(spectrum) ** 2, axis=1))) / WINDOW**2
