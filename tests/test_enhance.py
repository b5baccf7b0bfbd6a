"""Sound through a runtime: whole, streaming, files and folders."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse.cli import main
from tinyse.enhance import Enhancer, StreamEnhancer, enhancer, find_model, open_enhancer
from tinyse.enhance.files import enhance_files, plan
from tinyse.errors import InputError
from tinyse.features import BANDS, HOP, Normalisation
from tinyse.quant import Quantisation

LENGTHS = [1, 255, 256, 257, 16_001]


@dataclass(frozen=True)
class Info:
    input: Quantisation | None
    output: Quantisation | None


class Fake:
    """A runtime with a state: mask = a slow average of its input, or `fixed`."""

    name = "fake"

    def __init__(self, fixed: float | None = None, integer: bool = False) -> None:
        self.fixed = fixed
        both = (Quantisation(2**-5), Quantisation(1 / 256, -128)) if integer else (None, None)
        self.info = Info(*both)
        self.reset()

    def reset(self) -> None:
        self.state = np.zeros(BANDS)

    def run(self, frames: np.ndarray) -> np.ndarray:
        assert frames.dtype == (np.int8 if self.info.input else np.float32)
        masks = []
        for frame in frames:
            self.state = 0.7 * self.state + 0.3 * frame
            masks.append(1 / (1 + np.exp(-self.state)))
        mask = np.array(masks) if self.fixed is None else np.full(frames.shape, self.fixed)
        return self.info.output.quantise(mask) if self.info.output else mask.astype(np.float32)


def statistics() -> Normalisation:
    return Normalisation(np.full(BANDS, -30, np.float32), np.full(BANDS, 12, np.float32))


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).uniform(-0.5, 0.5, samples)


def streamed(enhanced_by: Enhancer, sound: np.ndarray) -> np.ndarray:
    stream = StreamEnhancer(enhanced_by)
    padded = np.concatenate([sound, np.zeros(-len(sound) % HOP + HOP)]).reshape(-1, HOP)
    return np.concatenate([stream.block(block) for block in padded])[HOP : HOP + len(sound)]


@pytest.fixture(scope="module")
def model(small_model) -> Path:
    return small_model


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("integer", [False, True], ids=["float", "int8"])
def test_the_stream_equals_the_whole_sound(samples, integer) -> None:
    through = Enhancer(Fake(integer=integer), statistics())
    sound = noise(samples)
    whole = through.whole(sound)
    assert whole.shape == sound.shape
    np.testing.assert_allclose(streamed(through, sound), whole, atol=1e-6)


@pytest.mark.parametrize("runtime", ["oracle", "tflm", "litert"])
def test_the_stream_equals_the_whole_sound_on_real_runtimes(model, runtime) -> None:
    if runtime != "oracle":
        pytest.importorskip({"tflm": "tflite_micro", "litert": "ai_edge_litert"}[runtime])
    through = open_enhancer(model, runtime)
    for samples in LENGTHS:
        sound = noise(samples)
        np.testing.assert_allclose(streamed(through, sound), through.whole(sound), atol=1e-6)


def test_tflm_and_the_oracle_give_the_same_sound(model) -> None:
    pytest.importorskip("tflite_micro")
    sound = noise(8_000)
    one, other = (open_enhancer(model, name).whole(sound) for name in ("tflm", "oracle"))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("samples", LENGTHS)
def test_an_all_ones_mask_returns_the_input(samples) -> None:
    sound = noise(samples)
    enhanced = Enhancer(Fake(fixed=1.0), statistics()).whole(sound)
    np.testing.assert_allclose(enhanced, sound, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 2, 7, 62, 63, 64])
def test_a_long_sound_in_chunks_is_the_same(monkeypatch, chunk) -> None:
    through = Enhancer(Fake(), statistics())
    whole = through.whole(noise(16_001))
    monkeypatch.setattr(enhancer, "CHUNK", chunk)
    np.testing.assert_allclose(through.whole(noise(16_001)), whole, atol=1e-12)


def test_each_sound_starts_from_zero(model) -> None:
    through = open_enhancer(model, "oracle")
    first = through.whole(noise(4_000))
    through.whole(noise(9_000))
    assert np.array_equal(through.whole(noise(4_000)), first)


def test_a_block_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="expected 256 samples"):
        StreamEnhancer(Enhancer(Fake(), statistics())).block(np.zeros(255))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(value) -> None:
    through, sound = Enhancer(Fake(), statistics()), np.zeros(1000)
    sound[700] = value
    with pytest.raises(InputError, match="sound: holds NaN or infinity"):
        through.whole(sound)
    stream = StreamEnhancer(through)
    stream.block(sound[:HOP])
    with pytest.raises(InputError, match="sound: holds NaN or infinity"):
        stream.block(sound[2 * HOP : 3 * HOP])


@pytest.mark.parametrize("shape", [(1000, 2), ()])
def test_a_sound_of_another_shape_is_refused(shape) -> None:
    with pytest.raises(InputError, match=r"sound: expected samples \[n\]"):
        Enhancer(Fake(), statistics()).whole(np.zeros(shape))


def test_weights_beside_a_file_of_another_name_are_its_own_or_none(model, tmp_path) -> None:
    named, other = tmp_path / "my.tflite", tmp_path / "other"
    shutil.copy(model / "model.tflite", named)
    shutil.copy(model / "weights.npz", tmp_path)
    assert find_model(named).weights == tmp_path / "weights.npz"
    other.mkdir()
    np.savez(other / "weights.npz", **float_weights((8,), ()))
    shutil.copy(model / "model.tflite", other / "my.tflite")
    files = find_model(other / "my.tflite")
    assert files.exported == other / "my.tflite" and files.weights is None
    (other / "weights.npz").write_bytes(b"no weights at all")
    assert find_model(other / "my.tflite").weights is None


def test_a_bare_file_carries_its_statistics(model, tmp_path) -> None:
    alone = tmp_path / "alone.tflite"
    alone.write_bytes((model / "model.tflite").read_bytes())
    sound = noise(3_000)
    expected = open_enhancer(model, "oracle").whole(sound)
    assert np.array_equal(open_enhancer(alone, "oracle").whole(sound), expected)
    with pytest.raises(InputError, match=r"has no weights\.npz, which keras_model runs"):
        find_model(alone).file_for("keras_model")


@pytest.mark.parametrize("name", ["M.TFLITE", "model"])
def test_a_file_is_a_model_whatever_its_name(model, tmp_path, name) -> None:
    shutil.copy(model / "model.tflite", tmp_path / name)
    sound = noise(3_000)
    expected = open_enhancer(model, "oracle").whole(sound)
    assert np.array_equal(open_enhancer(tmp_path / name, "oracle").whole(sound), expected)


@pytest.mark.parametrize("runtime", ["oracle", "native", "litert"])
def test_weights_are_no_exported_file(model, runtime) -> None:
    with pytest.raises(InputError, match=r"weights\.npz: not a usable \.tflite"):
        open_enhancer(model / "weights.npz", runtime)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_model", "there is no such model"),
        ("nowhere.tflite", "there is no such file"),
        (".", "holds neither model.tflite nor weights.npz"),
    ],
)
def test_what_is_no_model_is_refused(name, says, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=says):
        open_enhancer(name)


def test_a_run_without_an_export_says_so(model, tmp_path) -> None:
    (tmp_path / "weights.npz").write_bytes((model / "weights.npz").read_bytes())
    with pytest.raises(
        InputError, match=r"has no model\.tflite, which oracle runs; run tinyse exp"
    ):
        open_enhancer(tmp_path, "oracle")
    for command in ("inspect", "profile"):
        said = run(command, tmp_path).stderr
        assert said.endswith(": has no model.tflite; run tinyse export on it\n")


def test_an_export_of_other_weights_is_refused(model, tmp_path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "run"))
    (folder / "weights.npz").write_bytes(b"trained again")
    says = r"model\.tflite: was exported from other weights .*; run tinyse export --force"
    for named in (folder, folder / "model.tflite"):
        with pytest.raises(InputError, match=says):
            find_model(named).file_for("oracle")
    assert find_model(folder).file_for("keras_model") == folder / "weights.npz"
    (folder / "weights.npz").unlink()  # a model that is passed on has none
    assert find_model(folder).file_for("oracle") == folder / "model.tflite"


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def sounds(tmp_path) -> Path:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "a.wav", noise(8_000), 16_000)
    soundfile.write(folder / "deep" / "b.flac", noise(5_000), 16_000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_the_command_enhances_a_file_and_a_folder(model, sounds, tmp_path) -> None:
    common = ("--model", model, "--runtime", "oracle", "--workers", 1)
    out = tmp_path / "out"
    done = run("enhance", sounds, "-o", out, *common)
    assert done.exit_code == 0, done.output
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == [
        "a.wav",
        "deep/b.flac",
    ]
    expected = open_enhancer(model, "oracle").whole(soundfile.read(sounds / "a.wav")[0])
    np.testing.assert_allclose(soundfile.read(out / "a.wav")[0], expected, atol=1 / 32768)
    alone = tmp_path / "alone.flac"
    done = run("enhance", sounds / "a.wav", "-o", alone, "--json", *common)
    assert json.loads(done.stdout)["files"] == [{"in": str(sounds / "a.wav"), "out": str(alone)}]
    assert soundfile.info(alone).frames == 8_000


def test_what_is_converted_is_said(model, tmp_path) -> None:
    soundfile.write(tmp_path / "stereo.wav", np.zeros((4_410, 2)) + 0.1, 44_100)
    done = run("enhance", tmp_path / "stereo.wav", "-o", tmp_path / "o.wav", "--model", model,
               "--runtime", "oracle")  # fmt: skip
    assert done.exit_code == 0
    assert "2 channels" in done.stderr and "resampled from 44100" in done.stderr
    assert done.stdout == f"{tmp_path / 'o.wav'}\n"


def bad_cases(folder: Path) -> dict[str, tuple[tuple[object, ...], str]]:
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is no sound at all, only its name says so")
    whole = (folder / "in" / "a.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan, 0.2]), 16_000, "FLOAT")
    (folder / "nothing").mkdir()
    soundfile.write(folder / "there.wav", noise(300), 16_000)
    good, out = folder / "in" / "a.wav", folder / "out"
    return {
        "missing": ((folder / "no.wav", "-o", out), "cannot be read"),
        "empty": ((good, folder / "empty.wav", "-o", out), "is empty"),
        "text": ((good, folder / "text.wav", "-o", out), "is not audio"),
        "cut": ((folder / "cut.wav", good, "-o", out), "is truncated"),
        "nan": ((good, folder / "nan.wav", "-o", out), "NaN"),
        "folder without sound": ((folder / "nothing", "-o", out), "holds no audio"),
        "output is there": ((good, "-o", folder / "there.wav"), "already exists"),
        "output of no format": ((good, "-o", folder / "new.mp3"), "cannot write '.mp3'; use .wav"),
        "output is input": ((good, "-o", good, "--force"), "is input and output"),
        "output is an input": (
            (good, folder / "in", "-o", folder / "in", "--force"),
            "is input and",
        ),
        "one file for a folder": ((folder / "in", "-o", folder / "x.wav"), "for a folder; give a"),
        "one file for two": ((good, folder / "there.wav", "-o", folder / "x.wav"), "give a folder"),
        "one name twice": ((good, folder / "in", "-o", out), "would become this file"),
        "unknown model": ((good, "-o", out, "--model", "nowhere"), "there is no such model"),
        "unknown runtime": ((good, "-o", out, "--runtime", "tpu"), "unknown runtime 'tpu'"),
        "damaged model": ((good, "-o", out, "--model", folder / "bad.tflite"), "not a usable"),
    }


CASES = ["missing", "empty", "text", "cut", "nan", "folder without sound", "output is there",
         "output of no format", "output is input", "output is an input", "one file for a folder", "one file for two", "one name twice", "unknown model", "unknown runtime", "damaged model"]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_nothing_is_written(case, model, sounds, tmp_path) -> None:
    (tmp_path / "bad.tflite").write_bytes((model / "model.tflite").read_bytes()[:5_000])
    arguments, says = bad_cases(tmp_path)[case]
    if "--model" not in arguments:
        arguments = (*arguments, "--model", model)
    if "--runtime" not in arguments:
        arguments = (*arguments, "--runtime", "oracle")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = run("enhance", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and says in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_link_to_itself_is_no_sound_and_may_be_written(sounds, tmp_path) -> None:
    loop = tmp_path / "loop.wav"
    loop.symlink_to("loop.wav")
    with pytest.raises(InputError, match=r"loop\.wav: cannot be read \(Too many levels"):
        plan([loop], tmp_path / "out")
    assert [job.target for job in plan([sounds / "a.wav"], loop)] == [loop]


def test_a_folder_that_may_not_be_entered_is_refused(sounds, tmp_path, monkeypatch) -> None:
    scandir = os.scandir

    def enter(folder):  # root may enter what has no bit set
        if Path(folder) == sounds / "deep":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", enter)
    with pytest.raises(InputError, match=r"in/deep: cannot be read \(Permission denied\); "):
        plan([sounds], tmp_path / "out")


def test_two_workers_write_what_one_writes(model, sounds, tmp_path) -> None:
    for workers in (1, 2):
        jobs = plan([sounds], tmp_path / str(workers))
        enhance_files(jobs, model, "oracle", workers)
    for file in ("a.wav", "deep/b.flac"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()
