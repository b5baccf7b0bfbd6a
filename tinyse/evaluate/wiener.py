"""A textbook speech enhancer without training, as a peer on the same rows.

Wiener gains from a decision-directed a-priori SNR, over a noise power that is tracked frame by
frame.  Per bin, with Y the noisy spectrum, N the noise power and S the enhanced spectrum:

    p = 1 / (1 + (1 + o) exp(-|Y|^2 / N  o / (1 + o)))            probability of speech, o = 15 dB
    N <- 0.8 N + 0.2 (p N + (1 - p) |Y|^2)                        Gerkmann and Hendriks, 2012
    x = 0.98 |S_before|^2 / N + 0.02 max(|Y|^2 / N - 1, 0)        Ephraim and Malah, 1984, eq. 51
    S = x / (1 + x) Y,   x >= -25 dB

Frames are those of `tinyse.features` (32 ms, half overlapped), for which both papers give their
constants, so nothing is delayed against the input.  Constants are the papers', not fitted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyse import features

SPEECH_SNR = 10**1.5  # o above: the a-priori SNR that speech, where present, is taken to have
NOISE_KEPT = 0.8
PRESENCE_KEPT, MOST_PRESENCE = 0.9, 0.99  # after long presence N must still move: their eq. 23
CLEAN_KEPT = 0.98
LEAST_SNR = 10**-2.5  # Cappe, 1994: keeps the residual from turning into musical tones
FIRST_FRAMES = 5  # taken for noise alone
LEAST_POWER = 1e-12  # digital silence must not divide by zero


def enhanced(sound: NDArray) -> NDArray[np.float64]:
    """The enhanced sound [n] of a noisy sound [n], aligned."""
    spectrum = features.stft(sound)
    power = spectrum.real**2 + spectrum.imag**2
    return features.istft(wiener_gains(power) * spectrum, len(sound))


def wiener_gains(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains [T, bins] of noisy powers [T, bins]."""
    power = np.maximum(power, LEAST_POWER)
    tracker = NoiseTracker(power[:FIRST_FRAMES].mean(axis=0))
    gains = np.empty_like(power)
    clean = np.zeros(power.shape[1])
    for frame, gain in zip(power, gains, strict=True):
        noise = tracker.update(frame)
        instant = np.maximum(frame / noise - 1, 0)
        prior = np.maximum(CLEAN_KEPT * clean / noise + (1 - CLEAN_KEPT) * instant, LEAST_SNR)
        gain[:] = prior / (1 + prior)
        clean = gain**2 * frame
    return gains


class NoiseTracker:
    """The noise power [bins] under speech that comes and goes."""

    def __init__(self, noise: NDArray[np.float64]) -> None:
        self.noise = noise
        self._presence = np.full(len(noise), 0.5)

    def update(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """The noise power [bins] after a frame of noisy power [bins]."""
        exponent = power / self.noise * (SPEECH_SNR / (1 + SPEECH_SNR))
        presence = 1 / (1 + (1 + SPEECH_SNR) * np.exp(-exponent))
        self._presence = PRESENCE_KEPT * self._presence + (1 - PRESENCE_KEPT) * presence
        stuck = self._presence > MOST_PRESENCE
        presence = np.where(stuck, np.minimum(presence, MOST_PRESENCE), presence)
        expected = presence * self.noise + (1 - presence) * power
        self.noise = NOISE_KEPT * self.noise + (1 - NOISE_KEPT) * expected
        return self.noise
