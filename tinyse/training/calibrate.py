"""What the export needs to know of the training data: statistics, ranges and a fixed filter.

Taken from batches of the feed (the training split as training sees it), never from a list.
Frames are in order: the cell of an LSTM grows over a sequence, and shuffled frames would show a
range it never has.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.network import backend
from tinyse.network import features_in_graph as graph
from tinyse.network.build import Parameters, activations
from tinyse.recipe import Network
from tinyse.training.losses import Batch, mixed

# Drawn from steps no training reaches, so that it repeats whatever the run's length.
STEPS = (10**9, 10**9 + 24)

# Ranges ignore this share of values at either end: one frame in a million must not cost the
# others their resolution.
_OUTLIERS = 1e-5

# Silence has a weight and a gain too: of nothing, which is zero.
_TINY = np.finfo(np.float64).tiny


def normalisation(batches: Iterable[Batch]) -> features.Normalisation:
    """Band statistics of the mixtures of some batches."""
    mix = backend.compiled(mixed)
    levels = []
    for batch in batches:
        real, imaginary = (np.asarray(part) for part in mix(batch)[0])
        levels.append(features.band_levels(real + 1j * imaginary).reshape(-1, features.BANDS))
    return features.Normalisation.of_levels(np.concatenate(levels))


def ranges(
    network: Network,
    parameters: Parameters,
    batches: Iterable[Batch],
    statistics: features.Normalisation,
) -> dict[str, NDArray[np.float32]]:
    """Lowest and highest value of every activation, `range/NAME` float32 [2]."""

    def observed(parameters: Parameters, batch: Batch) -> Parameters:
        frames = graph.feature_frames(mixed(batch)[0], statistics.mean, statistics.std)
        return activations(network, parameters, frames)

    observe = backend.compiled(observed)
    seen: dict[str, list[NDArray[np.float64]]] = {}
    for batch in batches:
        for name, value in observe(parameters, batch).items():
            ends = np.quantile(np.asarray(value), [_OUTLIERS, 1 - _OUTLIERS])
            seen.setdefault(f"range/{name}", []).append(ends)
    return {
        name: np.array([np.min(ends, 0)[0], np.max(ends, 0)[1]], np.float32)
        for name, ends in seen.items()
    }


def fixed_filter(batches: Iterable[Batch]) -> NDArray[np.float32]:
    """The best single gain per bin float32 [257]: the floor any network must beat.

    g = clip(sum Re(S Y*) / sum |Y|^2, 0, 1) with each mixture weighted by 1 / |y|^2.
    """
    mix = backend.compiled(mixed)
    cross = power = 0.0
    for batch in batches:
        (yr, yi), (sr, si) = ([np.asarray(p, np.float64) for p in pair] for pair in mix(batch))
        energy = yr**2 + yi**2
        weight = 1 / np.maximum(energy.sum((1, 2), keepdims=True), _TINY)
        cross = cross + ((sr * yr + si * yi) * weight).sum((0, 1))
        power = power + (energy * weight).sum((0, 1))
    return np.clip(cross / np.maximum(power, _TINY), 0, 1).astype(np.float32)
