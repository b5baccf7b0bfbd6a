"""What is compiled on first use: which compiler, and where the system keeps none of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.network_maker import small_network
from tinyse import compiled
from tinyse.bench import bench
from tinyse.cli import main
from tinyse.compiled import MissingTool, NoCache
from tinyse.live import find_offers
from tinyse.runtimes import native


@pytest.fixture
def no_cache(tmp_path, monkeypatch) -> Iterator[Path]:
    """A cache folder that nobody can write, not even root: a file lies there."""
    path = tmp_path / "cache"
    path.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    native.library.cache_clear()
    yield path
    native.library.cache_clear()


@pytest.fixture
def compiler() -> str:
    """Any C compiler, else skip."""
    try:
        return compiled.find_tool(native.COMPILERS, "")
    except MissingTool as error:
        pytest.skip(str(error))


def test_every_name_that_was_looked_for_is_said(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool) as raised:
        compiled.find_tool(native.COMPILERS, "apt-get install gcc")
    assert str(raised.value) == (
        "cc or gcc or clang is not installed; install it with: apt-get install gcc"
    )


def test_what_cannot_be_kept_names_the_folder_and_the_variable(no_cache, compiler) -> None:
    with pytest.raises(NoCache, match="set XDG_CACHE_HOME") as raised:
        native.Native(small_network())
    assert raised.value.exit_code == 3 and str(no_cache) in str(raised.value)
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is NoCache and str(again) == str(raised.value)


def test_what_cannot_be_loaded_is_said_the_same(tmp_path) -> None:
    """As where the cache lies on a file system that may hold no programs."""
    (tmp_path / "library.so").write_bytes(b"no library")
    with pytest.raises(NoCache, match="set XDG_CACHE_HOME"):
        compiled.load_library(tmp_path / "library.so")


def test_commands_that_can_do_without_do(no_cache, compiler, small_model) -> None:
    offers = find_offers([small_model], ["oracle", "native"])
    assert offers.runtimes == ("oracle",) and "XDG_CACHE_HOME" in offers.missing["native"]
    measured = bench([small_model / "model.tflite"], ["oracle", "native"])
    assert "XDG_CACHE_HOME" in measured["missing"]["native"]
    words = ["enhance", "-", "--model", str(small_model), "--runtime", "native"]
    done = CliRunner().invoke(main, words, input=bytes(512))
    assert done.exit_code == 3 and done.stderr.count("\n") == 1
    assert "XDG_CACHE_HOME" in done.stderr


def test_a_page_with_charts_needs_no_cache(no_cache, monkeypatch) -> None:
    pytest.importorskip("vl_convert")
    from tinyse.report import vega

    vega.library.cache_clear()
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda: "draw()</script>")
    assert vega.library() == "draw()<\\/script>"
    vega.library.cache_clear()
