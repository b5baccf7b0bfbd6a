"""The command line as a whole: help, exit codes, one line of error, JSON and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from docs.generate.commands import all_commands
from tests.network_maker import float_weights
from tinyse import __version__
from tinyse.cli import main
from tinyse.errors import CheckFailed, InputError, MissingExtra, TinySEError
from tinyse.files import packaged

LEAVES = [words for words in all_commands() if words != ("data",)]


def call(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    folder.mkdir()
    np.savez(folder / "weights.npz", **float_weights((8,), ()))
    done = call("export", folder)
    assert done.exit_code == 0, done.output
    noise = np.random.default_rng(3).normal(0, 0.1, 20_000)
    soundfile.write(folder / "noisy.wav", noise, 16_000, subtype="PCM_16")
    return folder


@pytest.mark.parametrize("words", [(), *all_commands()], ids=" ".join)
def test_help(words):
    for option in ("--help", "-h"):
        done = call(*words, option)
        assert done.exit_code == 0 and done.stderr == ""
        assert done.stdout.startswith("Usage: ")


def test_a_name_that_is_no_text_fails_no_command(run_folder, tmp_path):
    folder = tmp_path / os.fsdecode(b"fo\xff")
    folder.mkdir()
    shutil.copy(run_folder / "weights.npz", folder)
    (folder / "recipe.toml").write_text('name = "some"\n')
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    for words in ((str(folder),), (str(folder), "--force", "--json"), (str(folder / "none"),)):
        command = [sys.executable, "-m", "tinyse", "export", *words]
        done = subprocess.run(command, env=strict, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode == (2 if "none" in words[0] else 0), done.stderr
    assert (folder / "model.tflite").exists()


def test_a_published_name_is_exported_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("export", "lstm_tiny")
    assert done.exit_code == 2 and done.stderr == (
        "error: lstm_tiny: comes with tinyse; name a folder to export into with -o\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert call("export", "lstm_tiny", "-o", "here").exit_code == 0
    published = packaged("models", "lstm_tiny") / "model.tflite"
    assert (tmp_path / "here" / "model.tflite").read_bytes() == published.read_bytes()
    assert call("export", "lstm_none").stderr.startswith("error: lstm_none: cannot be read")
    assert "tinyse firmware copy" in call("export", str(published), "-o", "there").stderr
    assert not (tmp_path / "there").exists()


def test_version():
    assert call("--version").stdout.split()[-1] == __version__


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_mistyped_option_is_bad_input_in_one_line(words):
    done = call(*words, "--froce")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [done.stderr.rstrip("\n")]
    assert done.stderr.startswith(f"error: main {' '.join(words)}: No such option"), done.stderr


def test_a_mistyped_option_of_no_command_is_one_line_too():
    done = call("--froce", "inspect")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr == "error: main: No such option '--froce'. See main --help\n"


def test_a_mistyped_command_is_bad_input_in_one_line():
    done = call("exprot")
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and "exprot" in done.stderr


@pytest.mark.parametrize(
    ("words", "near"), [(("exprot",), "export"), (("data", "chek"), "check"), (("xyz",), None)]
)
def test_a_mistyped_command_is_told_the_nearest(words, near):
    said = call(*words).stderr
    assert (f"Did you mean {near!r}?" in said) if near else ("Did you mean" not in said)


COMPLETIONS = {
    "ex": "export",
    "data pre": "prepare",
    "firmware ": "copy",
    "profile --me": "--memory",
    "firmware copy out --target m": "m55",
}


@pytest.mark.parametrize(("typed", "completed"), COMPLETIONS.items())
def test_the_shell_completes(typed, completed):
    """What bash asks for after TAB, as the script asks that `bash_source` writes."""
    words = ["tinyse", *typed.split(" ")]
    environment = {**os.environ, "_TINYSE_COMPLETE": "bash_complete",
                   "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
    script = "from tinyse.cli import main; main(prog_name='tinyse')"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == "" and f"plain,{completed}" in done.stdout.splitlines()


@pytest.mark.parametrize("words", [(), ("data",)])
def test_a_group_alone_shows_its_help(words):
    done = call(*words)
    assert done.exit_code == 2 and "Commands:" in done.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TinySEError("no"), 1),
        (CheckFailed("no"), 1),
        (InputError("no", "file", "do"), 2),
        (MissingExtra("jinja2", "report"), 3),
    ],
)
def test_each_error_has_its_exit_code(monkeypatch, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr("tinyse.audit.inspect", fail)
    done = call("inspect", "any.tflite")
    assert done.exit_code == code
    assert done.stderr == f"error: {error}\n"


def test_a_bug_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("tinyse.audit.inspect", lambda *_: {}["not there"])
    done = call("inspect", "any.tflite")
    assert isinstance(done.exception, KeyError)


def test_every_option_is_taken_from_the_environment_by_its_own_name(run_folder, monkeypatch):
    """`--json` and `--block` have other names inside."""
    monkeypatch.setenv("TINYSE_INSPECT_JSON", "1")
    monkeypatch.setenv("TINYSE_INSPECT_BLOCK", "2x8")
    document = json.loads(call("inspect", f"{run_folder}/model.tflite").stdout)
    assert document["macs"]["block"] == "2x8"
    monkeypatch.setenv("TINYSE_DATA_CHECK_WORKERS", "none")
    assert "'none' is not a valid integer" in call("data", "check", "manifest.csv").stderr


@pytest.mark.parametrize(
    "words", [("inspect",), ("profile",), ("bench", "--runtime", "oracle")], ids=" ".join
)
def test_names_are_printed_as_they_are(run_folder, tmp_path, monkeypatch, words):
    """Brackets would be styles to Rich, and words between colons pictures."""
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "run").mkdir()
    shutil.copy(run_folder / "weights.npz", tmp_path / "run")
    recipe = 'schema = 1\nname = "x[/y]"\n[network]\nlstm = [8]\ndense = []\n'
    (tmp_path / "run" / "recipe.toml").write_text(recipe)
    assert call("export", tmp_path / "run").exit_code == 0
    file = (tmp_path / "run" / "model.tflite").rename(tmp_path / "lstm[v2]:star:.tflite")
    done = call(*words, file)
    assert done.exit_code == 0, done.output
    assert "lstm[v2]:star:" in done.stdout
    assert "x[/y]" in done.stdout or words[0] != "inspect"


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "{run}", "-o", "{tmp}/out", "--json"),
        ("inspect", "{run}/model.tflite", "--json"),
        ("evaluate", "{run}", "--list", "{corpus}/mixtures_test.csv", "--limit", "1", "--json"),
        ("evaluate", "{run}", "--list", "{corpus}/mixtures_test.csv", "--limit", "1", "--rows"),
        ("enhance", "{run}/noisy.wav", "-o", "{tmp}/out.wav", "--model", "{run}", "--json"),
        ("bench", "{run}", "--runtime", "oracle", "--json"),
        ("data", "check", "{corpus}/manifest.csv", "--json", "--workers", "1"),
        ("inspect", "lstm_256", "--json"),
        ("data", "prepare", "--speech", "{corpus}", "-o", "{tmp}/manifest.csv", "--json"),
        ("doctor", "--json"),
    ],
    ids=lambda arguments: " ".join(word for word in arguments if "{" not in word),
)
def test_json_is_one_document_and_nothing_else(run_folder, tiny_corpus, tmp_path, arguments):
    places = {"run": run_folder, "corpus": tiny_corpus, "tmp": tmp_path}
    done = call(*(word.format(**places) for word in arguments))
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == 1


# What makes a command need the package, with that package and all it brings out of reach.
NEEDS = {
    "inspect": ((), ("inspect", "{run}/model.tflite"), 0),
    "tflm": (("tflite_micro",), ("enhance", "{run}/noisy.wav", "-o", "{tmp}/out.wav"), 3),
    "tflm bench": (("tflite_micro",), ("bench", "{run}", "--runtime", "tflm"), 3),
    "litert": (("ai_edge_litert",), ("bench", "{run}", "--runtime", "litert"), 3),
    "tflm export": (("tflite_micro", "ai_edge_litert"), ("export", "{run}", "-o", "{tmp}/out"), 3),
    "eval": (
        ("pystoi",),
        ("evaluate", "{run}", "--list", "{corpus}/mixtures_test.csv", "--metrics", "estoi"),
        3,
    ),
    "pesq": (
        ("pesq",),
        ("evaluate", "{run}", "--list", "{corpus}/mixtures_test.csv", "--metrics", "pesq"),
        3,
    ),
    "ray evaluate": (
        ("ray",),
        ("evaluate", "{run}", "--list", "{corpus}/mixtures_test.csv", "--where", "ray://a:1"),
        3,
    ),
    "ray data check": (
        ("ray",),
        ("data", "check", "{corpus}/manifest.csv", "--where", "ray://a:1"),
        3,
    ),
    "synth": (("espeakng_loader",), ("data", "synth", "{tmp}/corpus", "--minutes", "1"), 3),
    "train": (("keras", "tensorflow"), ("train", "{tmp}/recipe.toml", "--data", "{corpus}"), 3),
    "keras_model": (
        ("keras", "tensorflow"),
        ("enhance", "{run}/noisy.wav", "-o", "{tmp}/out.wav", "--runtime", "keras_model"),
        3,
    ),
}
BLOCKED = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
from tinyse.cli import main
main(sys.argv[2:])
"""


@pytest.mark.parametrize(("packages", "arguments", "code"), NEEDS.values(), ids=NEEDS)
def test_a_missing_package_is_named_with_its_remedy(
    run_folder, tiny_corpus, tmp_path, packages, arguments, code
):
    (tmp_path / "recipe.toml").write_text('schema = 1\nname = "small"\n')
    places = {"run": run_folder, "corpus": tiny_corpus, "tmp": tmp_path}
    words = [word.format(**places) for word in arguments]
    if words[0] == "enhance":
        words += ["--model", str(run_folder)]
    if words[0] == "evaluate":
        words += ["--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, ",".join(packages) or "tensorflow", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("error: ") and "pip install 'tinyse[" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
