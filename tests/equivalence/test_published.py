"""Every published model, freshly exported: what it computes on real noisy speech, byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.equivalence.compare import compare_with_tflm
from tinyse import features
from tinyse.audio.lists import read_list, render
from tinyse.audio.synth import demo_mixture
from tinyse.enhance import read_normalisation
from tinyse.export import export_model
from tinyse.files import packaged
from tinyse.runtimes import open_runtime

pytest.importorskip("tflite_micro")

PUBLISHED = sorted(path.parent for path in packaged("models").glob("*/metrics.json"))
FRAMES = 2000
# Mask steps of 1/256: LiteRT's fused LSTM rounds otherwise, and its state carries that on.
LITERT_MOST = 16
FLOAT_RMS, FLOAT_MOST = 0.02, 0.35

pytestmark = pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def speech(request) -> np.ndarray:
    """More than 2,000 frames' worth of noisy speech: recordings where they are, else synthetic."""
    try:
        mixtures = read_list(request.getfixturevalue("data_folder") / "mixtures_test.csv")
        rows = [render(mixtures, row).mixture for row in mixtures.rows[:8]]
    except pytest.skip.Exception:
        pytest.importorskip("espeakng_loader")
        rows = [demo_mixture(seed).mixture for seed in range(1, 5)]
    return np.concatenate(rows)


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


def test_litert_deviates_by_a_bounded_number_of_steps(folder, tmp_path, speech):
    pytest.importorskip("ai_edge_litert")
    file, frames = exported(folder, tmp_path, speech)
    runtimes = [open_runtime(name, file) for name in ("tflm", "litert")]
    steps = runtimes[0].info.input.quantise(frames)
    first, second = (runtime.run(steps).astype(int) for runtime in runtimes)
    apart = np.abs(first - second)
    print(f"{folder.name}: LiteRT: {np.count_nonzero(apart):,} of {apart.size:,} bytes differ,"
          f" at most by {apart.max()}")  # fmt: skip
    assert apart.max() <= LITERT_MOST


def test_the_file_deviates_from_float_by_a_bounded_mask(folder, tmp_path, speech):
    pytest.importorskip("tensorflow")
    file, frames = exported(folder, tmp_path, speech)
    exact, reference = open_runtime("tflm", file), open_runtime("keras_model", folder)
    mask = exact.info.output.dequantise(exact.run(exact.info.input.quantise(frames)))
    apart = mask - reference.run(frames)
    rms = float(np.sqrt(np.mean(apart**2)))
    print(
        f"{folder.name}: int8 against float mask: RMS {rms:.4f}, at most {np.abs(apart).max():.3f}"
    )
    assert rms <= FLOAT_RMS and np.abs(apart).max() <= FLOAT_MOST


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
