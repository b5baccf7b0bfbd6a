"""Hardware files: every one loads, and a wrong one is refused when it is loaded."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tinyse.errors import InputError
from tinyse.npu.document import profile
from tinyse.npu.hardware import (
    default_memory,
    find_target,
    hardware_names,
    load_hardware,
    load_system,
)
from tinyse.weight_encoder import ACCELERATORS, matrix_order

FOLDER = ROOT / "export" / "hardware"
PUBLISHED = ROOT / "models" / "lstm_tiny" / "model.tflite"


def test_what_is_published_is_there():
    names = hardware_names()
    for name in (*(f"ethos-u55-{n}" for n in (32, 64, 128, 256)), "ethos-u65-256", "ethos-u65-512",
                 *(f"ethos-u85-{n}" for n in (128, 256, 512))):  # fmt: skip
        assert name in names
    skipping = [name for name in names if load_hardware(name).skipping]
    assert len(skipping) >= 2


@pytest.mark.parametrize("name", hardware_names())
def test_every_file_says_where_its_numbers_are_from(name):
    hardware = load_hardware(name)
    assert hardware.name == name
    assert hardware.hypothetical == name.startswith("hypothetical")
    assert hardware.hypothetical == ("hypothetical" in hardware.title)
    for table in ("array", "output", "shared_ram", "rams", "decoder", "skipping", "energy"):
        found = getattr(hardware, table)
        assert found is None or len(found.source) > 10
    for system in hardware.systems:
        loaded = load_system(system)
        assert loaded.name == system and len(loaded.source) > 10


@pytest.mark.parametrize("name", hardware_names())
def test_weights_can_lie_in_sram_everywhere(name):
    assert find_target(name, "sram").weights == find_target(name, "sram").sram


def test_the_first_system_with_the_memory_is_taken():
    assert find_target("ethos-u55-128", "flash").system.name == "ethos-u55-high-end"
    assert find_target("ethos-u55-128", "dram").system.name == "ethos-u55-dram"
    chosen = find_target("ethos-u55-128", "flash", "ethos-u55-deep-embedded")
    assert chosen.weights.bytes_per_cycle == 0.5


@pytest.mark.parametrize("name", ACCELERATORS)
def test_the_encoder_knows_the_same_accelerators(name):
    array = load_hardware(name).array
    order = matrix_order(name, 256, 256)
    assert order.decoders == array.cores
    assert order.rows in {micro[2] for micro in array.micro_blocks_outputs}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the hardware files to spoil."""
    return Path(shutil.copytree(FOLDER, tmp_path / "hardware"))


def spoiled(folder: Path, old: str, new: str, name: str = "ethos-u55-128") -> str:
    path = folder / f"{name}.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("macs_per_cycle = 128\n", "", "macs_per_cycle"),
        ("banks = 24", "banks = -1", "shared_ram.banks"),
        ("banks = 24", "banks = 99999999999", "shared_ram.banks"),
        ("banks = 24", "banks = 24.5", "shared_ram.banks"),
        ("banks = 24", 'banks = "24"', "shared_ram.banks"),
        ("bank_bytes = 1024", "bank_kib = 1", "did you mean shared_ram.bank_bytes"),
        ("mac_pj = 0.25", "mac_nj = 0.25", "unknown key energy.mac_nj"),
        ("mac_pj = 0.25", "mac_pj = nan", "energy.mac_pj"),
        ("micro_blocks_outputs = [[1, 2, 8]]", "micro_blocks_outputs = [[1, 2]]", "micro_blocks"),
        ("micro_blocks_outputs = [[1, 2, 8]]", "micro_blocks_outputs = []", "micro_blocks"),
        ('family = "ethos-u55"', 'family = "ethos-u56"', "family"),
        ('family = "ethos-u55"', 'family = "ethos-u85"', "`rams`"),
        ("other_cycles_per_element = 0.5\n", "", "other_cycles_per_element"),
        ("ethos-u55-high-end", "ethos-u55-high", "did you mean ethos-u55-high-end"),
        ("cores = 1", "cores = 500", "array.cores"),
        ("largest_block_outputs = [32, 64, 128]", "largest_block_outputs = [1, 1, 1]", "[1, 2, 8]"),
        ("schema = 1", "schema = 2", "schema"),
        ("[array]", "[array", "is not TOML"),
    ],
)
def test_a_wrong_hardware_file_names_the_key(folder, old, new, said):
    path = spoiled(folder, old, new)
    with pytest.raises(InputError) as error:
        load_hardware(path)
    assert said in str(error.value) and path in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("clock_hz = 500_000_000", "clock_mhz = 500", "did you mean clock_hz"),
        ("clock_hz = 500_000_000", "clock_hz = -5e8", "clock_hz"),
        ("bytes_per_cycle = 8.0", "bytes_per_cycle = 0", "sram.bytes_per_cycle"),
        ("bytes_per_cycle = 8.0", "bytes_per_cycle = inf", "sram.bytes_per_cycle"),
        ("burst_bytes = 32\n", "", "burst_bytes"),
        ('kind = "flash"', 'kind = "tape"', "external.kind"),
    ],
)
def test_a_wrong_system_is_refused_with_the_hardware(folder, old, new, said):
    """Not when a layer first needs the number."""
    spoiled(folder / "systems", old, new, "ethos-u55-high-end")
    with pytest.raises(InputError) as error:
        load_hardware(str(folder / "ethos-u55-128.toml"))
    assert said in str(error.value)


U85 = "ethos-u85-256"


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("ethos-u55-128", "bank_bytes", "16", "no block of"),
        ("ethos-u55-128", "banks", "4", "no block of"),
        (U85, "input_bytes", "16", "no block of"),
        (U85, "output_bytes", "1", "no block of"),
        (U85, "micro_blocks_outputs", "[[1, 2, 16]]", "no micro-block serves"),
        (U85, "least_zeros_share", "0.95", "is not below `decoder.most_zeros_share`"),
    ],
)
def test_an_npu_that_cannot_run_the_network_is_named(folder, name, key, value, said):
    path = folder / f"{name}.toml"
    text, found = re.subn(rf"(?m)^{key} = .*", f"{key} = {value}", path.read_text("utf-8"))
    assert found
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as error:
        profile(PUBLISHED, find_target(str(path), default_memory(str(path))), "measured")
    assert said in str(error.value) and name in str(error.value)


def test_the_memory_is_that_of_a_system_beside_the_file(folder):
    path = spoiled(folder, '"ethos-u55-high-end"', '"mine"')
    text = (folder / "systems" / "ethos-u55-high-end.toml").read_text("utf-8")
    mine = text.replace('name = "ethos-u55-high-end"', 'name = "mine"')
    (folder / "systems" / "mine.toml").write_text(mine, "utf-8")
    assert default_memory(path) == "flash"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ethos-u55-129", "flash"), "did you mean ethos-u55-128"),
        (("../../models/lstm_256/recipe", "flash"), "unknown NPU"),
        (("nowhere.toml", "flash"), "cannot be read"),
        (("ethos-u55-128", "tape"), "use flash, sram, dram"),
        (("ethos-u55-128", "flash", "ethos-u85-flash-low"), "has no system"),
        (("ethos-u55-128", "dram", "ethos-u55-high-end"), "has no dram"),
    ],
)
def test_a_target_that_is_not_there(arguments, said):
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        find_target(*arguments)


def test_the_files_are_named_as_they_say():
    for path in FOLDER.rglob("*.toml"):
        assert f'name = "{path.stem}"' in path.read_text("utf-8"), path
    json.dumps(hardware_names())
