"""Other people's networks against Vela: convolutions, step graphs, a GRU, from the converter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.npu.vela import check, needs_vela

pytest.importorskip("tensorflow")
pytestmark = [needs_vela, pytest.mark.slow]

CONVOLUTIONAL = ("ds_cnn", "cnn", "conv_1d", "mobilenet")
STEPS = ("step_joined", "step_separate", "small_step", "rnnoise")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All networks, converted once, in a process that may crash."""
    made = tmp_path_factory.mktemp("graphs")
    command = [sys.executable, "-m", "tests.npu.graphs", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return made


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("npu", ["ethos-u55-32", "ethos-u55-128", "ethos-u55-256"])
@pytest.mark.parametrize("memory", ["flash", "sram", "dram"])
def test_convolutional_networks_on_the_u55(folder, name, npu, memory):
    check(folder / f"{name}.tflite", npu, memory, within=0.05)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("npu", ["ethos-u65-512", "ethos-u85-128", "ethos-u85-512"])
@pytest.mark.parametrize("memory", ["flash", "sram", "dram"])
def test_convolutional_networks_on_others(folder, name, npu, memory):
    check(folder / f"{name}.tflite", npu, memory, within=0.05)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", ["int8", "16x8"])
@pytest.mark.parametrize("npu", ["ethos-u55-32", "ethos-u55-128", "ethos-u55-256"])
@pytest.mark.parametrize("memory", ["flash", "sram"])
def test_step_graphs_on_the_u55(folder, name, kind, npu, memory):
    check(folder / f"{name}_{kind}.tflite", npu, memory, within=0.005)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", ["int8", "16x8"])
@pytest.mark.parametrize("npu", ["ethos-u65-256", "ethos-u85-256"])
def test_step_graphs_on_others(folder, name, kind, npu):
    check(folder / f"{name}_{kind}.tflite", npu, "dram", within=0.02)


def test_linear_layers(folder):
    for npu in ("ethos-u55-32", "ethos-u55-128", "ethos-u85-128"):
        check(folder / "linear.tflite", npu, "flash")
