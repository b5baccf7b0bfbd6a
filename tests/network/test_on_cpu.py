"""The C++ of training against XLA: products, loops to bfloat16's precision, integers to the bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

from tinyse.compiled import DoesNotCompile
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


def test_sums_of_nothing_are_zero_and_what_is_no_number_stays_so(found):
    assert found["nothing"]
    assert found["no number"]


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


def fresh(monkeypatch, build):
    """`_built` with another `build`, and the flags that it tried."""
    tried = []

    def told(command, *_):
        flag = next(x for x, words in on_cpu.MACHINES.items() if set(words) <= set(command))
        tried.append((flag, command))
        return build(flag)

    monkeypatch.setattr(on_cpu, "build", told)
    monkeypatch.setattr(on_cpu, "processor", lambda: " ".join(on_cpu.MACHINES))
    monkeypatch.setattr(on_cpu.ctypes, "CDLL", lambda path: Library(path))
    return tried


class Library:
    """A build; the tile unit's is refused by the system."""

    def __init__(self, path):
        self.tinyse_available = lambda: int("amx" not in path)


def test_a_tile_unit_that_the_system_refuses_leaves_the_next_best(monkeypatch):
    fresh(monkeypatch, lambda flag: flag)
    assert on_cpu._built()[0] == "avx512_bf16"


def test_a_compiler_that_does_not_know_a_processor_leaves_the_next_best(monkeypatch):
    def build(flag):
        if flag != "avx2":
            raise DoesNotCompile("does not compile: bad value", "g++")
        return flag

    tried = fresh(monkeypatch, build)
    assert on_cpu._built()[0] == "avx2"
    assert [flag for flag, _ in tried] == list(on_cpu.MACHINES)
    fresh(monkeypatch, lambda flag: build(""))
    with pytest.raises(DoesNotCompile):
        on_cpu._built()


def test_another_version_of_jax_is_built_anew(monkeypatch):
    tried = fresh(monkeypatch, lambda flag: "avx2")
    on_cpu._built()
    monkeypatch.setattr(on_cpu.jax, "__version__", "0.0.1")
    on_cpu._built()
    assert tried[0][1] != tried[1][1]
