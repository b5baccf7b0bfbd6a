"""The embedded corpus: the same for the same seed, its speakers in one split each."""

from __future__ import annotations

import importlib.util
import itertools
import sys

import msgspec
import numpy as np
import pytest

from tinyse.audio import noises, synth, voices
from tinyse.audio.corpora import SPLITS, read_manifest
from tinyse.audio.lists import read_list, render
from tinyse.audio.sentences import LANGUAGES, sentence
from tinyse.errors import InputError, MissingExtra, TinySEError

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="espeakng-loader is not installed"
)


@pytest.fixture(scope="module")
def minute(tmp_path_factory):
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("espeakng-loader is not installed")
    return synth.make_corpus(tmp_path_factory.mktemp("synth") / "a", 1, seed=3)


def test_forty_speakers_no_variant_in_two_splits():
    everyone = [speaker for split in SPLITS for speaker in voices.speakers(split)]
    assert len({speaker.name for speaker in everyone}) == len(everyone) >= 40
    assert len({speaker.variant.lower() for speaker in everyone}) == len(everyone)
    assert {speaker.language for speaker in everyone} == set(LANGUAGES)
    assert all(10 <= speaker.pitch <= 90 and speaker.rate < 200 for speaker in everyone)


def test_a_long_corpus_uses_every_speaker_and_class(tmp_path):
    jobs = synth.plan(tmp_path, 60, seed=1)
    assert len({job.name for job in jobs if job.speaker}) == 48
    classes = {
        split: {job.name for job in jobs if not job.speaker and job.split == split}
        for split in SPLITS
    }
    assert classes["test"] - classes["train"] == set(noises.TEST_ONLY)
    assert len(classes["train"]) == 12


def test_the_corpus_is_like_a_real_one(minute):
    assert {path.name for path in minute.root.iterdir()} == {
        "manifest.csv", "mixtures_valid.csv", "mixtures_test.csv", *SPLITS,
    }  # fmt: skip
    seconds = sum(interval.samples for interval in minute.intervals) / 16000
    assert 55 < seconds < 95
    groups = {s: {i.group for i in minute.intervals if i.split == s} for s in SPLITS}
    assert not any(groups[a] & groups[b] for a, b in itertools.combinations(SPLITS, 2))
    for split in ("valid", "test"):
        mixtures = read_list(minute.root / f"mixtures_{split}.csv")
        assert {row.snr_db for row in mixtures.rows} >= {-5, 0, 5, 10, None}
        got = render(mixtures, mixtures.rows[0])
        assert np.isfinite(got.mixture).all() and got.target.any()


def test_the_same_seed_gives_the_same_bytes(minute, tmp_path):
    again = synth.make_corpus(tmp_path / "b", 1, seed=3)
    for file in sorted(minute.root.rglob("*.*")):
        assert file.read_bytes() == (again.root / file.relative_to(minute.root)).read_bytes(), file
    other = synth.plan(tmp_path, 1, seed=4)
    assert [job.rng().integers(1 << 30) for job in other] != [
        job.rng().integers(1 << 30) for job in synth.plan(tmp_path, 1, seed=3)
    ]


def test_nothing_existing_is_replaced_without_force(minute, tmp_path):
    with pytest.raises(InputError, match="exists already"):
        synth.make_corpus(minute.root, 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="not a corpus"):
        synth.make_corpus(tmp_path / "mine", 1, force=True)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("minutes", "seed"), [(0, 1), (-3, 1), (float("nan"), 1), (1e9, 1), (1, -1)]
)
def test_impossible_lengths_and_seeds(tmp_path, minutes, seed):
    with pytest.raises(InputError):
        synth.make_corpus(tmp_path / "x", minutes, seed)
    assert list(tmp_path.iterdir()) == []


@needs_espeak
def test_a_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise InputError("cannot be written (No space left on device)", "x", "y")

    monkeypatch.setattr(synth, "write_manifest", full)
    monkeypatch.setattr(synth, "map_tasks", lambda *_, **__: [])
    with pytest.raises(InputError, match="No space"):
        synth.make_corpus(tmp_path / "x", 1)
    assert list(tmp_path.iterdir()) == []


@needs_espeak
def test_the_demo_mixture():
    got = synth.demo_mixture(2)
    assert 8 * 16000 <= len(got.mixture) <= 10 * 16000
    noise = got.mixture.astype(float) - got.target
    ratio = np.mean(got.target.astype(float) ** 2) / np.mean(noise**2)
    assert abs(10 * np.log10(ratio) - 2) < 1e-3 and np.abs(got.mixture).max() < 1
    np.testing.assert_array_equal(got.mixture, synth.demo_mixture(2).mixture)


@needs_espeak
def test_every_speaker_speaks_and_no_two_sound_the_same():
    everyone = [speaker for split in SPLITS for speaker in voices.speakers(split)]
    sounds = set()
    for speaker in everyone:
        plain = msgspec.structs.replace(speaker, accent="en-us", pitch=50, range=50, rate=160)
        with voices.Voice(plain) as voice:
            sound = voice.say("seven boxes")
        assert 0.4 * 16000 < len(sound) < 3 * 16000 and 0.02 < np.abs(sound).max() < 0.99
        sounds.add(sound.tobytes())
    assert len(sounds) == len(everyone)


@needs_espeak
def test_an_unknown_voice_is_named():
    speaker = voices.speakers("test")[0]
    with (
        voices.Voice(msgspec.structs.replace(speaker, variant="nobody")) as voice,
        pytest.raises(TinySEError, match="nobody"),
    ):
        voice.say("seven boxes")


@needs_espeak
def test_a_synthesiser_that_dies_is_an_error_not_a_hang():
    with voices.Voice(voices.speakers("test")[0]) as voice:
        voice._process.kill()
        voice._process.wait()
        with pytest.raises(TinySEError, match="stopped"):
            voice.say("seven boxes")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"tinyse\[synth\]") as caught:
        synth.demo_mixture()
    assert caught.value.exit_code == 3


def test_the_library_is_loaded_in_no_other_process():
    assert "espeakng_loader" not in sys.modules


@pytest.mark.parametrize("name", sorted(noises.CLASSES))
def test_each_noise_class(name):
    for n in (16000, 40001):
        sound = noises.recording(name, np.random.default_rng(5), n)
        again = noises.recording(name, np.random.default_rng(5), n)
        assert sound.shape == (n,) and np.isfinite(sound).all() and np.abs(sound).max() <= 0.9
        assert np.sqrt(np.mean(sound**2)) > 10 ** (-45 / 20)
        np.testing.assert_array_equal(sound, again)
    other = noises.recording(name, np.random.default_rng(6), 16000)
    assert not np.array_equal(other, noises.recording(name, np.random.default_rng(5), 16000))


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_drawn(language):
    rng = np.random.default_rng(1)
    said = {sentence(rng, language) for _ in range(50)}
    assert len(said) > 45 and all(text.endswith(".") and len(text.split()) > 6 for text in said)


def test_the_corpus_reads_from_elsewhere(minute, tmp_path):
    (tmp_path / "moved").symlink_to(minute.root)
    assert read_manifest(tmp_path / "moved" / "manifest.csv").intervals == minute.intervals
