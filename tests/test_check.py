"""The gate and `publish --refresh`: figures of the file anew, its quality untouched."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tests.test_bench import CORES, needs_board
from tinyse import check as checking
from tinyse.compiled import MissingTool
from tinyse.errors import InputError, TinySEError
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
def test_a_refresh_measures_the_arena_and_the_size_of_the_file_again(published):
    path = published / "metrics.json"
    before = json.loads(path.read_text())
    stale = json.loads(path.read_text())
    stale["memory"]["tflm_arena"] = stale["check"]["tflm_arena"] = stale["check"]["tflite"] = 1
    path.write_text(json.dumps(stale))
    metrics = refresh(published, silent)
    assert metrics["check"]["tflite"] == before["check"]["tflite"]
    assert metrics["memory"]["tflm_arena"] == metrics["check"]["tflm_arena"] > 1000


def no_tool(names, package):
    raise MissingTool(names[0], package)


def test_a_refresh_without_the_tools_loses_no_figure(published, monkeypatch):
    monkeypatch.setattr("tinyse.runtimes.emulated.find_tool", no_tool)
    path = published / "metrics.json"
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"metrics\.json: has figures that cannot be taken here"):
        refresh(published, silent)
    assert path.read_bytes() == before
    metrics = json.loads(before)
    for table in (metrics, metrics["check"]):  # as one that was published without them
        table.pop("instructions", None), table.pop("firmware", None)
    path.write_text(json.dumps(metrics))
    told: list[str] = []
    fresh = refresh(published, told.append)
    assert {"native", "native_coded"} < set(fresh["bytes"]) and len(told) == 1


@needs_board
def test_growth_fails_the_check(published, monkeypatch):
    path = published / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["check"]["sdr"] = {}
    metrics["check"]["firmware"]["cortex_m4"]["instructions_per_frame"] = 900_000
    path.write_text(json.dumps(metrics))
    fresh = {"tflite": metrics["check"]["tflite"], "tflm_arena": metrics["check"]["tflm_arena"]}
    monkeypatch.setattr(checking, "measured", lambda *_: {**fresh, "sdr": {}})
    failed = [row["figure"] for row in checking.check(published) if not row["holds"]]
    assert failed == ["cortex_m4 instructions per frame"]


@pytest.mark.parametrize("check", [None, [], {"sdr": {"embedded": 3}, "tflite": 1}], ids=str)
def test_metrics_without_figures_are_named(published, monkeypatch, check):
    path = published / "metrics.json"
    metrics = json.loads(path.read_text()) | {"check": check}
    path.write_text(json.dumps(metrics if check else {}))
    fresh = {"tflite": 1, "tflm_arena": 1, "sdr": {"embedded": {"sdr_out": 3.0}}}
    monkeypatch.setattr(checking, "measured", lambda *_: fresh)
    with pytest.raises(InputError, match=r"metrics\.json: lacks a figure"):
        checking.check(published)


def other_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("name", ["model.tflite", "weights.npz"])
def test_files_of_the_same_size_with_other_bytes_fail_the_check(published, monkeypatch, name):
    metrics = json.loads((published / "metrics.json").read_text())
    metrics["check"] = {key: metrics["check"][key] for key in ("tflite", "tflm_arena")} | {
        "sdr": {}
    }
    (published / "metrics.json").write_text(json.dumps(metrics))
    fresh = metrics["check"]
    monkeypatch.setattr(checking, "measured", lambda *_: fresh)
    assert all(row["holds"] for row in checking.check(published))
    if name == "model.tflite":
        (published / name).write_bytes(other_byte((published / name).read_bytes()))
    else:  # the same network in another archive
        with np.load(published / name) as arrays:
            np.savez(published / name, **arrays)
    failed = {row["figure"]: row["fresh"] for row in checking.check(published) if not row["holds"]}
    expected = {f"{name} other than manifest.json says": 1}
    if name == "model.tflite":
        expected["bytes of model.tflite that a fresh export has otherwise"] = 1
    assert failed == expected


def test_a_folder_is_checked_where_it_lies(published, monkeypatch):
    monkeypatch.chdir(published.parent)
    (published / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"^lstm_256: holds no metrics\.json"):
        checking.check("lstm_256")


def test_without_the_tools_the_check_says_so_and_holds(published, monkeypatch):
    monkeypatch.setattr("tinyse.runtimes.emulated.find_tool", no_tool)
    metrics = json.loads((published / "metrics.json").read_text())
    fresh = {"tflite": metrics["check"]["tflite"], "tflm_arena": metrics["check"]["tflm_arena"]}
    monkeypatch.setattr(checking, "measured", lambda *_: {**fresh, "sdr": {}})
    told: list[str] = []
    rows = checking.check(published, notice=told.append)
    assert all(row["holds"] for row in rows) and len(rows) == 5
    assert any("make firmware-deps" in line for line in told)


@pytest.mark.parametrize("wrong", ["[]", "{}", '{"memory": {}}', '{"memory": 3, "check": {}}'])
def test_a_refresh_of_figures_that_are_not_there_is_refused(published, wrong):
    (published / "metrics.json").write_text(wrong)
    with pytest.raises(InputError, match=r"metrics\.json: lacks a figure"):
        refresh(published, silent)


@pytest.mark.parametrize("error", [TinySEError("a fault"), InputError("no kernel takes it")])
def test_a_core_that_fails_fails_the_check(published, error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr("tinyse.bench.firmware.network_figures", fail)
    path = published / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["check"]["sdr"] = {}
    path.write_text(json.dumps(metrics))
    monkeypatch.setattr(checking, "measured", lambda *_: {})
    with pytest.raises(type(error), match=error.what):
        checking.check(published)


def test_a_folder_that_is_not_there_is_refused(published, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        checking.check(published, tmp_path / "typo")
