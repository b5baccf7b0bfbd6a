"""What is released: the sdist builds the wheel, and the wheel works in an empty environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import ROOT
from tinyse import __version__

pytestmark = pytest.mark.slow


def run(*words: object, cwd: Path) -> str:
    """stdout of a command that knows nothing of this environment."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TINYSE", "VIRTUAL"))
    }
    environment = kept | {
        "XDG_CACHE_HOME": str(cwd / "cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    if "PIP_CACHE_DIR" not in kept:  # packages come from the user's cache where it has them
        environment["PIP_CACHE_DIR"] = str(Path.home() / ".cache" / "pip")
    command = [str(word) for word in words]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def environment(folder: Path, *packages: object) -> Path:
    """The bin folder of a new environment with only these packages and what they need."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    run(*pip, "-c", ROOT / "constraints.txt", *packages, cwd=folder.parent)
    return folder / "bin"


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """The folder of an sdist of this checkout and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("release")
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    tools = environment(folder / "tools", *needs)
    run(tools / "hatchling", "build", "-t", "sdist", "-d", folder / "dist", cwd=ROOT)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # Python before 3.11.4 knows no filters and takes no argument for them.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    source = folder / sdist.name.removesuffix(".tar.gz")
    run(tools / "hatchling", "build", "-t", "wheel", "-d", folder / "dist", cwd=source)
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory) -> Path:
    """The bin folder of an environment that holds the wheel and no extra."""
    (wheel,) = dist.glob("*.whl")
    return environment(tmp_path_factory.mktemp("empty") / "venv", wheel)


def test_the_wheel_holds_the_package_its_data_and_licences(dist):
    (wheel,) = dist.glob("*.whl")
    assert wheel.name == f"tinyse-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tinyse").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= names
    assert "tinyse/py.typed" in names
    for part in ("models/lstm_256/model.tflite", "lists", "firmware_harness/Makefile", "export"):
        assert any(name.startswith(f"tinyse/data/{part}") for name in names), part
    licences = f"tinyse-{__version__}.dist-info/licenses"
    assert {f"{licences}/LICENSE", f"{licences}/THIRD_PARTY.md"} <= names
    outside = {name.split("/")[0] for name in names}
    assert outside == {"tinyse", f"tinyse-{__version__}.dist-info"}


def buzz() -> np.ndarray:
    """1.5 s of what a voice is made of, which no network takes for noise, in a little hiss."""
    seconds = np.arange(24_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * seconds) / k for k in range(1, 25))
    syllables = np.maximum(np.sin(2 * np.pi * 3 * seconds), 0)
    return 0.1 * voice * syllables + np.random.default_rng(3).normal(0, 0.01, len(seconds))


def test_the_wheel_works_in_an_empty_environment(installed, tmp_path):
    tinyse = installed / "tinyse"
    assert "enhance" in run(tinyse, "--help", cwd=tmp_path)
    assert run(tinyse, "--version", cwd=tmp_path).split()[-1] == __version__
    assert json.loads(run(tinyse, "doctor", "--json", cwd=tmp_path))["schema"] == 1
    said = json.loads(run(tinyse, "inspect", "lstm_256", "--json", cwd=tmp_path))
    assert said["bytes"]["tflite"] == (ROOT / "models/lstm_256/model.tflite").stat().st_size
    sound = buzz()
    soundfile.write(tmp_path / "noisy.wav", sound, 16_000, subtype="PCM_16")
    for runtime in ("oracle", "native") if shutil.which("gcc") else ("oracle",):
        out = tmp_path / f"{runtime}.wav"
        run(tinyse, "enhance", "noisy.wav", "-o", out, "--runtime", runtime, cwd=tmp_path)
        samples, rate = soundfile.read(out)
        assert rate == 16_000 and len(samples) == len(sound) and samples.std() > 0.01
    if shutil.which("gcc"):
        assert (tmp_path / "native.wav").read_bytes() == (tmp_path / "oracle.wav").read_bytes()


def test_the_wheel_brings_the_c_library(installed, tmp_path):
    run(installed / "tinyse", "firmware", "copy", "c", "--target", "host", cwd=tmp_path)
    assert (tmp_path / "c" / "Makefile").exists()
    assert list((tmp_path / "c").rglob("tinyse.h"))


def test_its_types_are_seen_by_a_checker(installed, tmp_path):
    """A user's own program is checked against the installed package."""
    pytest.importorskip("mypy")
    (tmp_path / "own.py").write_text(
        "from tinyse.errors import InputError\nreveal_type(InputError('no').what)\nInputError(3)\n"
    )
    command = [sys.executable, "-m", "mypy", "--python-executable", str(installed / "python")]
    done = subprocess.run(
        [*command, "own.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 'Revealed type is "' in done.stdout and "str" in done.stdout, done.stdout
    assert 'incompatible type "int"; expected "str"' in done.stdout
