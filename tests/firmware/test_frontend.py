"""tinyse_process against tinyse/features.py: the samples, and what they cost in SDR."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.network_maker import integer_network
from tinyse.audio.synth import demo_mixture
from tinyse.enhance import open_enhancer
from tinyse.features import HOP
from tinyse.files import packaged
from tinyse.metrics import sdr
from tinyse.pack.format import Layout
from tinyse.pack.native import pack
from tinyse.quant import logistic_table
from tinyse.runtimes.native import NativeAudio, NativeModel
from tinyse.tflite.check import load

MODEL = packaged("models", "lstm_256", "model.tflite")
MOST_SDR_DB = 0.02
# Single precision and 16-bit shares of bands: now and then a feature falls on the other side of a
# half step, and the mask follows.
MOST_SAMPLE = 0.01


def processed(audio: NativeAudio, sound) -> np.ndarray:
    """The stream put back in time: 256 samples less at the start, 256 zeros more at the end."""
    blocks = -(-len(sound) // HOP) + 1
    padded = np.zeros(blocks * HOP, np.float32)
    padded[: len(sound)] = sound
    audio.reset()
    return audio.process(padded)[HOP : HOP + len(sound)]


@pytest.fixture(scope="module")
def audio() -> NativeAudio:
    return NativeAudio(NativeModel(pack(load(MODEL).network, Layout.LANES).data))


def test_real_speech_costs_less_than_the_bound(audio, request):
    from tinyse.audio.lists import read_list, render

    try:
        mixtures = read_list(request.getfixturevalue("data_folder") / "mixtures_test.csv")
        recordings = [render(mixtures, row) for row in mixtures.rows[:960:120]]
    except pytest.skip.Exception:
        pytest.importorskip("espeakng_loader")
        recordings = [demo_mixture(seed) for seed in range(1, 5)]
    enhancer = open_enhancer(MODEL, "native")
    losses, furthest = [], 0.0
    for recording in recordings:
        expected = enhancer.whole(recording.mixture)
        found = processed(audio, recording.mixture)
        furthest = max(furthest, float(np.abs(found - expected).max()))
        losses.append(sdr(recording.target, expected) - sdr(recording.target, found.astype(float)))
    print(
        f"samples within {furthest:.5f}; SDR {np.mean(losses):+.4f}, at most {max(losses):.4f} dB"
    )
    assert furthest <= MOST_SAMPLE and np.abs(losses).max() <= MOST_SDR_DB


def test_an_even_mask_scales_the_sound():
    """Weights of zero and a large bias: the front end alone, to single precision."""
    network = integer_network((8,), ())
    last = network.layers[-1]
    bias = np.full(last.units, 1 << 20, np.int32)
    opened = dataclasses.replace(last, kernel=0 * last.kernel, bias=bias)
    network = dataclasses.replace(network, layers=(*network.layers[:-1], opened))
    audio = NativeAudio(NativeModel(pack(network, Layout.LANES).data))
    sound = np.random.default_rng(3).normal(0, 0.2, 16_000).astype(np.float32)
    logits = last.accumulated
    top = (int(logistic_table(logits.scale, logits.zero_point)[-1]) + 128) / 256
    assert np.abs(processed(audio, sound) - top * sound).max() < 2e-6


def test_silence_and_rubbish_give_numbers(audio):
    audio.reset()
    assert np.abs(audio.process(np.zeros(4 * HOP, np.float32))).max() == 0
    loud = np.full(4 * HOP, 1e30, np.float32)
    audio.process(loud)
    rubbish = np.full(2 * HOP, np.nan, np.float32)
    audio.process(rubbish)
    audio.process(np.zeros(2 * HOP, np.float32))
    audio.reset()
    assert np.isfinite(audio.process(np.zeros(2 * HOP, np.float32))).all()
