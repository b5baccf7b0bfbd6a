"""Audio files: what is read is what was written, and what cannot be read says so in one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tinyse.audio.containers import is_mpeg
from tinyse.audio.io import FORMATS, BadAudio, read_audio, read_format, write_audio
from tinyse.errors import InputError


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sixteen_bits_come_back_exactly(tmp_path, suffix):
    samples = np.arange(-32768, 32768, 7, dtype=np.float32) / 32768
    write_audio(tmp_path / f"a{suffix}", samples)
    np.testing.assert_array_equal(read_audio(tmp_path / f"a{suffix}"), samples)


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_lossy_formats_keep_length_and_sound(tmp_path, suffix):
    samples = 0.5 * np.sin(2 * np.pi * 440 / 16000 * np.arange(40001)).astype(np.float32)
    write_audio(tmp_path / f"a{suffix}", samples)
    got = read_audio(tmp_path / f"a{suffix}")
    assert got.shape == samples.shape
    assert np.corrcoef(got, samples)[0, 1] > 0.99


def test_other_rates_and_channels_are_converted_with_notices(tmp_path):
    time = np.arange(48000) / 48000
    tone = 0.5 * np.sin(2 * np.pi * 300 * time)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, tone], 1), 48000, subtype="FLOAT")
    said = []
    got = read_audio(tmp_path / "a.wav", notices=said.append)
    assert got.dtype == np.float32 and got.shape == (16000,)
    assert len(said) == 2 and "2 channels" in said[0] and "48000 Hz to 16000 Hz" in said[1]
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    np.testing.assert_allclose(got[100:-100], expected[100:-100], atol=2e-3)


def test_clipped_samples_are_counted(tmp_path):
    said = []
    write_audio(tmp_path / "a.wav", np.array([0.0, 1.5, -2.0, 0.5]), notices=said.append)
    assert "2 of 4 samples clipped" in said[0]
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), [0, 1, -1, 0.5], atol=1e-4)


def test_one_channel_of_one_sample(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([0.25]))
    assert read_audio(tmp_path / "a.wav").tolist() == [0.25]


def _bad_files(folder, noise):
    yield folder / "missing.wav", "cannot be read"
    (folder / "folder.wav").mkdir()
    yield folder / "folder.wav", "cannot be read|is not audio"
    for name, data, text in (
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"this is no sound at all", "is not audio"),
        ("raw.raw", bytes(200), "no header"),
    ):
        (folder / name).write_bytes(data)
        yield folder / name, text
    soundfile.write(folder / "none.wav", np.zeros(0), 16000)
    yield folder / "none.wav", "holds no samples"
    for name, value in (("nan.wav", np.nan), ("inf.wav", np.inf)):
        soundfile.write(folder / name, np.array([0, value, 0]), 16000, subtype="FLOAT")
        yield folder / name, "NaN or infinite"
    soundfile.write(folder / "slow.wav", noise(100), 100)
    yield folder / "slow.wav", "sample rate"
    yield folder / "nul\0.wav", "cannot be read"


def test_a_pipe_is_no_audio_file(tmp_path):
    """Its length is 0, and to open it might wait for ever."""
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(BadAudio, match=r"pipe\.wav: is no regular file; write the sound to one"):
        read_audio(tmp_path / "pipe.wav")


def test_each_bad_file_is_one_line(tmp_path, noise_of):
    for path, text in _bad_files(tmp_path, noise_of):
        with pytest.raises(InputError, match=text) as caught:
            read_audio(path)
        assert caught.value.where == path and str(caught.value).isprintable()


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.97])
def test_truncated_files_are_refused(tmp_path, noise_of, suffix, kept):
    path = tmp_path / f"a{suffix}"
    write_audio(path, noise_of(160000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(BadAudio) as caught:
        read_audio(path)
    assert caught.value.fault in ("truncated", "unreadable")


def test_a_file_cut_between_ogg_pages_is_truncated(tmp_path, noise_of):
    path = tmp_path / "a.opus"
    write_audio(path, noise_of(160000))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"OggS")])
    with pytest.raises(BadAudio, match="truncated"):
        read_audio(path)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("RF64", "PCM_16"), ("AIFF", "PCM_24"), ("AIFF", "FLOAT")]
)
def test_other_containers_that_are_cut_are_truncated(tmp_path, noise_of, kind, subtype):
    path = tmp_path / "a.sound"
    soundfile.write(path, noise_of(20001), 16000, subtype, format=kind)
    assert len(read_audio(path)) == 20001
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadAudio, match="truncated") as caught:
        read_audio(path)
    assert caught.value.fault == "truncated"


@pytest.mark.parametrize("promised", [b"\0\0\0\0", b"\x7f\0\0\x08"])
def test_an_aiff_from_a_pipe_has_no_length_and_is_read(tmp_path, noise_of, promised):
    path = tmp_path / "a.aiff"
    soundfile.write(path, noise_of(1000), 16000)
    data = bytearray(path.read_bytes())
    at = data.find(b"SSND")
    data[at + 4 : at + 8] = promised
    path.write_bytes(data)
    assert len(read_audio(path)) == 1000


def test_a_wave_from_a_pipe_has_no_length_and_is_read(tmp_path, noise_of):
    path = tmp_path / "a.wav"
    write_audio(path, noise_of(1000))
    data = bytearray(path.read_bytes())
    at = data.find(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read_audio(path)) == 1000


def test_what_a_wave_from_a_pipe_holds_is_no_chunk(tmp_path, noise_of):
    """Its sound begins like a chunk that says MPEG; the one before it says what it is."""
    path = tmp_path / "a.wav"
    write_audio(path, noise_of(1000))
    data = bytearray(path.read_bytes())
    data[4:8] = (8).to_bytes(4, "little")
    at = data.find(b"data")
    data[at + 4 : at + 22] = bytes(4) + b"fmt " + (16).to_bytes(4, "little") + b"\x55\0" + bytes(4)
    path.write_bytes(data)
    assert not is_mpeg(path) and len(read_audio(path)) == 1000


def test_the_header_alone(tmp_path, noise_of):
    write_audio(tmp_path / "a.flac", noise_of(1234))
    header = read_format(tmp_path / "a.flac")
    assert (header.rate, header.channels, header.frames) == (16000, 1, 1234)


@pytest.mark.parametrize(
    ("name", "samples"),
    [("a.mp4", np.zeros(4)), ("a.wav", np.array([np.nan])), ("a.wav", np.zeros((4, 2)))],
)
def test_what_cannot_be_written(tmp_path, name, samples):
    with pytest.raises(InputError):
        write_audio(tmp_path / name, samples)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing(tmp_path, noise_of, monkeypatch, call):
    (tmp_path / "a.wav").write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match="No space left"):
        write_audio(tmp_path / "a.wav", noise_of(1000))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.wav", b"old")]


def test_a_real_limit_in_mid_write_leaves_nothing(tmp_path):
    code = (
        "import resource, signal, sys, numpy\n"
        "from tinyse.audio.io import write_audio\n"
        "from tinyse.errors import InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: write_audio(sys.argv[1], numpy.zeros(100000))\n"
        "except InputError as error: sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.wav")], check=False)
    assert done.returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_input_error(tmp_path, noise_of):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        write_audio(tmp_path / "file" / "a.wav", noise_of(10))
