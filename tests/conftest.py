"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real speech and noise: TINYSE_DATA, else beside the checkout, else skip."""
    folder = Path(os.environ.get("TINYSE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "manifest.csv").exists():
        pytest.skip("no real data here; set TINYSE_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """A corpus of seconds: buzzing "speech" of two speakers a split, hiss and hum as noise."""
    folder = tmp_path_factory.mktemp("tiny_corpus")
    rows, lists = [], {"valid": [], "test": []}
    random = np.random.default_rng(7)
    for split in ("train", "valid", "test"):
        for kind, names in (("speech", "ab"), ("noise", "xy")):
            for name in names:
                rows.append(_recording(folder, split, kind, f"{split}-{name}", random))
        if split != "train":
            lists[split] = [
                _list_row(split, n, snr) for n, snr in enumerate((-5, 0, 5, 10, "clean"))
            ]
    _write(folder / "manifest.csv", rows)
    for split, listed in lists.items():
        _write(folder / f"mixtures_{split}.csv", listed)
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A Ray cluster of two workers, as `ray://HOST:PORT`; skips where Ray is not installed."""
    from tests.clusters import local_cluster

    with local_cluster() as address:
        yield address


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A small network's folder: weights.npz, model.tflite, manifest.json."""
    from tests.network_maker import float_weights
    from tinyse.export import export_model

    folder = tmp_path_factory.mktemp("models") / "small"
    folder.mkdir()
    weights = float_weights(lstm=(24,), dense=(16,), gain=0.8)
    weights["features/mean"][:] = -30
    weights["features/std"][:] = 12
    np.savez(folder / "weights.npz", **weights)
    export_model(folder, folder)
    return folder


def _recording(folder, split, kind, group, random) -> dict:
    seconds = np.arange(6 * RATE) / RATE
    hiss = random.standard_normal(len(seconds))
    if kind == "speech":
        pitch = random.uniform(90, 220)
        buzz = sum(np.sin(2 * np.pi * pitch * k * seconds) / k for k in range(1, 12))
        sound = (
            buzz * (0.55 + 0.45 * np.sin(2 * np.pi * random.uniform(2, 4) * seconds)) + 0.02 * hiss
        )
    else:
        sound = hiss * (1 + 0.5 * np.sin(2 * np.pi * random.uniform(0.3, 1) * seconds))
    path = f"{split}/{kind}/{group}.flac"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / path, 0.3 * sound / np.abs(sound).max(), RATE)
    return {
        "path": path,
        "kind": kind,
        "split": split,
        "group": group,
        "start": 0,
        "end": len(sound),
        "sample_rate": RATE,
    }


def _list_row(split, number, snr) -> dict:
    speaker = f"{split}-{'ab'[number % 2]}"
    noise = f"{split}-{'xy'[number % 2]}"
    clean = snr == "clean"
    return {
        "id": f"{split}-{number:04d}",
        "snr_db": snr,
        "level_dbfs": -24,
        "n_samples": 24_100,
        "speaker": speaker,
        "speech_path": f"{split}/speech/{speaker}.flac",
        "speech_start": 1000 * number,
        "noise_class": "" if clean else "hiss",
        "noise_group": "" if clean else noise,
        "noise_path": "" if clean else f"{split}/noise/{noise}.flac",
        "noise_start": 0 if not clean else "",
        "noise_end": 96_000 if not clean else "",
        "noise_offset": 500 * number if not clean else "",
        "gain_speech": 0.8,
        "gain_noise": 0.0 if clean else 0.8 * 10 ** (-snr / 20),
    }


def _write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
