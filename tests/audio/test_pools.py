"""A corpus is decoded once, exactly, and an interval that its file does not hold is refused."""

import shutil

import numpy as np
import pytest
import soundfile

from tinyse.audio import pools
from tinyse.audio.corpora import read_manifest
from tinyse.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_decoded_intervals_hold_the_samples_of_their_files(tiny_corpus):
    corpus = read_manifest(tiny_corpus / "manifest.csv")
    speech, noise = pools.decode(corpus).load()
    files = sorted((tiny_corpus / "train" / "speech").iterdir())
    expected = np.concatenate([soundfile.read(file, dtype="int16")[0] for file in files])
    np.testing.assert_array_equal(speech.samples, expected)
    assert speech.group.tolist() == noise.group.tolist() == [0, 1]
    assert [len(m) for m in speech.members()] == [1, 1]


def test_the_second_call_decodes_nothing(tiny_corpus, monkeypatch):
    corpus = read_manifest(tiny_corpus / "manifest.csv")
    first = pools.decode(corpus)
    monkeypatch.setattr(pools, "_decode", None)
    assert pools.decode(corpus) == first


def test_a_part_of_a_corpus_has_pools_of_its_own(tiny_corpus):
    corpus = read_manifest(tiny_corpus / "manifest.csv")
    whole, _ = pools.decode(corpus).load()
    part, _ = pools.decode(corpus.part(0.5)).load()
    again, _ = pools.decode(corpus).load()
    assert (len(whole.members()), len(part.members()), len(again.members())) == (2, 1, 2)


def test_files_that_have_changed_are_decoded_again(tiny_corpus, tmp_path):
    """The manifest names paths and lengths alone: neither tells one sound from another."""
    folder = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    before, kept_noise = pools.decode(read_manifest(folder / "manifest.csv")).load()
    file = min((folder / "train" / "speech").iterdir())
    sound, rate = soundfile.read(file, dtype="int16")
    soundfile.write(file, sound[::-1], rate)
    speech, noise = pools.decode(read_manifest(folder / "manifest.csv")).load()
    np.testing.assert_array_equal(speech.samples[: len(sound)], sound[::-1])
    assert len(speech.samples) == len(before.samples)
    np.testing.assert_array_equal(noise.samples, kept_noise.samples)


def test_an_interval_past_the_end_of_its_file_is_refused(tiny_corpus, tmp_path):
    text = (tiny_corpus / "manifest.csv").read_text().replace("96000,16000", "96001,16000", 1)
    manifest = tiny_corpus / "longer.csv"
    manifest.write_text(text)
    with pytest.raises(InputError, match="expected samples up to 96001"):
        pools.decode(read_manifest(manifest))
    assert not list((tmp_path / "cache").rglob("*speech.npy"))
    manifest.unlink()
