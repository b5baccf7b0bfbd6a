"""What training minimises: mix a batch in the graph, enhance it, compare in time or in spectrum.

A batch is what `audio.mixing.Mixer` draws.  Spectra are pairs (real, imaginary) [B, T, 257].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.features import WINDOW
from tinyse.network import features_in_graph as graph
from tinyse.network.build import forward
from tinyse.network.features_in_graph import Spectrum
from tinyse.network.precision import cpu_calls
from tinyse.network.tensors import Tensor
from tinyse.recipe import Loss, Network

Batch = Mapping[str, Tensor]

_TINY = 1e-10
# Frames of a spectrum hold sum(window^2) * n / hop = 256 times the energy of the sound.
_ENERGY = WINDOW / 2
# Rows of noise alone are compared with what is left when 20 dB of it are gone.
_NOISE_ALONE = 0.01


def mixed(batch: Batch) -> tuple[Spectrum, Spectrum]:
    """Spectra of mixture and target of a batch, equalised, at their SNR and level."""
    speech = _equalised(graph.spectrum(batch["speech"]), batch["equaliser"][:, 0])
    noise = _equalised(graph.spectrum(batch["noise"]), batch["equaliser"][:, 1])
    ratio = 10 ** (batch["snr_db"] / 10)
    ratio = ops.sqrt(_level(speech) / (_level(noise) * ratio + _TINY))
    # Noise alone has no SNR: it stays as it is, and the level below is its own.
    noise = _scaled(noise, ops.where(_level(speech) < _TINY, ops.ones_like(ratio), ratio))
    mixture = speech[0] + noise[0], speech[1] + noise[1]
    gain = 10 ** (batch["level_dbfs"] / 20) / ops.sqrt(_level(mixture) + _TINY)
    return _scaled(mixture, gain), _scaled(speech, gain)


def _equalised(spectrum: Spectrum, gains: Tensor) -> Spectrum:
    return spectrum[0] * gains[:, None], spectrum[1] * gains[:, None]


def _scaled(spectrum: Spectrum, gain: Tensor) -> Spectrum:
    return spectrum[0] * gain[:, None, None], spectrum[1] * gain[:, None, None]


def _level(spectrum: Spectrum) -> Tensor:
    """Mean square of the sound behind a spectrum [B], of one-sided bins."""
    return 2 * ops.mean(ops.sum(graph.power(spectrum), axis=2), axis=1) / (WINDOW * _ENERGY)


def batch_loss(
    network: Network,
    loss: Loss,
    parameters: Mapping[str, Tensor],
    batch: Batch,
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
) -> Tensor:
    """The weighted loss of a batch; mean, std [128] normalise the features."""
    task = mixed_task(loss, batch, mean, std)
    return task.loss_of(forward(network, parameters, task.features))


class Task(NamedTuple):
    """A mixed batch as the network sees it, and what its masks are worth.

    features : [B, T, 128]; loss_of : mask [B, T, 128] -> weighted loss
    """

    features: Tensor
    loss_of: Callable[[Tensor], Tensor]


def mixed_task(
    loss: Loss, batch: Batch, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> Task:
    """Mix a batch; mean, std [128] normalise the features."""
    cpu = cpu_calls()
    if cpu and not (loss.si_sdr or loss.spectral):
        heard = cpu.heard(batch, mean, std)
        return Task(
            heard.features,
            lambda mask: loss.snr * cpu.negative_snr(heard, mask, loss.snr_cap_db, _NOISE_ALONE),
        )
    mixture, target = mixed(batch)
    features = graph.feature_frames(mixture, mean, std)
    return Task(features, lambda mask: mask_loss(loss, mixture, target, mask))


def mask_loss(loss: Loss, mixture: Spectrum, target: Spectrum, mask: Tensor) -> Tensor:
    """The weighted loss of a mask [B, T, 128] on the spectrum of a mixture."""
    estimate = graph.masked(mixture, mask)
    total = 0.0
    least = _NOISE_ALONE * _level(mixture)
    if loss.snr or loss.si_sdr:
        sound, reference = graph.sound(estimate), graph.sound(target)
        if loss.snr:
            total = total + loss.snr * negative_snr(sound, reference, loss.snr_cap_db, least)
        if loss.si_sdr:
            total = total + loss.si_sdr * negative_si_sdr(sound, reference)
    if loss.spectral:
        total = total + loss.spectral * compressed_spectral(estimate, target, least)
    return total


def negative_snr(
    sound: Tensor, reference: Tensor, cap_db: float, least: Tensor | float = 0.0
) -> Tensor:
    """Mean of 10 log10((|reference - sound|^2 + floor) / |reference|^2); the floor caps it.

    least : mean square [B] below which a reference counts as that loud
    """
    error = ops.mean((sound - reference) ** 2, axis=1)
    energy = ops.maximum(ops.mean(reference**2, axis=1), least) + _TINY / 1e3
    ratio = (error + 10 ** (-cap_db / 10) * energy) / energy
    return ops.mean(10 * ops.log10(ratio))


def negative_si_sdr(sound: Tensor, reference: Tensor) -> Tensor:
    """Mean of -10 log10(|a s|^2 / |e - a s|^2), a = <e, s> / <s, s> (Le Roux et al. 2019).

    Rows without a reference count as 0 dB.
    """
    energy = ops.sum(reference**2, axis=1) + _TINY
    scale = ops.sum(sound * reference, axis=1) / energy
    error = ops.sum((sound - scale[:, None] * reference) ** 2, axis=1)
    loss = 10 * ops.log10((error + _TINY) / (scale**2 * energy + _TINY))
    return ops.mean(ops.where(energy > 2 * _TINY, loss, ops.zeros_like(loss)))


def mask_distance(mask: Tensor, teacher: Tensor) -> Tensor:
    """Mean square of the difference of the masks' roots: small gains count as they are heard.

    The offset, one step of the int8 mask, keeps the gradient of the root finite at zero.
    """
    step = 2.0**-8
    return ops.mean((ops.sqrt(mask + step) - ops.sqrt(teacher + step)) ** 2)


def compressed_spectral(
    estimate: Spectrum, target: Spectrum, least: Tensor | float = 0.0, power: float = 0.3
) -> Tensor:
    """0.7 magnitude + 0.3 complex distance of spectra with magnitudes to the power 0.3.

    Rows are brought to one level first, so that quiet rows count (Braun and Tashev 2020); a
    target below the mean square `least` [B] counts as that loud.
    """
    level = ops.sqrt(ops.maximum(_level(target), least) + _TINY)
    estimate, target = _scaled(estimate, 1 / level), _scaled(target, 1 / level)
    # The small offset keeps the gradient of x^0.15 finite at empty bins.
    raised = [(graph.power(s) + 1e-6) ** (power / 2) for s in (estimate, target)]
    magnitude = ops.mean((raised[0] - raised[1]) ** 2)
    shrink = [
        r / ops.sqrt(graph.power(s) + 1e-6) for r, s in zip(raised, (estimate, target), strict=True)
    ]
    parts = [(estimate[i] * shrink[0] - target[i] * shrink[1]) ** 2 for i in range(2)]
    return 0.7 * magnitude + 0.3 * ops.mean(parts[0] + parts[1])
