"""The fixed filter and the best mask that a quality figure stands between."""

import numpy as np

from tinyse.evaluate.lines import best_mask, filtered


def test_lines_have_the_length_of_the_sound() -> None:
    sound, clean = np.random.default_rng(0).normal(0, 0.1, (2, 16_001))
    np.testing.assert_allclose(filtered(sound, np.ones(257)), sound, atol=1e-12)
    np.testing.assert_allclose(best_mask(clean, clean), clean, atol=1e-9)


def test_the_best_mask_gains_with_every_bin_and_a_higher_bound() -> None:
    clean, noise = np.random.default_rng(0).normal(0, 0.1, (2, 16_000))
    noisy = clean - 0.6 * noise * clean.std() / noise.std()

    def error(**form) -> float:
        return float(np.mean((best_mask(noisy, clean, **form) - clean) ** 2))

    assert error(bands=False) < error()
    assert error(bound=2.0) < error()
    np.testing.assert_allclose(best_mask(clean / 2, clean, 2.0, False), clean, atol=1e-9)
