"""The demo: no TensorFlow, no Keras, no data set, no network; sound and a page at the end."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import soundfile
from click.testing import CliRunner

from tinyse.cli import main

pytest.importorskip("tflite_micro")
pytest.importorskip("espeakng_loader")

# What the demo must not need is made impossible to import, and so is a connection.
BARRED = """
import socket, sys
class Bar:
    def find_spec(self, name, path=None, target=None):
        if name in {"tensorflow", "keras", "jax", "matplotlib", "ai_edge_litert", "pystoi"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Bar())
def refuse(*_): raise OSError("no network here")
socket.socket.connect = refuse
from tinyse.cli import main
main()
"""


def _demo(out) -> dict:
    command = [sys.executable, "-c", BARRED, "demo", "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demo_needs_nothing_but_its_install(tmp_path):
    first = _demo(tmp_path / "demo")
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names >= {"model.tflite", "manifest.json", "demo.json", "report.html"}
    assert first["recording"]["sdr_out"] > first["recording"]["sdr_in"] + 3
    lengths = set()
    for name in ("noisy", "enhanced", "clean"):
        sound, rate = soundfile.read(tmp_path / "demo" / f"{name}.wav")
        assert rate == 16_000
        lengths.add(len(sound))
    assert len(lengths) == 1
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("<audio") == 3 and page.count("data:audio/flac;base64,") == 3
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page), "the page fetches something"
    file = (tmp_path / "demo" / "model.tflite").read_bytes()
    again = _demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "model.tflite").read_bytes() == file
    assert again["recording"] == first["recording"]


@pytest.mark.parametrize(
    ("there", "words", "says"),
    [
        (("model.tflite",), (), "holds files and no demo.json of a demo; name a new folder"),
        (("demo.json", "corpus/a.wav"), (), "is not a corpus that could be replaced"),
        ((), ("--seed", "-1"), "'--seed'"),
    ],
)
def test_what_is_refused_writes_nothing(tmp_path, there, words, says):
    out = tmp_path / "demo"
    for name in there:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    done = CliRunner().invoke(main, ["demo", "--out", str(out), *words])
    assert done.exit_code == 2 and says in done.stderr
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {path.relative_to(out).as_posix() for path in files} == set(there)
    assert all(path.read_text() == "mine" for path in files)
