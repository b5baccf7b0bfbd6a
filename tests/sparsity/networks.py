"""Networks that the tests of sparsity share: with a GRU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gru_weights(
    gru: tuple[int, ...] = (9, 7),
    inputs: int = 11,
    outputs: int = 6,
    seed: int = 0,
    gain: float = 1.0,
) -> dict[str, NDArray[np.float32]]:
    """Arrays of a network of GRUs that reset after the product, and a mask."""
    generator = np.random.default_rng(seed)
    arrays, width = {}, inputs
    for index, units in enumerate(gru):
        arrays[f"gru_{index}/kernel"] = generator.normal(0, 0.5 * gain, (width, 3 * units))
        arrays[f"gru_{index}/recurrent"] = generator.normal(0, 0.5 * gain, (units, 3 * units))
        arrays[f"gru_{index}/bias"] = generator.normal(0, 0.5, (2, 3 * units))
        width = units
    arrays["mask/kernel"] = generator.normal(0, 0.5, (width, outputs))
    arrays["mask/bias"] = generator.normal(0, 0.5, outputs)
    arrays["features/mean"] = np.zeros(inputs)
    arrays["features/std"] = np.ones(inputs)
    arrays["range/mask/logits"] = np.array([-6.0, 6.0])
    return {key: value.astype(np.float32) for key, value in arrays.items()}
