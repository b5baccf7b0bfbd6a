"""What a frame costs on emulated cores, 4 x 4 blocks at 90 %, against dense kernels.

Counts repeat to the instruction, so these are bounds that hold everywhere.  The dense kernels are
the best that were tried: the whole network with weights unpacked one row after the other, packed in
pairs (this library's own form), by MVE in assembly, and CMSIS-NN's, scaled by the number of weights
from `arm_nn_vec_mat_mult_t_s8` on 1024 x 384.
"""

from __future__ import annotations

import shutil

import pytest

from tests.network_maker import integer_network
from tests.sparse_networks import by_magnitude, published
from tinyse.bench import front_end_figures, network_figures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
        reason="make firmware-deps installs the compiler and QEMU",
    ),
]
M4_UNPACKED, M4_PAIRS, M4_CMSIS_NN = 1_690_355, 968_117, 1_936_800
M55_DENSE, M55_CMSIS_NN = 196_570, 484_900


@pytest.fixture(scope="module")
def blocks():
    """Figures of each core for the published weights without the weakest 90 % of their blocks."""
    figures = network_figures(published(by_magnitude(4, 4, 0.9)))
    for core, found in figures.items():
        print(core, {name: found[name] for name in found if name.endswith(("frame", "bytes"))})
    return figures


@pytest.mark.parametrize("core", ["cortex_m4", "cortex_m7"])
def test_a_frame_on_smlad(blocks, core):
    instructions = blocks[core]["instructions_per_frame"]
    assert instructions <= 200_000
    assert instructions <= M4_UNPACKED / 8
    assert instructions <= M4_PAIRS / 4.6
    assert instructions <= M4_CMSIS_NN / 9


def test_a_frame_on_mve(blocks):
    instructions = blocks["cortex_m55"]["instructions_per_frame"]
    assert instructions <= M55_DENSE / 3.6
    assert instructions <= M55_CMSIS_NN / 8


def test_memory(blocks):
    for found in blocks.values():
        assert found["flash_bytes"] <= 130_000
        assert found["arena_bytes"] <= 6_144
        assert found["stack_bytes"] <= 256


def test_our_own_dense_kernels_are_no_straw_men(blocks):
    dense = network_figures(published())
    assert dense["cortex_m4"]["instructions_per_frame"] <= 1.04 * M4_PAIRS
    assert dense["cortex_m55"]["instructions_per_frame"] <= M55_DENSE


@pytest.mark.parametrize(
    ("core", "most_instructions", "most_bytes"),
    [("cortex_m4", 70_000, 1_700), ("cortex_m55", 22_500, 2_500)],
)
def test_the_front_end(core, most_instructions, most_bytes):
    alone = network_figures(published(), (core,))[core]
    found = front_end_figures(published(), core, alone)
    print(core, found)
    assert most_instructions * 0.8 <= found["instructions_per_frame"] <= most_instructions
    assert 1_000 <= found["code_bytes"] <= most_bytes and found["tables_bytes"] <= 3_400
    assert found["memory_bytes"] <= 6_960 and 200 <= found["stack_bytes"] <= 320


def test_no_front_end_without_tables():
    network = integer_network((8,), (), 24, 16)
    alone = network_figures(network, ("cortex_m4",))["cortex_m4"]
    assert front_end_figures(network, "cortex_m4", alone) is None
