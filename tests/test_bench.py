"""What `tinyse bench` says: every runtime in turns, exact counts, what is missing; and the gate."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import float_weights, integer_network
from tests.sparse_networks import by_magnitude, cut_network
from tinyse import compiled
from tinyse.bench import (
    RUNTIMES,
    STEP,
    bench,
    firmware_figures,
    gated_figures,
    network_figures,
    open_here,
    timed,
)
from tinyse.bench.firmware import GATED
from tinyse.check import _growth
from tinyse.cli import main
from tinyse.compiled import MissingTool
from tinyse.errors import InputError, MachineFault
from tinyse.export import export_model
from tinyse.tflite.check import load
from tinyse.tflite.write import serialise

CORES = ("cortex_m4", "cortex_m7", "cortex_m55")
needs_board = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="make firmware-deps installs the compiler and QEMU",
)


@pytest.fixture(scope="module")
def file(tmp_path_factory, small_model):
    """The exported file of a small model, with the weights beside it."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copy(small_model / "weights.npz", folder)
    return export_model(folder, folder)


@pytest.fixture
def without_tools(monkeypatch):
    """Nothing of firmware-deps is installed."""

    def missing(names, package):
        raise MissingTool(names[0], package)

    monkeypatch.setattr("tinyse.runtimes.emulated.find_tool", missing)


def test_a_network_of_another_width_is_timed(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(serialise(integer_network((8,), (), 32, 4)))
    (model,) = bench([path], ("oracle", "native"))["models"]
    assert len({row["crc32"] for row in model["runtimes"]}) == 1


def test_exact_runtimes_have_one_checksum(file):
    result = bench([file], ("oracle", "native", "native_reference"))
    rows = result["models"][0]["runtimes"]
    assert [row["runtime"] for row in rows] == ["oracle", "native", "native_reference"]
    assert len({row["crc32"] for row in rows}) == 1 and all(row["exact"] for row in rows)
    for row in rows:
        low, high = row["ms_per_frame_min"], row["ms_per_frame_max"]
        assert 0 < low <= row["ms_per_frame"] <= high
    assert rows[0]["against_first"] == 1 and result["missing"] == {}


def test_the_c_runtime_is_timed_layer_by_layer(file):
    (row,) = bench([file], ("native",))["models"][0]["runtimes"]
    names = [layer.name for layer in load(file).network.layers]
    assert list(row["ms_by_layer"]) == names and all(x >= 0 for x in row["ms_by_layer"].values())
    assert row["ms_by_layer"]["lstm_0"] > 0


def test_litert_is_timed_without_copies(file, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    runtime = open_here("litert_step8", file)
    calls = []
    invoke, step = runtime.invoke, runtime.step
    monkeypatch.setattr(runtime, "invoke", lambda: (calls.append("graph"), invoke()))
    monkeypatch.setattr(runtime, "step", lambda frame: (calls.append("copies"), step(frame))[1])
    (row,) = timed([runtime])
    assert row["exact"] is False and row["runtime"] == "litert_step8"
    assert calls.count("graph") >= 8 * calls.count("copies")


@needs_board
def test_counts_are_those_of_the_cores(file):
    result = bench([file], ("native", "cortex_m4", "cortex_m55"))
    (host,), cores = result["models"][0]["runtimes"], result["models"][0]["firmware"]
    assert [row["runtime"] for row in cores] == ["cortex_m4", "cortex_m55"]
    for row in cores:
        assert row["crc32"] == host["crc32"]
        by_layer = row["instructions_by_layer"]
        assert sum(by_layer.values()) == pytest.approx(row["instructions_per_frame"], abs=8)
        parts = row["flash_parts_bytes"]
        whole = parts["code"] + parts["blob"] - parts["front_end"]
        assert row["flash_bytes"] in (whole, parts["code"] + parts["blob"])
        assert (row["front_end"] or {"tables_bytes": 0})["tables_bytes"] == parts["front_end"]


@needs_board
def test_counts_repeat_and_blocks_that_are_gone_cost_nothing():
    dense = integer_network((128,), (), 128, 128)
    sparse = cut_network(dense, by_magnitude(4, 4, 0.9))
    first, again, less = (network_figures(of) for of in (dense, dense, sparse))
    assert first == again and set(first) == set(CORES)
    for core in CORES:
        assert less[core]["instructions_per_frame"] < 0.6 * first[core]["instructions_per_frame"]
        assert less[core]["flash_bytes"] < first[core]["flash_bytes"]


def test_what_is_not_installed_is_named(file, without_tools):
    result = bench([file], ("oracle", *CORES))
    assert set(result["missing"]) == set(CORES)
    assert all("make firmware-deps" in why for why in result["missing"].values())
    assert result["models"][0]["firmware"] == []
    with pytest.raises(MissingTool, match="make firmware-deps"):
        bench([file], CORES)


def test_what_a_runtime_said_is_raised_and_not_asked_again(file, monkeypatch):
    tries = []

    def fails_once(path, cores):
        tries.append(cores)
        if len(tries) == 1:
            raise MachineFault("QEMU ran out of time", path)
        return {core: {} for core in cores}

    monkeypatch.setattr("tinyse.bench.firmware_figures", fails_once)
    with pytest.raises(MachineFault, match="QEMU ran out of time"):
        bench([file], CORES[:1])
    assert len(tries) == 1


def test_a_core_that_is_too_slow_costs_no_other_figure(file, monkeypatch):
    def fails(path, cores):
        raise MachineFault("QEMU ran out of time", path)

    monkeypatch.setattr("tinyse.bench.firmware_figures", fails)
    result = bench([file], ("oracle", CORES[0]))
    assert "QEMU ran out of time" in result["missing"][CORES[0]]
    assert [row["runtime"] for row in result["models"][0]["runtimes"]] == ["oracle"]


def test_the_host_needs_a_compiler(file, monkeypatch):
    def missing(names, package):
        raise MissingTool(names[0], package)

    from tinyse.runtimes import native

    native.library.cache_clear()
    monkeypatch.setattr(native, "find_tool", missing)
    result = bench([file], ("oracle", "native"))
    assert "a C compiler" in result["missing"]["native"] or "install" in result["missing"]["native"]
    done = CliRunner().invoke(main, ["bench", str(file), "--runtime", "native"])
    assert done.exit_code == 3 and done.stderr.count("\n") == 1
    native.library.cache_clear()


def test_the_command_prints_a_table_and_writes_json(file, tmp_path):
    words = ["bench", str(file), "--runtime", "oracle", "-o", str(tmp_path / "bench.json")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0 and "oracle" in done.stdout
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["models"][0]["runtimes"][0]["runtime"] == "oracle"
    assert CliRunner().invoke(main, words).exit_code == 2


def test_no_cell_of_the_table_is_cut(file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    printed = CliRunner().invoke(main, ["bench", str(file), "--runtime", "oracle"]).stdout
    assert "ms/frame" in printed and "arena bytes" in printed and "…" not in printed


def test_every_runtime_has_a_name_of_its_own():
    assert len(set(RUNTIMES)) == len(RUNTIMES) and set(CORES) <= set(RUNTIMES)


@needs_board
def test_the_gate_holds_what_is_measured(file):
    told = []
    figures = gated_figures(file, told.append)
    assert set(figures) == set(CORES) and not told
    again = firmware_figures(file)
    for core, found in figures.items():
        assert found == {name: again[core][name] for name in GATED}


def test_the_gate_without_tools_is_a_notice(file, without_tools):
    told = []
    assert gated_figures(file, told.append) == {}
    assert len(told) == 1 and "make firmware-deps" in told[0]


@pytest.mark.parametrize(("fresh", "holds"), [(500, True), (1010, True), (1011, False)])
def test_a_figure_may_shrink_but_not_grow_by_more_than_one_percent(fresh, holds):
    (row,) = _growth("cortex_m4", {"flash_bytes": 1000}, {"flash_bytes": fresh}, 0.01)
    assert row["holds"] is holds and row["figure"] == "cortex_m4 flash bytes"


def test_a_tool_is_found_by_any_of_its_names():
    with pytest.raises(MissingTool, match="install it with: make x"):
        compiled.find_tool(("no-such-tool",), "make x")


@pytest.mark.parametrize("name", ["abacus", "keras_model"])
def test_an_unknown_runtime_is_refused(file, name):
    with pytest.raises(InputError, match=f"unknown runtime '{name}'; use tflm, .*litert_step8"):
        bench([file], ("oracle", name))


def test_what_a_runtime_says_of_every_file_is_kept(tmp_path):
    pytest.importorskip("ai_edge_litert")
    files = [tmp_path / "one.tflite", tmp_path / "two.tflite"]
    for path in files:
        path.write_bytes(serialise(integer_network((8,), ())))
    missing = bench(files, ("oracle", STEP))["missing"]
    assert set(missing) == {STEP}
    assert missing[STEP].startswith("one: ") and "; two: " in missing[STEP]


def test_the_step_graph_is_made_of_the_files_own_weights(file, tmp_path):
    pytest.importorskip("ai_edge_litert")
    shutil.copy(file, tmp_path / "my.tflite")
    shutil.copy(file.parent / "weights.npz", tmp_path)
    assert open_here(STEP, tmp_path / "my.tflite").name == STEP
    np.savez(tmp_path / "weights.npz", **float_weights((8,), ()))
    with pytest.raises(InputError, match=r"has no weights\.npz of its own beside it"):
        open_here(STEP, tmp_path / "my.tflite")
