"""The figure that choices are made by."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tinyse.audio.lists import read_list
from tinyse.features import Normalisation
from tinyse.recipe import Network
from tinyse.training.validation import Validation


def test_a_silent_output_counts_as_minus_100_db(tiny_corpus):
    """A network on its way may silence a row; a mean of minus infinity would choose nothing."""
    statistics = Normalisation(np.full(128, -40, np.float32), np.full(128, 12, np.float32))
    mixtures = read_list(tiny_corpus / "mixtures_valid.csv")
    of = [Validation(Network(), mixtures, statistics, lambda gain, x, k=k: x * 0 + k * gain)
          for k in (0, 1)]  # fmt: skip
    silent, unchanged = (each.si_sdr_gain(np.float32(1)) for each in of)
    assert -115 < silent < -90
    assert unchanged == pytest.approx(0, abs=0.5)
