"""Indexing: each known folder shape in small, plain folders, and what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tinyse.audio import shapes
from tinyse.audio.corpora import read_manifest
from tinyse.audio.io import write_audio
from tinyse.audio.lists import read_list
from tinyse.audio.prepare import prepare
from tinyse.cli import main
from tinyse.errors import InputError


@pytest.fixture
def fill(tmp_path, noise_of):
    """Makes files of 1.5 s below a folder named `corpus`."""

    def make(*paths, rate=16000):
        for seed, path in enumerate(paths):
            write_audio(tmp_path / "corpus" / path, noise_of(24000, seed), rate)
        return tmp_path / "corpus"

    return make


def _splits(corpus, kind):
    return {(i.speaker or i.noise_class, i.split) for i in corpus.select(kind)}


def test_voicebank_demand_keeps_its_splits_and_speakers(fill, tmp_path):
    folder = fill(
        "clean_trainset_28spk_wav/p226_001.wav", "clean_trainset_28spk_wav/p228_001.wav",
        "clean_testset_wav/p232_001.wav", "clean_testset_wav/p257_002.wav",
        "noisy_trainset_28spk_wav/p226_001.wav", "noisy_testset_wav/p232_001.wav", rate=48000,
    )  # fmt: skip
    said = []
    corpus = prepare([folder], tmp_path / "manifest.csv", notices=said.append)
    assert {(i.speaker, i.split) for i in corpus.intervals} == {
        ("voicebank-demand-p226", "valid"), ("voicebank-demand-p228", "train"),
        ("voicebank-demand-p232", "test"), ("voicebank-demand-p257", "test"),
    }  # fmt: skip
    assert all(i.file_rate == 48000 and i.end == 8000 for i in corpus.intervals)
    assert any("no noise in split train" in text for text in said)


def test_dns_readers_and_noise_classes(fill, tmp_path):
    readers = [f"book_0001_chp_0002_reader_0{n}_{k}.wav" for n in range(10, 20) for k in (0, 1)]
    folder = fill(
        *(f"clean_fullband/read_speech/{name}" for name in readers),
        *(f"noise_fullband/munching_Freesound_validated_3953{n:02d}_{k}.wav"
          for n in range(10) for k in (0, 1)),
        "impulse_responses/room.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv", rows=2, valid=0.2, test=0.3)
    speech = corpus.select("speech")
    assert len(speech) == 20 and len({i.speaker for i in speech}) == 10
    assert [len({i.group for i in corpus.select(kind, split)})
            for kind in ("speech", "noise") for split in ("train", "valid", "test")
            ] == [5, 2, 3, 5, 2, 3]  # fmt: skip
    assert {i.noise_class for i in corpus.select("noise")} == {"munching"}
    assert len(read_list(tmp_path / "mixtures_test.csv").rows) == 12
    again = prepare([folder], tmp_path / "manifest.csv", rows=2, valid=0.2, test=0.3, force=True)
    assert again.intervals == corpus.intervals


def test_ms_snsd_gives_a_share_of_its_training_part_to_valid(fill, tmp_path):
    folder = fill(
        *(f"clean_train/clnsp{n}.wav" for n in range(10)), "clean_test/clnsp1.wav",
        *(f"noise_train/AirConditioner_{n}.wav" for n in range(10)), "noise_test/Typing_1.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv", rows=1)
    assert [len(corpus.select("speech", s)) for s in ("train", "valid", "test")] == [9, 1, 1]
    assert _splits(corpus, "noise") == {
        ("airconditioner", "train"), ("airconditioner", "valid"), ("typing", "test"),
    }  # fmt: skip


def test_chime2_takes_the_reverberated_speech_and_the_background(fill, tmp_path):
    folder = fill(
        "train/reverberated/id1/bgaa9a.wav", "train/background/CR_lounge_1.wav",
        "devel/reverberated/id2/bgaa9a.wav", "test/reverberated/s3_x.wav",
        "devel/isolated/9dB/s1_noisy.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv")
    assert _splits(corpus, "speech") == {
        ("chime2-id1", "train"), ("chime2-id2", "valid"), ("chime2-s3", "test"),
    }  # fmt: skip
    assert _splits(corpus, "noise") == {("cr_lounge", "train")}


def test_groups_without_a_split_share_with_those_that_train(fill, tmp_path):
    folder = fill(
        "train/background/CR_lounge_1.wav", "test/background/CR_hall_1.wav",
        "background/CR_kitchen_1.wav", "background/CR_bath_1.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv", valid=0.4)
    assert [len(corpus.select("noise", s)) for s in ("train", "valid", "test")] == [2, 1, 1]
    assert {i.path for i in corpus.select("noise", "test")} == {
        "corpus/test/background/CR_hall_1.wav"
    }


def test_chime2_of_the_wall_street_journal(fill, tmp_path):
    folder = fill(
        "reverberated/si_tr_s/011/011c0201.wav", "reverberated/si_dt_05/050/050c0101.wav",
        "reverberated/si_et_05/440/440c0201.wav", "isolated/si_tr_s/011/011c0201.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv")
    assert _splits(corpus, "speech") == {
        ("chime2-011", "train"), ("chime2-050", "valid"), ("chime2-440", "test"),
    }  # fmt: skip


def test_demand_has_one_channel_of_each_place(fill, tmp_path):
    folder = fill(*(f"{place}/ch{n:02d}.wav" for place in ("DKITCHEN", "TMETRO") for n in (1, 2)))
    corpus = prepare([folder], tmp_path / "manifest.csv", valid=0, test=0)
    assert {(i.path, i.noise_class) for i in corpus.intervals} == {
        ("corpus/DKITCHEN/ch01.wav", "dkitchen"), ("corpus/TMETRO/ch01.wav", "tmetro"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["TRAIN", "TEST", "SPEECH", "NOISE", "DATA"])
def test_a_folder_in_capitals_is_not_demand_yet(fill, tmp_path, name):
    folder = fill(f"{name}/ch01.wav", f"{name}/ch02.wav")
    with pytest.raises(InputError, match="known shapes"):
        prepare([folder], tmp_path / "manifest.csv")


def test_demand_among_the_noise_of_another_corpus_is_not_all_of_it(fill, tmp_path):
    """Nor is more than a channel of it taken: they are of one recording, and would be apart."""
    folder = fill(
        "clean/reader_01_0.wav", "clean/reader_02_0.wav", "noise/DKITCHEN/ch01.wav",
        "noise/DKITCHEN/ch02.wav", "noise/rain.wav",
    )  # fmt: skip
    corpus = prepare([folder], tmp_path / "manifest.csv", valid=0, test=0)
    assert {i.source for i in corpus.intervals} == {"dns"} and len(corpus.select("speech")) == 2
    assert {(i.path, i.noise_class) for i in corpus.select("noise")} == {
        ("corpus/noise/DKITCHEN/ch01.wav", "dkitchen"), ("corpus/noise/rain.wav", "rain"),
    }  # fmt: skip


def test_a_shape_without_its_files_is_said_of_the_folder(fill, tmp_path):
    folder = fill("DKITCHEN/ch02.wav")
    with pytest.raises(InputError, match="corpus: looks like demand, and holds none of its files"):
        prepare([folder], tmp_path / "manifest.csv")
    assert not (tmp_path / "manifest.csv").exists()


def test_plain_folders_group_by_speaker_folder_or_file(fill, tmp_path):
    folder = fill(
        "s/anna/1.flac", "s/anna/2.flac", "s/84-121123-0001.flac", "n/rain.wav", "n/a.opus"
    )
    corpus = prepare([], tmp_path / "m.csv", speech=[folder / "s"], noise=[folder / "n"], valid=0)
    assert {i.group for i in corpus.select("speech")} == {"s-anna", "s-84"}
    assert len({i.group for i in corpus.select("noise")}) == 2
    assert read_manifest(tmp_path / "m.csv").intervals == corpus.intervals


def test_unreadable_files_are_left_out_with_a_notice(fill, tmp_path):
    folder = fill("n/a.wav")
    (folder / "n" / "bad.wav").write_bytes(b"nothing")
    said = []
    corpus = prepare([], tmp_path / "m.csv", noise=[folder / "n"], notices=said.append)
    assert len(corpus.intervals) == 1 and any("bad.wav" in text for text in said)


def test_a_name_that_is_not_utf8_is_left_out_with_a_notice(fill, tmp_path):
    folder = fill("n/a.wav")
    (folder / "n" / "a.wav").rename(folder / "n" / os.fsdecode(b"caf\xe9.wav"))
    fill("n/a.wav")
    said = []
    corpus = prepare([], tmp_path / "m.csv", noise=[folder / "n"], notices=said.append)
    assert [interval.path for interval in corpus.intervals] == ["corpus/n/a.wav"]
    assert any(r"caf\udce9.wav: has a name that is not UTF-8; rename" in text for text in said)


def _two_groups_a_split(fill):
    return fill(
        *(f"s/{name}/1.wav" for name in ("anna", "ben", "cleo")),
        *(f"n/{name}/1.wav" for name in ("rain", "wind", "hum")),
    )


def test_lists_of_an_earlier_manifest_go(fill, tmp_path):
    folder = _two_groups_a_split(fill)
    parts = {"speech": [folder / "s"], "noise": [folder / "n"], "rows": 1}
    prepare([], tmp_path / "m.csv", **parts)
    prepare([], tmp_path / "m.csv", **parts, valid=0, force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "m.csv", "mixtures_test.csv"}
    with pytest.raises(InputError, match="is the name of a list"):
        prepare([], tmp_path / "mixtures_valid.csv", **parts, force=True)


def test_audio_that_no_list_can_be_drawn_from_writes_nothing(fill, tmp_path):
    folder = _two_groups_a_split(fill)
    for file in (folder / "n").rglob("*.wav"):
        soundfile.write(file, np.full(24000, np.nan), 16000, "FLOAT")
    for out in ("m.csv", "new/deep/m.csv"):
        with pytest.raises(InputError, match=r"1\.wav: holds NaN .*; remove it and prepare again"):
            prepare([], tmp_path / out, speech=[folder / "s"], noise=[folder / "n"])
        assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize("meets", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_folders_that_were_new_go_whatever_ends_it(fill, tmp_path, monkeypatch, meets):
    folder = _two_groups_a_split(fill)
    (tmp_path / "there").mkdir()

    def draw(*_):
        raise meets

    monkeypatch.setattr("tinyse.audio.prepare.draw_list", draw)
    for out in ("new/deep/m.csv", "there/new/m.csv"):
        with pytest.raises((KeyboardInterrupt, OSError)):
            prepare([], tmp_path / out, speech=[folder / "s"], noise=[folder / "n"])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "there"]
        assert not any((tmp_path / "there").iterdir())


def test_speech_too_short_for_a_list_still_makes_a_manifest(fill, noise_of, tmp_path):
    folder = _two_groups_a_split(fill)
    for file in (folder / "s").rglob("*.wav"):
        write_audio(file, noise_of(8000, 1))
    prepare([], tmp_path / "m.csv", speech=[folder / "s"], noise=[folder / "n"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "m.csv"]


def test_what_is_refused_writes_nothing(fill, tmp_path):
    folder = fill("x/a.wav")
    out = tmp_path / "m.csv"
    for arguments, says in (
        ({"folders": [folder]}, "known shapes"),
        ({"folders": []}, "no folder was named"),
        ({"folders": [tmp_path / "none"]}, "is not a folder"),
        ({"folders": [], "noise": [folder], "valid": 0.7, "test": 0.5}, "under 1"),
    ):
        with pytest.raises(InputError, match=says):
            prepare(out=out, **arguments)
        assert not out.exists()
    out.write_text("mine")
    with pytest.raises(InputError, match="exists already; name a manifest in another folder or"):
        prepare([], out, noise=[folder])
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("out", "such_as"),
    [
        (".", "manifest.csv"),
        ("/", "/manifest.csv"),
        ("mycorpus", "mycorpus/manifest.csv"),
        ("-", "-/manifest.csv"),
        ("m.toml", "manifest.csv"),
        ("corpus/x/a.wav", "manifest.csv"),
    ],
)
def test_a_manifest_has_the_suffix_of_a_table(fill, tmp_path, monkeypatch, out, such_as):
    fill("x/a.wav")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    words = ["data", "prepare", "--noise", "corpus", "-o", out, "--force"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    says = f"is no name of a manifest; give one that ends in .csv, such as {such_as}\n"
    assert done.stderr.endswith(says), done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_may_not_be_entered_is_refused(fill, tmp_path, close):
    folder = fill("n/open/a.wav", "n/closed/b.wav")
    close(folder / "n" / "closed")
    with pytest.raises(InputError, match=r"n/closed: cannot be read \(Permission denied\); "):
        prepare([], tmp_path / "m.csv", noise=[folder / "n"])
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize(
    ("stem", "speaker", "noise_class"),
    [
        ("book_00000_chp_0009_reader_06709_0", "reader_06709", "book"),
        ("p226_001", "p226", ""),
        ("84-121123-0001", "84", ""),
        ("AirConditioner_1", "", "airconditioner"),
        ("munching_Freesound_validated_395390_0", "", "munching"),
    ],
)
def test_names(stem, speaker, noise_class):
    assert shapes.speaker_of(stem) == speaker
    assert shapes.class_of(stem) == noise_class
