"""Vela takes every profile whole: no operator is left to the processor."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.network_maker import integer_network
from tinyse.quant import PROFILES
from tinyse.tflite.write import serialise

pytestmark = pytest.mark.skipif(not find_spec("ethosu"), reason="needs ethos-u-vela")

STEPS = [name for name, profile in PROFILES.items() if profile.form == "step"]
NETWORKS = [(name, ()) for name in PROFILES] + [(name, (8,)) for name in STEPS]


@pytest.mark.parametrize(("profile", "gru"), NETWORKS)
def test_every_operator_runs_on_the_npu(tmp_path, profile, gru):
    network = integer_network((24,), (16,), 16, 8, 0, profile, gru)
    file = tmp_path / "model.tflite"
    file.write_bytes(serialise(network, profile))
    vela = Path(sys.executable).with_name("vela")
    command = [vela, file, "--accelerator-config", "ethos-u55-128", "--output-dir", tmp_path]
    # In a process of its own: it crashes on what it does not understand.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    counts = {
        unit: int(re.search(rf"{unit} operators = (\d+)", done.stdout)[1])
        for unit in ("CPU", "NPU")
    }
    print(f"{profile}{' with a GRU' if gru else ''}: {counts}")
    assert counts["CPU"] == 0 and counts["NPU"] > 0
