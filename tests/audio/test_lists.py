"""Mixture lists: the reference formula to the bit, pairs, and every fault of a list."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.audio.conftest import HEADER
from tinyse.audio.corpora import read_manifest
from tinyse.audio.draw_lists import HEADLINE_DB, draw_list, write_list
from tinyse.audio.io import read_audio, write_audio
from tinyse.audio.lists import (
    MIXTURE_COLUMNS,
    find_list,
    list_csv,
    list_of_corpus,
    lists_of_recipe,
    read_list,
    render,
)
from tinyse.cli import main
from tinyse.errors import InputError
from tinyse.files import packaged
from tinyse.recipe import Data


def test_the_reference_values_of_the_real_lists(data_folder):
    expected = json.loads((data_folder / "verify.json").read_text())
    for split in ("valid", "test"):
        mixtures = read_list(data_folder / f"mixtures_{split}.csv")
        for row in mixtures.rows:
            if row.id in expected:
                facts = expected.pop(row.id)
                mixture = render(mixtures, row).mixture
                assert len(mixture) == facts["samples"]
                assert mixture[1000] == np.float32(facts["sample_1000"])
                assert (
                    hashlib.sha256(mixture.astype("<f4").tobytes()).hexdigest() == facts["sha256"]
                )
    assert not expected


def test_the_real_lists_are_written_as_they_were_read(data_folder):
    mixtures = read_list(data_folder / "mixtures_valid.csv")
    assert list_csv(list(mixtures.rows)) == (data_folder / "mixtures_valid.csv").read_text()
    assert len(mixtures.rows) == 360 and mixtures.rows[-1].snr_db is None


def test_noise_wraps_round(tmp_path):
    write_audio(tmp_path / "s.wav", np.zeros(10))
    write_audio(tmp_path / "n.wav", np.arange(8) / 64)
    (tmp_path / "l.csv").write_text(
        ",".join(MIXTURE_COLUMNS) + "\n" + "a,0,-20,10,anna,s.wav,0,hum,g,n.wav,1,5,3,1.0,2.0\n"
    )
    mixtures = read_list(tmp_path / "l.csv")
    got = render(mixtures, mixtures.rows[0])
    np.testing.assert_array_equal(got.mixture * 32, [4, 1, 2, 3, 4, 1, 2, 3, 4, 1])
    assert not got.target.any() and got.snr_db == 0 and mixtures.rows[0].group == "anna"


def test_drawn_rows_have_their_snr_and_level(small_corpus):
    corpus = read_manifest(small_corpus)
    write_list(corpus, "test", small_corpus.parent / "l.csv", 3, seed=5)
    mixtures = read_list(small_corpus.parent / "l.csv")
    assert [row.snr_db for row in mixtures.rows[:12]] == [s for s in HEADLINE_DB for _ in range(3)]
    for row in mixtures.rows:
        got = render(mixtures, row)
        noise = got.mixture.astype(float) - got.target
        level = 10 * np.log10(np.mean(got.mixture.astype(float) ** 2))
        assert abs(level - row.level_dbfs) < 0.06 and np.abs(got.mixture).max() <= 0.9901
        if row.snr_db is None:
            assert not noise.any()
        else:
            ratio = np.mean(got.target.astype(float) ** 2) / np.mean(noise**2)
            assert abs(10 * np.log10(ratio) - row.snr_db) < 1e-3
    assert draw_list(corpus, "test", 3, 5) == list(mixtures.rows)
    assert draw_list(corpus, "test", 3, 6) != list(mixtures.rows)


@pytest.fixture
def half_silent(tmp_path, noise_of):
    """Two speakers, one noise that can be heard and one that cannot, in one class."""
    rows = []
    for number, name in enumerate(("anna", "ben", "rain", "mute")):
        write_audio(tmp_path / f"{name}.wav", noise_of(20000, number) * (name != "mute"))
        kind = "speech" if number < 2 else "noise"
        rows.append(f"{name}.wav,{kind},test,{name},0,20000,16000,{'wet' * (number > 1)}\n")
    path = tmp_path / "manifest.csv"
    path.write_text(HEADER.replace("\n", ",noise_class\n") + "".join(rows))
    return path


def test_a_silent_file_among_others_is_passed_over(half_silent):
    rows = draw_list(read_manifest(half_silent), "test", 8, 1)
    assert {row.noise_path for row in rows if row.snr_db is not None} == {"rain.wav"}


def test_silence_alone_is_refused_by_its_name(half_silent):
    write_audio(half_silent.parent / "rain.wav", np.zeros(20000))
    with pytest.raises(InputError, match=r"(rain|mute)\.wav: only silence was drawn"):
        draw_list(read_manifest(half_silent), "test", 8, 1)


def test_talkers_of_rooms_are_others_in_a_split_of_two(half_silent):
    """Their turns may begin in step; which seeds those are is chance."""
    pytest.importorskip("pyroomacoustics")
    corpus = read_manifest(half_silent)
    for seed in range(4):
        rows = draw_list(corpus, "test", 1, seed, rooms=True)
        talkers = [row for row in rows if row.noise_class == "talker"]
        assert talkers and all(row.noise_path != row.speech_path for row in talkers)


def test_rooms_need_two_speakers(half_silent):
    corpus = half_silent.read_text().replace("ben.wav,speech", "ben.wav,noise")
    half_silent.write_text(corpus)
    says = r"manifest\.csv: has one speaker in split test, .* needs two; add one"
    with pytest.raises(InputError, match=says):
        draw_list(read_manifest(half_silent), "test", 1, 1, rooms=True)


@pytest.mark.parametrize("name", ["-", ".", "list", "test/noise.flac", "list.txt"])
def test_a_drawn_list_has_the_suffix_of_a_table(small_corpus, monkeypatch, name):
    monkeypatch.chdir(small_corpus.parent)
    before = {path: path.read_bytes() for path in small_corpus.parent.rglob("*.*")}
    done = CliRunner().invoke(main, ["data", "draw", "manifest.csv", "-o", name, "--force"])
    assert done.exit_code == 2 and done.stdout == ""
    says = "is no name of a list; give one that ends in .csv, such as mixtures.csv"
    assert done.stderr == f"error: {name}: {says}\n"
    assert {path: path.read_bytes() for path in small_corpus.parent.rglob("*.*")} == before
    assert not (small_corpus.parent / name).is_file() or "noise" in name


def test_a_list_that_lies_elsewhere_is_told_of_data(small_corpus, tmp_path):
    path = tmp_path / "elsewhere" / "l.csv"
    write_list(read_manifest(small_corpus), "test", path, 1, seed=1)
    with pytest.raises(InputError, match=r"there is no file .*, or name its folder with --data"):
        read_list(path)
    assert len(read_list(path, small_corpus.parent).rows) == 8


def test_a_packaged_list_without_its_audio_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in packaged("lists").glob("*.csv"):
        with pytest.raises(InputError, match=rf"{file.name}: is a packaged list.* with --data"):
            find_list(file.name, None)


@pytest.mark.parametrize(
    ("folders", "names", "group"),
    [
        (("noisy_testset_wav", "clean_testset_wav"), ("p232_001", "p232_002", "p257_001"), "p232"),
        (("noisy", "clean"), ("one", "two"), "one"),
    ],
)
def test_a_folder_of_pairs_is_a_list(tmp_path, noise_of, folders, names, group):
    for seed, folder in enumerate(folders):
        for name in names:
            write_audio(tmp_path / folder / f"{name}.wav", noise_of(500, seed))
    mixtures = read_list(tmp_path)
    assert [row.id for row in mixtures.rows] == list(names) and mixtures.rows[0].group == group
    got = render(mixtures, mixtures.rows[0])
    np.testing.assert_array_equal(got.target, read_audio(tmp_path / folders[1] / f"{names[0]}.wav"))
    assert got.snr_db is None
    for seed, folder in enumerate(folders):
        write_audio(tmp_path / folder / f"{names[0]}.flac", noise_of(500, seed))
    with pytest.raises(InputError, match="two files called"):
        read_list(tmp_path)
    for folder in folders:
        (tmp_path / folder / f"{names[0]}.flac").unlink()
    (tmp_path / folders[0] / f"{names[0]}.wav").unlink()
    with pytest.raises(InputError, match="only on one side"):
        read_list(tmp_path)


def test_a_list_of_a_recipe_is_not_one_of_the_working_folder(good_list, tmp_path, monkeypatch):
    monkeypatch.chdir(good_list.parent)
    data = tmp_path / "elsewhere"
    assert find_list(good_list.name, data).name == good_list.name
    with pytest.raises(InputError, match=str(data / good_list.name)):
        list_of_corpus(good_list.name, data)


@pytest.mark.parametrize("other", ["l.csv", "other/l.csv"])
def test_two_lists_of_a_recipe_have_two_names(good_list, other):
    """Figures of a run go by the name: one of them would be lost."""
    data = good_list.parent
    write_list(read_manifest(data / "manifest.csv"), "test", data / "m.csv", 1, seed=1)
    found = lists_of_recipe(Data(valid_list="l.csv", rooms_list="m.csv"), data)
    assert [mixtures.name for mixtures in found] == ["l.csv", "m.csv"]
    (data / "other").mkdir()
    (data / "other" / "l.csv").write_text(
        "id,noisy,clean\nx,../train/speech.flac,../train/speech.flac\n"
    )
    with pytest.raises(InputError, match=r"data\.valid_list: is called l, as data\.rooms_list is"):
        lists_of_recipe(Data(valid_list="l.csv", rooms_list=other), data)


def test_a_list_of_pairs(tmp_path, noise_of):
    write_audio(tmp_path / "a.wav", noise_of(500))
    write_audio(tmp_path / "b.wav", noise_of(400))
    (tmp_path / "l.csv").write_text("id,noisy,clean,snr_db\nx,a.wav,a.wav,2.5\ny,a.wav,b.wav,\n")
    mixtures = read_list(tmp_path / "l.csv")
    assert render(mixtures, mixtures.rows[0]).snr_db == 2.5
    with pytest.raises(InputError, match="500 samples, clean has 400"):
        render(mixtures, mixtures.rows[1])


@pytest.fixture
def good_list(small_corpus):
    path = small_corpus.parent / "l.csv"
    write_list(read_manifest(small_corpus), "test", path, 1, seed=1)
    return path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("gain_noise", "loudness", "'gain_noise' is missing"),
        ("test/speech.flac", "test/gone.flac", "row 2: speech_path: there is no file"),
        ("test-0002", "test-0001", "row 3: id 'test-0001' is also in row 2"),
        ("0,96000,", "96000,0,", "noise_end: expected more than"),
        ("test-0001,-5", "test-0001,loud", "row 2: snr_db"),
        ("test-0001,-5", "test-0001,nan", "row 2: snr_db"),
        ("0,96000,", "0,97000,", "the file has 96000"),
    ],
)
def test_a_bad_list_names_its_row(good_list, old, new, says):
    good_list.write_text(good_list.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=says):
        mixtures = read_list(good_list)
        for row in mixtures.rows:
            render(mixtures, row)


@pytest.mark.parametrize("text", ["id,noisy\nx,a.wav\n", "id,a\n1,2\n", "id,noisy,clean\n"])
def test_a_list_without_its_columns_or_rows(tmp_path, text):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(InputError):
        read_list(tmp_path / "l.csv")
    with pytest.raises(InputError, match="without ready pairs"):
        read_list(tmp_path)


def test_a_file_that_changes_is_decoded_again(tmp_path, noise_of):
    from tinyse.audio.decoded import decoded

    write_audio(tmp_path / "a.wav", noise_of(100, 1))
    first = decoded(tmp_path / "a.wav")
    assert decoded(tmp_path / "a.wav") is first
    write_audio(tmp_path / "a.wav", noise_of(200, 2))
    assert len(decoded(tmp_path / "a.wav")) == 200
