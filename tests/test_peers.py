"""The other methods: what they do to known sounds, their table, and what is said without them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from docs.generate import pages
from docs.generate.peers import NOTHING, peers_table
from tests.test_evaluate import run
from tinyse.audio.lists import read_list, render
from tinyse.errors import InputError, MissingExtra
from tinyse.evaluate import evaluate, rnnoise
from tinyse.evaluate.text import as_text
from tinyse.evaluate.wiener import NoiseTracker, enhanced, wiener_gains
from tinyse.metrics import si_sdr

RATE = 16_000


def buzzing_voice(seconds: float = 4.0) -> np.ndarray:
    """A voice-like buzz that is there half of the time."""
    time = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    return 0.05 * buzz * (np.sin(2 * np.pi * 1.5 * time) > 0)


def test_the_noise_power_is_found_in_steady_noise() -> None:
    power = np.random.default_rng(0).exponential(3.0, (400, 64))
    tracker = NoiseTracker(np.full(64, 0.5))
    levels = np.array([tracker.update(frame) for frame in power])
    # The largest periodograms of noise are taken for speech: the fixed point is 0.9 dB low.
    assert 10 * np.log10(levels[200:].mean() / 3.0) == pytest.approx(-0.9, abs=0.5)


def test_the_noise_power_does_not_follow_speech_but_a_louder_noise() -> None:
    random = np.random.default_rng(1)
    tracker = NoiseTracker(np.ones(64))
    for frame in random.exponential(1.0, (50, 64)):
        tracker.update(frame)
    before = tracker.noise.mean()
    for frame in random.exponential(1000.0, (12, 64)):  # 0.2 s of a vowel
        tracker.update(frame)
    assert tracker.noise.mean() < 3 * before
    for frame in random.exponential(1000.0, (400, 64)):
        tracker.update(frame)
    assert tracker.noise.mean() > 300


def test_the_filter_gains_in_white_noise_and_keeps_length() -> None:
    speech = buzzing_voice()
    noise = np.random.default_rng(2).normal(0, 1, len(speech))
    noisy = speech + noise * np.sqrt(np.mean(speech**2) / np.mean(noise**2))  # 0 dB
    output = enhanced(noisy)
    assert output.shape == noisy.shape
    assert si_sdr(speech, output) - si_sdr(speech, noisy) > 3
    assert enhanced(noisy[:20_001]).shape == (20_001,)


def test_gains_are_within_bounds_even_in_silence() -> None:
    assert not enhanced(np.zeros(RATE)).any()
    gains = wiener_gains(np.random.default_rng(3).exponential(1, (30, 257)))
    assert gains.min() > 0 and gains.max() < 1


def test_rnnoise_quiets_noise_and_keeps_length() -> None:
    pytest.importorskip("pyrnnoise")
    assert rnnoise.release().startswith("pyrnnoise ")
    noise = np.random.default_rng(4).normal(0, 0.05, 3 * RATE + 7)
    output = rnnoise.enhanced(noise)
    assert output.shape == noise.shape
    assert np.mean(output[RATE:] ** 2) < 0.01 * np.mean(noise**2)


def test_rnnoise_is_aligned_to_the_sample(data_folder) -> None:
    pytest.importorskip("pyrnnoise")
    mixtures = read_list(data_folder / "mixtures_valid.csv")
    for row in [row for row in mixtures.rows if row.snr_db is None][:3]:
        clean = render(mixtures, row).target
        output = rnnoise.enhanced(clean)
        scores = [si_sdr(clean[8:-8], np.roll(output, shift)[8:-8]) for shift in range(-3, 4)]
        assert np.argmax(scores) == 3, scores


@pytest.fixture(scope="module")
def result(small_model, tiny_corpus) -> dict:
    listed = tiny_corpus / "mixtures_test.csv"
    return evaluate(small_model, listed, "oracle", peers=["wiener"], workers=1, with_rows=True)


def test_every_method_has_its_scores_on_the_same_rows(result) -> None:
    peers = result["peers"]
    assert peers["rows"] == result["quality"]["rows"] == 4
    methods = {method["name"]: method for method in peers["methods"]}
    assert list(methods) == ["noisy", "wiener", "int8", "ceiling"]
    assert methods["noisy"]["sdr_gain"] == 0 and methods["noisy"]["version"] is None
    assert methods["int8"]["sdr_gain"] == result["quality"]["sdr_gain"]
    assert methods["int8"]["sdr_gain_ci95"] == result["quality"]["ci95"]["sdr_gain"]
    assert methods["ceiling"]["sdr_gain"] == result["quality"]["ceiling"]["sdr_gain"]
    for method in peers["methods"]:
        assert method["sdr"] == pytest.approx(
            methods["noisy"]["sdr"] + method["sdr_gain"], abs=2e-4
        )


def test_the_text_shows_the_methods(result) -> None:
    lines = as_text(result).splitlines()
    assert any(line.startswith("wiener") and "tinyse" in line for line in lines)
    assert not any(line != line.rstrip() for line in lines)


def test_an_unknown_peer_is_refused(small_model, tiny_corpus) -> None:
    with pytest.raises(InputError, match="unknown peer 'him'"):
        evaluate(small_model, tiny_corpus / "mixtures_test.csv", "oracle", peers=["him"])


def test_a_missing_package_names_its_extra(small_model, tiny_corpus, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrnnoise", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[peers\]"):
        evaluate(small_model, tiny_corpus / "mixtures_test.csv", "oracle", peers=["rnnoise"])
    words = ("evaluate", small_model, "--list", tiny_corpus / "mixtures_test.csv", "--peers")
    done = run(*words)
    assert done.exit_code == 3 and len(done.stderr.splitlines()) == 1


def test_the_generated_table_says_what_the_json_says(result, tmp_path) -> None:
    assert peers_table(tmp_path) == NOTHING
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    metrics = {"model": "small", "list": result["list"], "peers": result["peers"]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = peers_table(tmp_path)
    for said in ("`small`, int8 file", "Wiener filter", "noisy input", "4 rows", "SI-SDR gain"):
        assert said in text, said
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1 and len(rows) == 6


def test_models_of_one_list_share_a_table(result, tmp_path) -> None:
    for name in ("first", "second"):
        (tmp_path / "models" / name).mkdir(parents=True)
        metrics = {"model": name, "list": result["list"], "peers": result["peers"]}
        (tmp_path / "models" / name / "metrics.json").write_text(json.dumps(metrics))
    lines = peers_table(tmp_path).splitlines()
    assert [line for line in lines if "noisy input" in line] == [lines[2]]
    at = [n for n, line in enumerate(lines) if "int8 file" in line]
    assert len(at) == 2 and at[1] == at[0] + 1 and "`second`" in lines[at[1]]


def test_the_page_holds_the_table_of_the_published_models() -> None:
    for path, text in pages(("docs/quality.md",)).items():
        assert path.read_text("utf-8") == text, "run: python -m docs.generate"


def test_models_without_peers_have_no_table(tmp_path) -> None:
    (tmp_path / "models" / "old").mkdir(parents=True)
    (tmp_path / "models" / "old" / "metrics.json").write_text("{}")
    assert peers_table(tmp_path) == NOTHING


@pytest.mark.slow
def test_the_float_network_stands_beside_its_file(small_model, tiny_corpus) -> None:
    pytest.importorskip("keras")
    listed = tiny_corpus / "mixtures_test.csv"
    result = evaluate(small_model, listed, "oracle", against="float", peers=["float"], workers=1)
    gains = {method["name"]: method["sdr_gain"] for method in result["peers"]["methods"]}
    loss = result["against"]["sdr_loss"]
    assert gains["float"] - gains["int8"] == pytest.approx(loss, abs=2e-4)
