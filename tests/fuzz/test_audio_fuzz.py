"""Damaged audio files, manifests and lists: an InputError or success, nothing else."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tinyse.audio.corpora import read_manifest
from tinyse.audio.io import FORMATS, read_audio, write_audio
from tinyse.audio.lists import MIXTURE_COLUMNS, read_list, render
from tinyse.errors import InputError

ROUNDS = 150


def _damaged(rng: np.random.Generator, data: bytes, near: int) -> bytes:
    """`data` with bytes changed (most of them in the first `near`), cut out, doubled or lost."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(min(near, len(out)) if rng.random() < 0.7 else len(out)))
        what = rng.integers(4)
        if what <= 1:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))))
        elif what == 2:
            del out[at : at + int(rng.integers(1, 20))]
        else:
            out[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 20)), dtype=np.uint8))
        if not out:
            return b""
    return bytes(out[: int(rng.integers(len(out)))] if rng.random() < 0.2 else out)


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_damaged_audio(tmp_path, suffix):
    rng = np.random.default_rng(len(suffix))
    path = tmp_path / f"a{suffix}"
    write_audio(path, 0.1 * rng.standard_normal(3000))
    whole = path.read_bytes()
    refused = 0
    for _ in range(ROUNDS):
        path.write_bytes(_damaged(rng, whole, 100))
        try:
            samples = read_audio(path)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert samples.dtype == np.float32 and np.isfinite(samples).all() and len(samples)
    assert refused > ROUNDS // 10


def _tables(folder):
    write_audio(folder / "a.wav", np.linspace(-0.5, 0.5, 2000))
    manifest = "path,kind,split,group,start,end,sample_rate\na.wav,noise,test,g,0,900,16000\n"
    mixtures = (
        ",".join(MIXTURE_COLUMNS) + "\nx,5,-20,900,anna,a.wav,7,hum,g,a.wav,1,500,3,1.0,2.0\n"
    )
    return (
        (manifest, read_manifest),
        (mixtures, read_list),
        ("id,noisy,clean\nx,a.wav,a.wav\n", read_list),
    )


@pytest.mark.parametrize("which", [0, 1, 2])
def test_damaged_tables(tmp_path, which):
    text, read = _tables(tmp_path)[which]
    rng = np.random.default_rng(which)
    path = tmp_path / "t.csv"
    for _ in range(4 * ROUNDS):
        path.write_bytes(_damaged(rng, text.encode(), len(text)))
        try:
            found = read(path)
            if read is read_list:
                for row in found.rows:
                    render(found, row)
        except InputError as error:
            assert "\n" not in str(error)


def test_a_field_longer_than_csv_allows(tmp_path):
    (tmp_path / "t.csv").write_text("path,kind\n" + "x" * (csv.field_size_limit() + 1) + ",noise\n")
    with pytest.raises(InputError, match="is not CSV"):
        read_manifest(tmp_path / "t.csv")


@pytest.mark.parametrize("samples", ["9007199254740992", "900000000000"])
def test_absurd_lengths_are_refused_before_memory_is_taken(tmp_path, samples):
    text, _ = _tables(tmp_path)[1]
    (tmp_path / "t.csv").write_text(text.replace(",900,", f",{samples},"))
    mixtures = read_list(tmp_path / "t.csv")
    with pytest.raises(InputError, match="the file has"):
        render(mixtures, mixtures.rows[0])
