"""Every published model, freshly exported: what it computes on real noisy speech, byte by byte."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.equivalence.compare import compare_with_tflm
from tinyse import features
from tinyse.audio.lists import Mixture, read_list, render
from tinyse.audio.synth import demo_mixture
from tinyse.enhance import FLOAT_RUNTIME, open_enhancer, read_normalisation
from tinyse.export import export_model
from tinyse.files import packaged
from tinyse.metrics import sdr
from tinyse.runtimes import open_runtime

pytest.importorskip("tflite_micro")

PUBLISHED = sorted(path.parent for path in packaged("models").glob("*/metrics.json"))
FRAMES = 2000
# What may differ is bounded by what it costs: SDR, on average over the recordings, and the mean
# square of the mask.  A state carries a rounding on, so single masks stray further and come back.
MOST_SDR_DB = 0.10
MOST_MASK_RMS = 0.05

pytestmark = pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def recordings(request) -> list[Mixture]:
    """More than 2,000 frames of noisy speech: recordings where they are, else synthetic ones."""
    try:
        mixtures = read_list(request.getfixturevalue("data_folder") / "mixtures_test.csv")
        return [render(mixtures, row) for row in mixtures.rows[:960:40]]
    except pytest.skip.Exception:
        pytest.importorskip("espeakng_loader")
        return [demo_mixture(seed) for seed in range(1, 9)]


@pytest.fixture(scope="module")
def speech(recordings) -> np.ndarray:
    return np.concatenate([recording.mixture for recording in recordings])


def exported(folder: Path, tmp_path: Path, speech) -> tuple[Path, np.ndarray]:
    """The fresh file and FRAMES float feature frames."""
    file = export_model(folder, tmp_path)
    frames = read_normalisation(file).features(features.stft(speech))
    assert len(frames) >= FRAMES
    return file, frames[:FRAMES]


def test_oracle_and_tflm_agree_on_every_byte(folder, tmp_path, speech):
    file, frames = exported(folder, tmp_path, speech)
    steps = open_runtime("oracle", file).info.input.quantise(frames)
    result = compare_with_tflm(file, steps)
    print(f"{folder.name}: {result}")
    assert result.compared["mask"] >= 128 * FRAMES and result.equal, result.differing


def test_reset_repeats_the_stream(folder, tmp_path, speech):
    file, frames = exported(folder, tmp_path, speech)
    runtime = open_runtime("tflm", file)
    steps = runtime.info.input.quantise(frames[:400])
    first = runtime.run(steps)
    runtime.reset()
    np.testing.assert_array_equal(runtime.run(steps), first)


@pytest.fixture(scope="module")
def heard(recordings, speech, tmp_path_factory):
    """(folder, runtime) -> masks of FRAMES frames, and SDR of every recording; measured once."""

    @cache
    def of(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
        file, frames = exported(folder, tmp_path_factory.mktemp("heard"), speech)
        enhancer = open_enhancer(folder if name == FLOAT_RUNTIME else file, name)
        runtime, info = enhancer.runtime, enhancer.runtime.info
        runtime.reset()
        if info.input is None:
            masks = runtime.run(frames)
        else:
            masks = info.output.dequantise(runtime.run(info.input.quantise(frames)))
        return masks, np.array([sdr(r.target, enhancer.whole(r.mixture)) for r in recordings])

    return of


def deviation(folder: Path, heard, names: tuple[str, str]) -> tuple[float, float]:
    """RMS of the difference of two runtimes' masks, and their mean difference in SDR, dB."""
    (masks, scores), (others, other_scores) = (heard(folder, name) for name in names)
    apart = np.abs(masks - others)
    rms, loss = float(np.sqrt(np.mean(apart**2))), float(np.mean(scores - other_scores))
    print(
        f"{folder.name}: {names[0]} against {names[1]}: mask RMS {rms:.4f}, 99 % within"
        f" {np.quantile(apart, 0.99):.3f}, at most {apart.max():.3f}; SDR {loss:+.4f} dB"
    )
    return rms, loss


def test_litert_deviates_within_bounds(folder, heard):
    pytest.importorskip("ai_edge_litert")
    rms, loss = deviation(folder, heard, ("litert", "tflm"))
    assert rms <= MOST_MASK_RMS and abs(loss) <= MOST_SDR_DB


def test_the_file_deviates_from_float_within_bounds(folder, heard):
    pytest.importorskip("tensorflow")
    rms, loss = deviation(folder, heard, (FLOAT_RUNTIME, "tflm"))
    assert rms <= MOST_MASK_RMS and loss <= MOST_SDR_DB


def test_golden_vectors_are_what_tflm_computes(folder):
    golden = np.load(folder / "golden.npz")
    runtime = open_runtime("tflm", folder / "model.tflite")
    np.testing.assert_array_equal(
        runtime.info.input.quantise(golden["features"]), golden["features_q"]
    )
    np.testing.assert_array_equal(runtime.run(golden["features_q"]), golden["mask_q"])


def test_the_published_file_is_what_its_weights_export_to(folder, tmp_path):
    fresh = export_model(folder, tmp_path)
    assert fresh.read_bytes() == (folder / "model.tflite").read_bytes()
