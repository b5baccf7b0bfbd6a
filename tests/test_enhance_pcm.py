"""Raw samples through a pipe: the same sound, as late as is written, whoever hangs up."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tinyse.cli import main
from tinyse.compiled import MissingTool
from tinyse.enhance import LATENCY_MS, Enhancer, open_enhancer, open_stream, stream_of
from tinyse.enhance.pcm import FRAME_BYTES, MOST_BYTES, bytes_of, enhance_pcm, samples_of
from tinyse.enhance.streams import Passthrough
from tinyse.errors import InputError
from tinyse.features import HOP, RATE

LENGTHS = [1, 255, 256, 257, 511, 512, 513, 16_001]
STEP = 1 / 32_768
PROGRAM = (sys.executable, "-m", "tinyse", "enhance", "-")


def noise(samples: int) -> bytes:
    return bytes_of(np.random.default_rng(samples).uniform(-0.5, 0.5, samples))


class Pieces(io.RawIOBase):
    """A pipe that hands over pieces of these sizes, and nothing between them."""

    def __init__(self, data: bytes, *sizes: int) -> None:
        self._data, self._sizes = data, sizes
        self._at = self._reads = 0

    def read1(self, _: int = -1) -> bytes:
        size = self._sizes[self._reads % len(self._sizes)]
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        self._reads += 1
        return piece


def through(stream, data: bytes, *sizes: int) -> bytes:
    sink = io.BytesIO()
    enhance_pcm(Pieces(data, *sizes or (MOST_BYTES,)), sink, stream)
    return sink.getvalue()


def native(model) -> Enhancer:
    try:
        return open_enhancer(model, "native")
    except MissingTool as error:
        pytest.skip(str(error))


def test_the_latency_is_the_window() -> None:
    assert LATENCY_MS == 32


def test_samples_and_bytes_are_each_others_inverse() -> None:
    every = np.arange(-32_768, 32_768).astype("<i2").tobytes()
    assert bytes_of(samples_of(every)) == every
    assert bytes_of(np.array([2.0, -2.0, 1.0])) == bytes_of(np.array([1 - STEP, -1.0, 1 - STEP]))


@pytest.mark.parametrize("piece", [1, 5, 12, MOST_BYTES])
def test_a_wav_header_is_known_however_it_comes(piece) -> None:
    sink = io.BytesIO()
    with pytest.raises(InputError, match="is a WAV file"):
        header = b"RIFF\x24\x00\x00\x00WAVEfmt "
        enhance_pcm(Pieces(header + bytes(600), piece), sink, Passthrough())
    assert not sink.getvalue()


@pytest.mark.parametrize("piece", [1, 5, MOST_BYTES])
@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"RF64\xff\xff\xff\xffWAVEds64", "a WAV file"),
        (b"RIFX\0\0\0\x24WAVEfmt ", "a WAV file"),
        (b"FORM\0\0\0\x24AIFFCOMM", "an AIFF file"),
        (b"FORM\0\0\0\x0aAIFCFVER", "an AIFF file"),
        (b"fLaC\0\0\0\x22", "a FLAC file"),
        (b"OggS\0\x02", "an Ogg file"),
        (b"ID3\x04\0\0", "an MP3 file"),
    ],
)
def test_compressed_sound_is_no_raw_sound(header, says, piece) -> None:
    sink = io.BytesIO()
    with pytest.raises(InputError, match=f"stdin: is {says}, not raw samples; give 16-bit"):
        enhance_pcm(Pieces(header + bytes(600), piece), sink, Passthrough())
    assert not sink.getvalue()


@pytest.mark.parametrize("samples", LENGTHS)
def test_nothing_enhanced_is_nothing_changed(samples) -> None:
    assert through(Passthrough(), noise(samples)) == noise(samples)


@pytest.mark.parametrize("samples", LENGTHS)
def test_a_pipe_gives_what_a_file_gives(small_model, samples) -> None:
    enhancer = open_enhancer(small_model, "oracle")
    data = noise(samples)
    expected = enhancer.whole(samples_of(data))
    found = samples_of(through(stream_of(enhancer), data))
    assert len(found) == samples
    np.testing.assert_allclose(found, expected, atol=STEP)


@pytest.mark.parametrize("samples", LENGTHS)
def test_the_c_front_end_gives_what_a_file_gives(small_model, samples) -> None:
    enhancer = native(small_model)
    data = noise(samples)
    stream = stream_of(enhancer)
    assert type(stream) is not type(stream_of(open_enhancer(small_model, "oracle")))
    found = samples_of(through(stream, data))
    np.testing.assert_allclose(found, enhancer.whole(samples_of(data)), atol=0.01)


@pytest.mark.parametrize("sizes", [(1,), (3, 509), (FRAME_BYTES,), (FRAME_BYTES + 1,), (1, 40_000)])
def test_how_the_bytes_arrive_changes_nothing(small_model, sizes) -> None:
    stream = open_stream(small_model, "oracle")
    data = noise(5_000)
    assert through(stream, data, *sizes) == through(stream, data)


def test_a_frame_leaves_as_soon_as_the_next_has_come(small_model) -> None:
    """32 ms, and not one sample more: read from a real pipe that stays open."""
    command = [*PROGRAM, "--model", str(small_model), "--runtime", "oracle"]
    data = noise(5 * HOP)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as pipe:
        pipe.stdin.write(data[:FRAME_BYTES])
        found = b""
        for frame in range(1, 5):
            pipe.stdin.write(data[frame * FRAME_BYTES : (frame + 1) * FRAME_BYTES])
            while len(found) < frame * FRAME_BYTES:
                found += os.read(pipe.stdout.fileno(), FRAME_BYTES)
            assert len(found) == frame * FRAME_BYTES
        pipe.stdin.close()
        found += pipe.stdout.read()
    assert pipe.returncode == 0 and len(found) == len(data)
    assert found == through(open_stream(small_model, "oracle"), data)


def test_a_reader_that_leaves_ends_it_in_silence(small_model) -> None:
    command = [*PROGRAM, "--model", str(small_model), "--runtime", "oracle"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as pipe:
        pipe.stdin.write(noise(4 * HOP))
        pipe.stdin.flush()
        assert len(os.read(pipe.stdout.fileno(), 100)) == 100
        pipe.stdout.close()
        try:
            pipe.stdin.write(noise(20 * RATE))
            pipe.stdin.close()
        except BrokenPipeError:
            pass
        assert pipe.stderr.read() == b""
    assert pipe.returncode == 0


def run(data: bytes, *arguments: object):
    return CliRunner().invoke(main, ["enhance", *map(str, arguments)], input=data)


@pytest.mark.parametrize("output", [(), ("-o", "-")], ids=["short", "long"])
def test_the_command_enhances_stdin_into_stdout(small_model, output) -> None:
    data = noise(3_000)
    done = run(data, "-", *output, "--model", small_model, "--runtime", "oracle")
    assert done.exit_code == 0 and done.stderr == ""
    assert done.stdout_bytes == through(open_stream(small_model, "oracle"), data)


def test_half_a_sample_is_left_out_and_said(small_model) -> None:
    done = run(noise(300) + b"x", "-", "--model", small_model, "--runtime", "oracle")
    assert done.exit_code == 0 and len(done.stdout_bytes) == 600
    said = done.stderr.splitlines()  # and, on a slow machine, that the oracle is too slow
    assert said[0] == "note: stdin ended inside a sample; its one byte is left out"


@pytest.mark.parametrize(
    ("data", "arguments", "says"),
    [
        (b"", ("-",), "no sound came in"),
        (b"x", ("-",), "no sound came in"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(600), ("-",), "is a WAV file, not raw samples"),
        (noise(300), ("-", "in.wav", "-o", "-"), "a pipe has one end in"),
        (noise(300), ("-", "-o", "out.wav"), "a pipe has one end in"),
        (noise(300), ("in.wav", "-o", "-"), "a pipe has one end in"),
        (noise(300), ("-", "--json"), "stdout carries the sound"),
        (noise(300), ("-", "--runtime", "tpu"), "unknown runtime 'tpu'"),
        (noise(300), ("in.wav",), "Missing option '-o'"),
    ],
)
def test_bad_input_is_one_line_and_no_sound(
    small_model, tmp_path, monkeypatch, data, arguments, says
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--runtime" not in arguments:
        arguments = (*arguments, "--runtime", "oracle")
    done = run(data, *arguments, "--model", small_model)
    assert not os.listdir()
    assert done.exit_code == 2 and done.stdout_bytes == b""
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("end", ["stdin", "stdout"])
def test_an_end_that_is_closed_is_one_line(end) -> None:
    closed = {"stdin": "<&-", "stdout": "</dev/null >&-"}[end]
    command = f"{shlex.join(PROGRAM)} {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {end}: is closed; ")


def test_a_runtime_that_is_too_slow_is_said(small_model, monkeypatch) -> None:
    from tinyse.enhance import pcm

    clock = iter(range(10_000))
    monkeypatch.setattr(pcm.time, "perf_counter", lambda: float(next(clock)))
    done = run(noise(8_000), "-", "--model", small_model, "--runtime", "oracle")
    assert done.stderr == "note: oracle is too slow to listen to: 0.25x real time\n"


@pytest.mark.parametrize("runtime", ["oracle", "native", "native_reference"])
def test_blocks_that_are_no_numbers_are_refused(small_model, runtime) -> None:
    if runtime != "oracle":
        native(small_model)  # which skips where there is no compiler
    stream, sound = open_stream(small_model, runtime), np.zeros(4 * HOP)
    sound[700] = np.nan
    with pytest.raises(InputError, match="sound: holds NaN or infinity"):
        stream.blocks(sound)


def test_blocks_of_another_size_are_refused(small_model) -> None:
    for runtime in ("oracle", "native"):
        stream = (
            stream_of(native(small_model))
            if runtime == "native"
            else open_stream(small_model, runtime)
        )
        with pytest.raises(InputError, match="expected whole blocks of 256 samples"):
            stream.blocks(np.zeros(255))
