"""`tinyse doctor`: what is missing is said with the command that gets it."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from click.testing import CliRunner

from tests.conftest import ROOT
from tinyse.cli import doctor, main
from tinyse.runtimes.native import COMPILERS


@pytest.fixture
def bare(monkeypatch):
    """A machine that has nothing optional."""
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    monkeypatch.setattr(doctor, "which", lambda name: None)
    monkeypatch.delenv("TINYSE_DATA", raising=False)


def test_every_missing_part_comes_with_its_command(bare) -> None:
    lines = CliRunner().invoke(main, ["doctor"]).output.splitlines()
    assert len(lines) == len(doctor.OPTIONAL) + len(doctor.PROGRAMS) + 1
    for line in lines[:-1]:
        assert line.startswith("-- ")
        remedy = r"; get it with: (pip install 'tinyse\[\w+\]'|apt-get install [a-z -]+)$"
        assert re.search(remedy, line)


def test_the_extras_that_are_named_bring_what_is_missing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for package, (extra, _) in doctor.OPTIONAL.items():
        wanted = project["optional-dependencies"][extra]
        assert any(re.match(rf"{re.escape(package)}\b(?!-)", line) for line in wanted), package


def test_any_compiler_that_the_runtime_takes_will_do(monkeypatch) -> None:
    assert ("cc", *doctor.INSTEAD["cc"]) == COMPILERS
    for name in COMPILERS:
        monkeypatch.setattr(doctor, "which", lambda program, name=name: program == name or None)
        found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)["programs"]
        assert found["cc"] and not found["qemu-system-arm"]


def test_the_programs_are_those_of_the_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("firmware-deps:")[2].partition("\n\n")[0]
    for package, _ in doctor.PROGRAMS.values():
        assert {*package.split()} <= {*recipe.split("install")[-1].replace(";", " ").split()}
