"""`tinyse profile` and `tinyse show`: what they print, and how they refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import ROOT
from tests.npu.files import PUBLISHED, gaussian, max_pool, one_layer, one_operator, write
from tests.npu.vela import needs_vela
from tinyse.cli import main
from tinyse.npu import hardware_names
from tinyse.tflite.layout import OPERATORS

HARDWARE = ROOT / "export" / "hardware"


def run(*words: object, exit_code: int = 0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == exit_code, done.output + done.stderr
    return done


def document(*words: object) -> dict:
    return json.loads(run("profile", *words, "--json").stdout)


@pytest.fixture
def small(tmp_path) -> Path:
    return write(tmp_path, one_layer(gaussian(64, 64)))


def test_the_document_adds_up():
    found = document(PUBLISHED)
    assert found["npu"] == "ethos-u55-128" and found["memory"] == "flash" and found["frames"] == 1
    for rows in (found["layers"], found["operations"]):
        for key in ("cycles", "npu_cycles", "macs_dense", "encoded_bytes", "tiles_live", "tiles"):
            assert sum(row[key] for row in rows) == found["total"][key], key
    total = found["total"]
    assert total["macs_nonzero"] <= total["macs_dense"] <= total["macs_live"] or (
        total["tiles_live"] < total["tiles"]
    )
    assert total["latency_ms"] == pytest.approx(1e3 * total["cycles"] / found["clock_hz"])
    assert total["frame_share"] == pytest.approx(total["latency_ms"] / 16, abs=1e-5)
    parts = total["energy_uj"]
    assert parts["all"] == pytest.approx(parts["macs"] + parts["sram"] + parts["weights"], abs=1e-3)
    assert {"source", "weights_source", "mac_pj"} <= set(found["assumptions"])
    for row in found["operations"]:
        assert row["binds"] in {"array", "decode", "output", "sram", "flash"}


def test_the_table_says_what_the_document_says():
    found, text = document(PUBLISHED), run("profile", PUBLISHED).stdout
    for key in ("cycles", "encoded_bytes", "flash_bytes"):
        assert f"{found['total'][key]:,}" in text
    for word in ("lstm_0", "mask", "total", "no part was measured", "of a frame"):
        assert word in text
    assert "input_gate/kernel" not in text
    assert "input_gate/kernel" in run("profile", PUBLISHED, "--operations").stdout


def test_memories_systems_and_modes(small):
    cycles = {
        words: document(small, *words)["total"]["cycles"]
        for words in (
            ("--memory", "flash"), ("--memory", "sram"), ("--memory", "dram"),
            ("--system", "ethos-u55-deep-embedded"),
            ("--npu", "ethos-u85-128", "--mode", "measured"),
        )
    }  # fmt: skip
    assert len(set(cycles.values())) == len(cycles)


def test_weights_in_sram_count_as_sram(small):
    found = document(small, "--memory", "sram")
    flash = document(small)
    assert found["total"]["weight_traffic_bytes"] == 0
    assert found["total"]["sram_peak_bytes"] > flash["total"]["sram_peak_bytes"]
    assert found["total"]["energy_uj"]["weights"] == 0


def test_energy_is_of_the_tiles_that_are_worked_on(tmp_path):
    weights = gaussian(64, 64) | 1
    dense = write(tmp_path, one_layer(weights), "dense.tflite")
    weights[:, 32:] = 0
    half = write(tmp_path, one_layer(weights), "half.tflite")

    def picojoules(path: Path, *words: str) -> float:
        return 1e6 * document(path, *words)["total"]["energy_uj"]["macs"]

    assert picojoules(half) == picojoules(dense) == pytest.approx(64 * 64 * 0.25, abs=50)
    skipping = ("--what-if", "tile=8x8")
    assert picojoules(half, *skipping) == pytest.approx(picojoules(dense, *skipping) / 2, abs=50)


def test_ranking_has_every_npu_the_fastest_first(small):
    rows = document(small, "--all")["ranking"]
    assert {row["npu"] for row in rows} == set(hardware_names())
    times = [row["latency_ms"] for row in rows]
    assert times == sorted(times)
    assert "* hypothetical" in run("profile", small, "--all").stdout


def test_advice_prints_what_to_ask(small):
    text = run("profile", small, "--advise").stdout
    assert "--what-if encoded=0" in text
    lines = document(small, "--advise")["advice"]
    assert all({"subject", "says", "what_if", "cycles", "speed_up"} <= set(line) for line in lines)


def own_npu(folder: Path, *systems: str) -> Path:
    """A hardware file in `folder`, and beside it `systems` with a clock of their own."""
    text = (HARDWARE / "ethos-u55-128.toml").read_text("utf-8")
    text = text.replace('name = "ethos-u55-128"', 'name = "mine"')
    if systems:
        text = re.sub(r"(?m)^systems = .*", f"systems = {json.dumps(systems)}", text)
        (folder / "systems").mkdir()
    published = (HARDWARE / "systems" / "ethos-u55-high-end.toml").read_text("utf-8")
    for system in systems:
        changed = published.replace("ethos-u55-high-end", system).replace("500_000_000", "1e6")
        (folder / "systems" / f"{system}.toml").write_text(changed, "utf-8")
    (folder / "mine.toml").write_text(text, "utf-8")
    return folder / "mine.toml"


def test_a_hardware_file_of_ones_own(tmp_path, small):
    assert document(small, "--npu", own_npu(tmp_path))["npu"] == "mine"


def test_the_systems_beside_the_file_are_shown_and_ranked(tmp_path, small):
    own = own_npu(tmp_path, "ethos-u55-high-end", "my-board")
    found = json.loads(run("show", own, "--json").stdout)
    assert [system["name"] for system in found["systems"]] == ["ethos-u55-high-end", "my-board"]
    assert {system["clock_hz"] for system in found["systems"]} == {1e6}
    rows = document(small, "--npu", own, "--all")["ranking"]
    assert {row["npu"] for row in rows} == {*hardware_names(), "mine"}


def test_the_page_is_one_file(tmp_path, small):
    page = tmp_path / "profile.html"
    run("profile", small, "--html", page)
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>") and 'src="http' not in text
    assert f"{document(small)['total']['cycles']:,}" in text
    done = run("profile", small, "--html", page, exit_code=2)
    assert "already exists" in done.stderr
    run("profile", small, "--html", page, "--force")


@needs_vela
def test_against_vela_prints_both(small):
    found = document(small, "--against", "vela")
    assert found["vela"]["total"]["cycles"]["difference"] == pytest.approx(0, abs=0.005)
    text = run("profile", small, "--against", "vela", "--operations").stdout
    assert "against Vela" in text and "difference" in text


BAD = [
    (("--npu", "ethos-u99"), "unknown NPU"),
    (("--memory", "tape"), "unknown memory"),
    (("--system", "moon"), "has no system"),
    (("--mode", "guess"), "unknown mode"),
    (("--against", "iron"), "unknown estimator"),
    (("--all", "--advise"), "ask one"),
    (("--against", "vela", "--mode", "measured"), "--mode vela"),
    (("--what-if", "clock"), "expected key=value"),
    (("--all", "--system", "ethos-u55-deep-embedded"), "--all ranks every one"),
    (("--all", "--html", "x.html"), "one profile"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: str(value))
def test_bad_arguments_end_in_one_line(small, words, said):
    done = run("profile", small, *words, exit_code=2)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and said in done.stderr


SOFTMAX = next(number for number, name in OPERATORS.items() if name == "SOFTMAX")
FILES = {
    "nothing": b"",
    "text": b"not a model at all, but a text that is long enough",
    "cut off": PUBLISHED.read_bytes()[:5000],
    "float": one_operator(0, "float32", inputs=2),
    "unknown operator": one_operator(SOFTMAX),
    "unknown type": one_operator(0, "int32", inputs=2),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("words", [(), ("--advise",), ("--against", "vela")], ids=str)
def test_bad_files_end_in_one_line(tmp_path, name, words):
    path = write(tmp_path, FILES[name])
    done = run("profile", path, *words, exit_code=2)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert str(path) in done.stderr


@pytest.mark.parametrize(
    "npu", ["ethos-u55-128", "ethos-u85-128", "ethos-u85-256", "ethos-u85-512"]
)
def test_a_window_that_no_ram_holds_is_refused(tmp_path, npu):
    path = write(tmp_path, max_pool(128, 16, 64))
    done = run("profile", path, "--npu", npu, exit_code=2)
    assert f"{npu}: no block of MaxPool to (2, 2, 16) fits its RAM" in done.stderr


def test_a_file_that_is_not_there(tmp_path):
    assert "cannot be read" in run("profile", tmp_path / "none.tflite", exit_code=2).stderr


def test_show_prints_a_file_or_all_names():
    text = run("show").stdout
    assert all(name in text for name in hardware_names())
    text = run("show", "ethos-u55-128").stdout
    for said in ("macs_per_cycle = 128", "source = ", "system ethos-u55-high-end", "clock_hz"):
        assert said in text
    found = json.loads(run("show", "ethos-u85-256", "--json").stdout)
    assert found["hardware"]["rams"]["input_bytes"] == 16384
    assert {system["name"] for system in found["systems"]} == set(found["hardware"]["systems"])
    assert len(json.loads(run("show", "--json").stdout)["hardware"]) == len(hardware_names())
    said = run("show", "ethos-u55-12", exit_code=2).stderr
    assert said == "error: ethos-u55-12: unknown NPU; did you mean ethos-u55-128?\n"
    said = run("show", "ethos-u65", exit_code=2).stderr
    assert said == "error: ethos-u65: unknown NPU; use ethos-u65-256, ethos-u65-512\n"


BLOCKED = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "tf_keras", "jax", "ethosu", "scipy")))
from tinyse.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", [("profile", PUBLISHED), ("show", "ethos-u55-128")], ids=str)
def test_neither_tensorflow_nor_vela_is_needed(words):
    command = [sys.executable, "-c", BLOCKED, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
