"""Weights of fewer than eight bits inside an int8 file: 2^bits - 1 values over the same range.

What stays of a sparse matrix then takes fewer bits wherever values are coded: a microNPU's weight
stream, a zip, a bitmap with the values behind.  Same grid as in training (`network.quantised`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyse.quant.post_training import weight_scale
from tinyse.quant.weights import GATES_OF


def coarsened(arrays: dict[str, NDArray], bits: int) -> dict[str, NDArray]:
    """The arrays of a weights.npz with every matrix on the grid of `bits` (2..8) bits.

    Gates have a scale each, a Dense layer has one for every output.
    """
    if bits == 8:
        return arrays
    found = dict(arrays)
    for name, array in arrays.items():
        if name.endswith(("/kernel", "/recurrent")):
            columns: int = array.shape[1]
            found[name] = _on_grid(array, GATES_OF.get(name.partition("_")[0], columns), bits)
    return found


def _on_grid(array: NDArray[np.float32], scales: int, bits: int) -> NDArray[np.float32]:
    magnitudes = 2 ** (bits - 1) - 1
    parts = []
    for part in np.split(array, scales, axis=1):
        scale = weight_scale(part)
        coarse = np.rint(part.astype(np.float64) / scale * (magnitudes / 127))
        steps = np.rint(np.clip(coarse, -magnitudes, magnitudes) * (127 / magnitudes))
        parts.append((steps * scale).astype(np.float32))
    return np.concatenate(parts, axis=1)
