"""What is measured on training data, where a recording of noise is silent."""

import warnings

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.network.gradients import batch
from tinyse.training.calibrate import fixed_filter


def test_silence_has_a_fixed_filter_of_numbers():
    sound = batch()
    silent = sound | {key: np.zeros_like(sound[key]) for key in ("speech", "noise")}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        nothing, both = fixed_filter([silent]), fixed_filter([sound, silent])
    assert np.array_equal(nothing, np.zeros(257, np.float32))
    assert np.array_equal(both, fixed_filter([sound])) and both.any()
