"""The tables of the C front end, made from the one definition in `tinyse.features`.

feature set  4 bytes          power floor, feature clip       float32
sine         float32 [257]    sin(pi i / 512): the window, and the FFT's factors by symmetry
upper, band  uint16, uint8 [257], 1 zero       a bin's two bands and the upper one's share
area, mean, slope  float32 [128]    1 / sum of shares; mean, dB; 1 / standard deviation
"""

from __future__ import annotations

import numpy as np

from tinyse import features
from tinyse.pack.format import FEATURES
from tinyse.quant import IntegerNetwork


def frontend_tables(network: IntegerNetwork) -> bytes | None:
    """The tables, or None for a network of other features or without their statistics."""
    statistics = network.normalisation
    ends = network.layers[0].width, network.layers[-1].units
    if statistics is None or ends != (features.BANDS, features.BANDS):
        return None
    bank = features.warp_bank()
    band = (bank > 0).argmax(axis=0)
    upper = np.zeros(features.BINS)
    inside = band < features.BANDS - 1
    upper[inside] = bank[band[inside] + 1, np.flatnonzero(inside)]
    sine = features.window()[: features.HOP + 1]
    bounds = np.array([features.POWER_FLOOR, features.FEATURE_CLIP], "<f4")
    parts = (
        FEATURES,
        bounds,
        sine.astype("<f4"),
        np.rint(upper * 65536).astype("<u2"),
        band.astype(np.uint8),
        bytes(1),
        (1 / bank.sum(axis=1)).astype("<f4"),
        statistics[0].astype("<f4"),
        (1 / statistics[1].astype(np.float64)).astype("<f4"),
    )
    return b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts)
