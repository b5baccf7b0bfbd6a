"""The C++ of training against XLA: products, loops to bfloat16's precision, integers to the bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

from tinyse.network import on_cpu

# The first is what training uses; a processor runs what is compiled for lesser ones too.
FLAGS = [flag for flag in on_cpu.MACHINES if flag in on_cpu.processor()]
if not (FLAGS and Path("/proc/cpuinfo").exists() and shutil.which("g++")):
    pytest.skip("needs an x86 processor with AVX2 and a C++ compiler", allow_module_level=True)


def built_for(flag):
    slow = [] if flag == FLAGS[0] else [pytest.mark.slow]
    return pytest.param(flag, marks=slow)


@pytest.fixture(scope="module", params=[built_for(flag) for flag in FLAGS])
def found(request):
    command = [sys.executable, "-m", "tests.network.cpu_against_xla", request.param]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_products_and_their_gradients_are_those_of_rounded_operands(found):
    assert found["products"] < 1e-5


def test_loops_keep_to_the_precision_of_their_products(found):
    assert found["states"] < 2e-3
    assert found["gradient"] < 5e-3


def test_mixing_features_and_loss_are_those_of_the_graph(found):
    assert found["features"] < 1e-4
    assert found["target"] < 1e-5
    assert found["loss"] < 1e-4
    assert found["slope"] < 1e-4


def test_the_integers_of_the_exported_file_come_out_to_the_bit(found):
    assert found["compared"] == 80_640
    assert found["differ"] == 0


def test_orthogonalised_directions_are_close(found):
    assert found["directions"] < 0.05


def test_layers_of_any_width_take_the_loops(found):
    assert found["loops"] == 2
    assert found["widened"] < 0.05
