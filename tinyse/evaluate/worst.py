"""The rows that gained least, and their sound: what a mean hides and an ear finds.

DIR/01_ID_noisy.wav   01_ID_enhanced.wav   01_ID_clean.wav       the worst row is 01
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.io import write_audio
from tinyse.audio.lists import MixtureList
from tinyse.enhance import open_enhancer
from tinyse.errors import InputError
from tinyse.evaluate.rows import Row, rendered
from tinyse.evaluate.summary import rounded


def worst_of(rows: Sequence[Row], count: int) -> list[dict[str, Any]]:
    """The `count` rows of the lowest SDR gain, the worst first, as they stand in JSON."""
    return [_described(row) for row in sorted(rows, key=lambda row: row.sdr_gain)[:count]]


def _described(row: Row) -> dict[str, Any]:
    facts = {
        "id": row.id, "group": row.group, "noise_class": row.noise_class, "snr_db": row.snr_db,
    }  # fmt: skip
    sides = {side: row.scores[side]["sdr"] for side in ("in", "out")}
    scores = {f"sdr_{side}": rounded(sdr) for side, sdr in sides.items() if sdr is not None}
    return facts | scores | {"sdr_gain": rounded(row.sdr_gain)}


def refuse_used(folder: Path, force: bool = False) -> None:
    """InputError where `folder` holds something already: which files come is known too late."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is no folder", folder, "give another")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise InputError("is not empty", folder, "give another folder, or --force")


def write_worst(
    ids: Sequence[str],
    mixtures: MixtureList,
    model: Path | str,
    folder: Path,
    runtime: str = "tflm",
) -> None:
    """Noisy, enhanced and clean sound of the rows `ids` of `mixtures`, numbered as they come."""
    enhancer = open_enhancer(model, runtime)
    listed = {row.id: row for row in mixtures.rows}
    for place, name in enumerate(ids, start=1):
        mixture = rendered(mixtures, listed[name])
        sounds: dict[str, NDArray[np.floating]] = {
            "noisy": mixture.mixture,
            "enhanced": enhancer.whole(mixture.mixture),
            "clean": mixture.target,
        }
        stem = f"{place:02d}_{re.sub(r'[^A-Za-z0-9._-]', '_', name)}"
        for side, sound in sounds.items():
            write_audio(folder / f"{stem}_{side}.wav", sound)
