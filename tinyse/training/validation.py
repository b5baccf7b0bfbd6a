"""The figure that choices are made by: mean SI-SDR gain over the headline rows of a list.

Spectra and features of the list are computed once a run; an epoch costs the forward pass, an
inverse STFT and two dot products a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.audio.lists import Mixture, MixtureList, render
from tinyse.errors import InputError
from tinyse.metrics import CAP_DB, si_sdr
from tinyse.network import backend
from tinyse.network.build import forward
from tinyse.network.tensors import Tensor
from tinyse.recipe import Network

_ROWS_A_CALL = 16

Given = TypeVar("Given")  # what a forward pass takes: parameters, or masks beside them


class Validation(Generic[Given]):
    """A list, rendered, ready to be enhanced again and again."""

    def __init__(
        self,
        network: Network,
        mixtures: MixtureList,
        normalisation: features.Normalisation,
        masks: Callable[[Given, Tensor], Tensor] | None = None,
        tell: Callable[[int, int], None] = lambda done, parts: None,
    ) -> None:
        """`masks(parameters, features)` is the network's float forward pass unless given.

        tell : called with rows rendered and all of them
        """
        wanted = mixtures.headline_db
        rows = [
            row for row in mixtures.rows if (row.snr_db in wanted if wanted else not row.is_clean)
        ]
        if not rows:
            raise InputError("has no noisy row", mixtures.name, "use another list")
        self._rows: list[_Row] = []
        for row in rows:
            try:
                self._rows.append(_Row.of(render(mixtures, row), normalisation))
            except InputError as error:
                where = f"{mixtures.name} row {row.id}, {error.where}"
                raise InputError(error.what, where, error.remedy) from error
            tell(len(self._rows), len(rows))
        self.name = Path(mixtures.name).stem
        # One shape, so that one program serves all rows.
        self._frames = max(len(row.features) for row in self._rows)
        self._forward = backend.compiled(masks or partial(forward, network))

    def si_sdr_gain(self, parameters: Given, check: Callable[[], None] = lambda: None) -> float:
        """Mean gain in dB of the network with `parameters`; `check` is called between its parts."""
        gains = []
        for at in range(0, len(self._rows), _ROWS_A_CALL):
            rows = self._rows[at : at + _ROWS_A_CALL]
            padded = np.zeros((_ROWS_A_CALL, self._frames, features.BANDS), np.float32)
            for slot, row in zip(padded, rows, strict=False):
                slot[: len(row.features)] = row.features
            masks = np.asarray(self._forward(parameters, padded))
            gains += [row.gain(mask) for row, mask in zip(rows, masks, strict=False)]
            check()
        return float(np.mean(gains))


class _Row:
    def __init__(
        self,
        spectrum: NDArray[np.complex64],
        frames: NDArray[np.float32],
        target: NDArray[np.float64],
        noisy_si_sdr: float,
    ) -> None:
        self.features = frames
        self._spectrum, self._target, self._noisy = spectrum, target, noisy_si_sdr

    @classmethod
    def of(cls, mixture: Mixture, normalisation: features.Normalisation) -> _Row:
        spectrum = features.stft(mixture.mixture)
        target = mixture.target.astype(np.float64)
        before = si_sdr(target, mixture.mixture.astype(np.float64))
        frames = normalisation.features(spectrum)
        return cls(spectrum.astype(np.complex64), frames, target, before)

    def gain(self, mask: NDArray[np.float32]) -> float:
        if not np.isfinite(mask).all():
            return math.nan
        gains = features.bin_gains(mask[: len(self.features)])
        estimate = features.istft(self._spectrum * gains, len(self._target))
        # A silent output counts as in `evaluate`: it must not take the mean of all rows with it.
        return max(si_sdr(self._target, estimate), -CAP_DB) - self._noisy
