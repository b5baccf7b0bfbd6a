"""A disk that is full, or a folder that cannot be: exit 2, one line, nothing half-written stays."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.bad_input.conftest import one_line, snapshot
from tinyse.audio import pools
from tinyse.audio.corpora import read_manifest
from tinyse.cli import main

# What is written, and the largest file (bytes) that the disk has room for meanwhile.
COMMANDS = {
    "export": (("export", "run", "-o", "out"), 3000),
    "export over": (("export", "run", "--force"), 3000),
    "enhance": (("enhance", "noisy.wav", "-o", "out.wav", "--model", "run"), 8000),
    "enhance over": (("enhance", "noisy.wav", "-o", "old.wav", "--model", "run", "--force"), 8000),
    "prepare": (("data", "prepare", "--speech", "corpus/test", "-o", "out/manifest.csv"), 200),
    "bench": (("bench", "run", "--runtime", "oracle", "-o", "bench.json"), 100),
}


@pytest.mark.parametrize(("arguments", "room"), COMMANDS.values(), ids=COMMANDS)
def test_a_full_disk(place, arguments, room):
    (place / "old.wav").write_bytes((place / "noisy.wav").read_bytes())
    before = snapshot(place)
    done = run(arguments, room)
    assert done.returncode == 2, done.stderr
    one_line(done.stderr, "cannot be written (File too large)")
    assert (done.stdout != "") == (arguments[0] == "bench")  # what was measured is not lost
    left = {name: what for name, what in snapshot(place).items() if what != "folder"}
    assert left == {name: what for name, what in before.items() if what != "folder"}


@pytest.mark.slow
def test_a_full_disk_in_training(place):
    pools.decode(read_manifest(place / "corpus" / "manifest.csv"))  # the cache is there
    before = snapshot(place)
    keys = ("network.lstm=[64]", "train.batch=1", "train.frames=8")
    overrides = [word for key in keys for word in ("--set", key)]
    arguments = ("train", "recipe.toml", "--data", "corpus", "--run", "new", *overrides)
    done = run(arguments, 300_000)  # the checkpoint is larger, shared memory is not
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]  # other packages have files of their own, and words
    one_line(last, "best.npz: cannot be written (File too large)")
    assert "Traceback" not in done.stderr
    assert before.items() <= snapshot(place).items()
    assert not [name for name in snapshot(place) if name.endswith(".part")]


def run(arguments, room):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.run(
        [sys.executable, "-B", "-m", "tinyse", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "run", "-o", "noisy.wav"),
        ("export", "run", "-o", "noisy.wav/deeper"),
        ("export", "run", "-o", "/proc/nothing"),
        ("enhance", "noisy.wav", "-o", "recipe.toml/out.wav", "--model", "run"),
        ("enhance", "corpus", "-o", "/proc/nothing", "--model", "run"),
        ("data", "prepare", "--speech", "corpus", "-o", "noisy.wav/manifest.csv"),
        ("data", "synth", "noisy.wav/deeper", "--minutes", "1"),
        ("publish", "run", "--list", "corpus/mixtures_test.csv", "-o", "noisy.wav/deeper"),
        ("demo", "--out", "noisy.wav"),
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be(place, refused, arguments):
    (place / "run" / "run.json").write_text('{"seed": 1, "valid_si_sdr_gain": 1.0}\n')
    (place / "run" / "log.jsonl").write_text("{}\n")
    refused(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "run", "-o", "noisy.wav/bench.json"),
        ("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--limit", "2", "--workers", "1",
         "--worst", "1", "--audio", "noisy.wav/deeper"),
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_what_was_measured_is_printed_before_it_cannot_be_written(place, arguments):
    before = snapshot(place)
    done = CliRunner().invoke(main, [*arguments, "--runtime", "oracle", "--json"])
    assert done.exit_code == 2 and json.loads(done.stdout)["schema"] == 1
    one_line(done.stderr, ": cannot be written (")
    assert snapshot(place) == before


@pytest.mark.parametrize("arguments", [("show", "--json"), ("show",), ("--help",)], ids=" ".join)
@pytest.mark.parametrize("buffered", [True, False])
def test_a_stdout_that_is_full(arguments, buffered):
    command = [sys.executable, *([] if buffered else ["-u"]), "-m", "tinyse", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    one_line(done.stderr, "output: cannot be written (No space left on device)")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["noisy.wav", "noisy.wav/deeper"])
def test_a_run_that_cannot_be(refused, run):
    refused("train", "recipe.toml", "--data", "corpus", "--run", run)
