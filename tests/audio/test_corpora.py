"""Manifests: what is read, and what each fault is called."""

from __future__ import annotations

import pytest

from tests.audio.conftest import HEADER
from tinyse.audio.corpora import Corpus, Interval, corpus_of_recipe, read_manifest, write_manifest
from tinyse.errors import InputError
from tinyse.recipe import Data


def test_reads_the_intervals_of_each_split(small_corpus):
    corpus = read_manifest(small_corpus)
    assert len(corpus.intervals) == 6 and corpus.root == small_corpus.parent
    (only,) = corpus.select(kind="noise", split="test")
    assert (only.path, only.group, only.samples) == ("test/noise.flac", "noise-test", 96000)
    assert corpus.select(kind="speech")[0].speaker == "speech-train"
    assert corpus.file(only).is_file()


def test_written_and_read_again_is_the_same(small_corpus):
    corpus = read_manifest(small_corpus)
    write_manifest(small_corpus, corpus.intervals)
    assert read_manifest(small_corpus).intervals == corpus.intervals


def _interval(kind, split, group, samples) -> Interval:
    return Interval(path="a.flac", kind=kind, split=split, group=group, start=0, end=samples)


def test_a_part_keeps_whole_groups_and_less_is_part_of_more(tmp_path):
    intervals = tuple(
        _interval(kind, split, f"{kind}-{split}-{n}", 100 + n)
        for kind in ("speech", "noise")
        for split in ("train", "valid")
        for n in range(40)
        for _ in range(2)
    )
    corpus = Corpus(root=tmp_path, name="c", sha256="0", intervals=intervals)
    assert corpus.part(1.0) is corpus
    half, fifth = corpus.part(0.5), corpus.part(0.2)
    assert set(fifth.intervals) < set(half.intervals) < set(intervals)
    assert len({part.sha256 for part in (corpus, half, fifth)}) == 3
    for kind in ("speech", "noise"):
        assert half.select(kind, "valid") == corpus.select(kind, "valid")
        kept, every = (
            sum(each.samples for each in part.select(kind, "train")) for part in (half, corpus)
        )
        assert 0.5 * every <= kept < 0.5 * every + 2 * 140
        groups = [each.group for each in half.select(kind, "train")]
        assert all(groups.count(group) == 2 for group in groups)
        assert len(corpus.part(1e-9).select(kind, "train")) == 2


def test_a_recipe_says_how_much_of_the_corpus_it_takes(small_corpus):
    whole = read_manifest(small_corpus)
    assert corpus_of_recipe(Data(), small_corpus.parent) == whole
    part = corpus_of_recipe(Data(share=0.5), small_corpus.parent)
    assert part == whole.part(0.5) != whole


ROW = "test/noise.flac,noise,test,g,0,96000,16000\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (HEADER, "no rows"),
        (HEADER.replace(",group", "") + "a,noise,test,0,1,16000\n", "'group' is missing"),
        (HEADER.replace("path", "kind") + ROW, "twice"),
        (HEADER + ROW + "a,b\n", "row 3: expected 7 columns, got 2"),
        (HEADER + ROW.replace("noise,test", "music,test"), "row 2: kind"),
        (HEADER + ROW.replace(",test,", ",dev,"), "split: expected one of train, valid, test"),
        (HEADER + ROW.replace(",0,", ",-1,"), "row 2: start"),
        (HEADER + ROW.replace("96000", "many"), "row 2: end"),
        (HEADER + ROW.replace("96000", "9" * 40), "row 2: end"),
        (HEADER + ROW.replace("96000", "0"), "row 2: end: expected more than"),
        (HEADER + ROW.replace("16000", "48000"), "sample_rate: expected 16000, got 48000"),
        (HEADER + ROW.replace(",g,", ",,"), "'group' is empty"),
        (HEADER + ROW.replace("noise.flac", "gone.flac"), "row 2: path: there is no file"),
        (HEADER + ROW + ROW.replace(",test,", ",train,"), "row 3: noise group 'g' is in test and"),
        (HEADER + '"unclosed', "CSV"),
    ],
)
def test_a_bad_manifest_names_file_row_and_remedy(small_corpus, text, says):
    small_corpus.write_text(text)
    with pytest.raises(InputError) as caught:
        read_manifest(small_corpus)
    message = str(caught.value)
    assert says in message and str(small_corpus) in message and caught.value.remedy
    assert "\n" not in message


def test_one_speaker_in_two_splits_under_two_groups(small_corpus):
    text = small_corpus.read_text().replace(HEADER, HEADER.replace("path,", "path,speaker,"))
    small_corpus.write_text(text.replace("flac,speech", "flac,anna,speech").replace(
        "flac,noise", "flac,,noise"))  # fmt: skip
    with pytest.raises(InputError, match="speaker 'anna' is in train and in valid"):
        read_manifest(small_corpus)


def test_a_missing_or_binary_manifest(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(tmp_path / "b.csv")


def test_the_real_manifest(data_folder):
    corpus = read_manifest(data_folder / "manifest.csv")
    assert len(corpus.intervals) > 3000
    speakers = {interval.group for interval in corpus.select("speech", "test")}
    assert len(speakers) == 31
