"""Mode `measured` against the counters that Arm published: within 15 %, with no constant fitted.

RNNoise on an Ethos-U55-128: ML Embedded Evaluation Kit, docs/use_cases/noise_reduction.md.
784-512-256-10 on an Ethos-U85-128: pytorch/executorch, examples/arm/pruning_minimal_example.ipynb.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.npu.files import gaussian
from tinyse.npu.cost import network_cost
from tinyse.npu.hardware import find_target
from tinyse.npu.operations import Feature, Operation

# (outputs, inputs) of the matrices; three GRUs have two of three gates each.
RNNOISE = [
    (24, 42),
    (72, 24),
    (72, 24),
    (1, 24),
    (144, 90),
    (144, 48),
    (288, 114),
    (288, 96),
    (22, 96),
]
LINEAR = [(512, 784), (256, 512), (10, 256)]


def layers(sizes, make) -> tuple[Operation, ...]:
    return tuple(
        Operation(
            "FullyConnected", f"layer {n}", "net", (Feature((1, 1, inputs), 8),),
            Feature((1, 1, outputs), 8), weights=make(outputs, inputs, n)[:, None, None, :],
        )
        for n, (outputs, inputs) in enumerate(sizes)
    )  # fmt: skip


def flat(outputs: int, inputs: int, seed: int) -> np.ndarray:
    """Its training clips weights to +-0.499, so that the histogram is flat."""
    return np.random.default_rng(seed).integers(-127, 128, (outputs, inputs)).astype(np.int8)


def test_rnnoise_on_the_u55():
    costs = network_cost(layers(RNNOISE, flat), find_target("ethos-u55-128", "flash"), "measured")
    assert sum(cost.operation.macs for cost in costs) == 86_952
    assert sum(cost.cycles for cost in costs) == pytest.approx(103_870, rel=0.15)
    assert sum(cost.weight_bytes for cost in costs) == pytest.approx(111_288, rel=0.15)


@pytest.mark.parametrize(
    ("zeros", "active", "decoder", "encoded_kib"),
    [(0.0, 97_000, 74_000, 507.44), (0.95, 22_000, 17_000, 46.12)],
)
def test_linear_layers_dense_and_pruned_on_the_u85(zeros, active, decoder, encoded_kib):
    target = find_target("ethos-u85-128", "dram", "corstone-320-default")
    made = layers(LINEAR, lambda o, i, n: gaussian(o, i, 42, zeros, n))
    costs = network_cost(made, target, "measured")
    assert sum(cost.cycles for cost in costs) == pytest.approx(active, rel=0.15)
    assert sum(cost.inside.weight_path for cost in costs) == pytest.approx(decoder, rel=0.15)
    encoded = sum(cost.stored.stream.bytes for cost in costs) / 1024
    assert encoded == pytest.approx(encoded_kib, rel=0.15)
    array = sum(cost.inside.array for cost in costs)
    assert array == pytest.approx(8_000, rel=0.15)  # the published counter of the array


def test_the_estimator_misses_the_pruned_network_by_more_than_twice():
    """Which is why there are two modes."""
    target = find_target("ethos-u85-128", "dram", "ethos-u85-dram-mid")
    made = layers(LINEAR, lambda o, i, n: gaussian(o, i, 42, 0.95, n))
    assert sum(cost.cycles for cost in network_cost(made, target, "vela")) > 2 * 22_000
