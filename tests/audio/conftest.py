"""Small corpora for the audio tests."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tinyse.audio.io import write_audio

HEADER = "path,kind,split,group,start,end,sample_rate\n"


@pytest.fixture
def noise_of():
    """float32 samples of seeded noise."""

    def make(n: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-0.3, 0.3, n).astype(np.float32)

    return make


@pytest.fixture
def close(monkeypatch):
    """Makes a folder one that may not be entered, to root as well."""
    scandir = os.scandir

    def refuse(closed: Path) -> None:
        def enter(folder):
            if Path(folder) == closed:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", enter)

    return refuse


@pytest.fixture
def small_corpus(tmp_path, noise_of) -> Path:
    """A manifest over six files of 6 s: speech and noise in each split."""
    rows = []
    for number, (kind, split) in enumerate(
        (kind, split) for kind in ("speech", "noise") for split in ("train", "valid", "test")
    ):
        path = f"{split}/{kind}.flac"
        write_audio(tmp_path / path, noise_of(96000, number))
        rows.append(f"{path},{kind},{split},{kind}-{split},0,96000,16000\n")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(HEADER + "".join(rows))
    return manifest
