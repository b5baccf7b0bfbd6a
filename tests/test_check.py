"""The gate and `publish --refresh`: figures of the file anew, its quality untouched."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.test_bench import CORES, needs_board
from tinyse import check as checking
from tinyse.compiled import MissingTool
from tinyse.errors import InputError
from tinyse.files import packaged
from tinyse.publish import refresh

pytest.importorskip("tflite_micro")


@pytest.fixture
def published(tmp_path):
    """A copy of a published model."""
    folder = tmp_path / "lstm_256"
    shutil.copytree(packaged("models", "lstm_256"), folder)
    return folder


def silent(line: str) -> None:
    raise AssertionError(line)


@needs_board
def test_a_refresh_changes_what_the_file_tells_and_nothing_else(published):
    path = published / "metrics.json"
    before = json.loads(path.read_text())
    stale = json.loads(path.read_text())
    stale["instructions"] = {"cortex_m4": 1}
    stale["check"]["firmware"]["cortex_m4"]["flash_bytes"] = 1
    path.write_text(json.dumps(stale))
    metrics = refresh(published, silent)
    assert json.loads(path.read_text()) == metrics
    assert set(metrics["instructions"]) == set(CORES)
    assert metrics["quality"] == before["quality"]
    assert metrics["check"]["sdr"] == before["check"]["sdr"]
    assert metrics["check"]["firmware"]["cortex_m4"]["flash_bytes"] > 900_000


def test_another_file_is_not_measured_in_place_of_the_scored_one(published):
    data = bytearray((published / "model.tflite").read_bytes())
    data[-1] ^= 1
    (published / "model.tflite").write_bytes(data)
    before = (published / "metrics.json").read_bytes()
    with pytest.raises(InputError, match="not the file that was measured"):
        refresh(published, silent)
    assert (published / "metrics.json").read_bytes() == before


@needs_board
def test_growth_fails_the_check(published, monkeypatch):
    path = published / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["check"]["sdr"] = {}
    metrics["check"]["firmware"]["cortex_m4"]["instructions_per_frame"] = 900_000
    path.write_text(json.dumps(metrics))
    monkeypatch.setattr(checking, "packaged", lambda *_: published)
    fresh = {"tflite": metrics["check"]["tflite"], "tflm_arena": metrics["check"]["tflm_arena"]}
    monkeypatch.setattr(checking, "measured", lambda *_: {**fresh, "sdr": {}})
    failed = [row["figure"] for row in checking.check("lstm_256") if not row["holds"]]
    assert failed == ["cortex_m4 instructions per frame"]


@pytest.mark.parametrize("check", [None, [], {"sdr": {"embedded": 3}, "tflite": 1}], ids=str)
def test_metrics_without_figures_are_named(published, monkeypatch, check):
    path = published / "metrics.json"
    metrics = json.loads(path.read_text()) | {"check": check}
    path.write_text(json.dumps(metrics if check else {}))
    monkeypatch.setattr(checking, "packaged", lambda *_: published)
    fresh = {"tflite": 1, "tflm_arena": 1, "sdr": {"embedded": {"sdr_out": 3.0}}}
    monkeypatch.setattr(checking, "measured", lambda *_: fresh)
    with pytest.raises(InputError, match=r"metrics\.json: lacks a figure"):
        checking.check("lstm_256")


def test_without_the_tools_the_check_says_so_and_holds(published, monkeypatch):
    def missing(names, package):
        raise MissingTool(names[0], package)

    monkeypatch.setattr("tinyse.runtimes.emulated.find_tool", missing)
    monkeypatch.setattr(checking, "packaged", lambda *_: published)
    metrics = json.loads((published / "metrics.json").read_text())
    fresh = {"tflite": metrics["check"]["tflite"], "tflm_arena": metrics["check"]["tflm_arena"]}
    monkeypatch.setattr(checking, "measured", lambda *_: {**fresh, "sdr": {}})
    told: list[str] = []
    rows = checking.check("lstm_256", notice=told.append)
    assert all(row["holds"] for row in rows) and len(rows) == 2
    assert any("make firmware-deps" in line for line in told)
