"""The package is typed: mypy finds nothing, and what it does not look at only gets less."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT

LEFT = 30  # modules and rooms that are still to be typed; lower it with the list


def untyped() -> list[str]:
    """The modules of pyproject.toml whose errors are not shown."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    (table,) = [table for table in settings["overrides"] if table.get("ignore_errors")]
    return table["module"]


def test_the_list_of_untyped_modules_only_shrinks():
    assert len(untyped()) <= LEFT
    for name in untyped():
        path = ROOT / name.removesuffix(".*").replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), name


@pytest.mark.slow
def test_the_checker_finds_nothing():
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
