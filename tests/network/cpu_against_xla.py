"""What our C++ computes against XLA on the same arrays, as JSON: run with Keras on JAX.

The argument is the flag of `on_cpu.MACHINES` that the C++ is compiled for.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from tests.network.gradients import batch
from tinyse.network import features_in_graph as graph
from tinyse.network import layers, on_cpu
from tinyse.network.build import forward, initial_parameters
from tinyse.network.precision import products_in
from tinyse.network.quantised import Activations, Cell, quantised_forward
from tinyse.quant import Quantisation
from tinyse.recipe import Loss, Network
from tinyse.training import losses
from tinyse.training.muon import orthogonalised

RANDOM = np.random.default_rng(7)
STEPS, ROWS, UNITS = 30, 21, 64  # rows: what a thread takes at once, and a part of it


def drawn(*shape, scale=1.0):
    return jnp.asarray(scale * RANDOM.standard_normal(shape), jnp.float32)


def rounded(x):
    return x.astype(jnp.bfloat16).astype(jnp.float32)


def off(found, expected) -> float:
    """Largest difference over the largest value."""
    return float(jnp.abs(found - expected).max() / jnp.abs(expected).max())


def rms_off(found, expected) -> float:
    return float(jnp.sqrt(jnp.mean((found - expected) ** 2) / jnp.mean(expected**2)))


def largest(values) -> float:
    """NaN where one is: of Python's max no NaN is seen."""
    return float(np.max(list(values)))


def products() -> float:
    """Of operands that are rounded beforehand, so that only the order of sums differs."""
    worst = []
    for n, k, m in ((64, 32, 48), (33, 70, 45), (5, 3, 2), (70, 1030, 20)):
        left, right, upstream = drawn(n, k), drawn(k, m), rounded(drawn(n, m))
        value, back = jax.vjp(on_cpu.product, left, right)
        d_left, d_right = back(upstream)
        worst += [
            off(value, rounded(left) @ rounded(right)),
            off(d_left, upstream @ rounded(right).T),
            off(d_right, rounded(left).T @ upstream),
        ]
    stack = drawn(3, 40, 70), drawn(3, 70, 50)
    expected = rounded(stack[0]) @ rounded(stack[1])
    return largest([*worst, off(on_cpu.batched_product(*stack), expected)])


def loops() -> dict[str, float]:
    projected, upstream = drawn(STEPS, ROWS, 4 * UNITS), drawn(STEPS, ROWS, UNITS)
    recurrent = drawn(UNITS, 4 * UNITS, scale=0.1)
    found: dict[str, list[float]] = {"states": [], "gradient": []}
    for clip in (0.0, 0.7):
        states = layers.lstm_states(projected, recurrent, clip)
        fast = on_cpu.lstm_states(projected, recurrent, clip)
        found["states"] += [rms_off(f, s) for f, s in zip(fast, states, strict=True)]
        slow_back = layers.lstm_gradient(upstream, recurrent, *states, clip)
        fast_back = on_cpu.lstm_gradient(upstream, recurrent, *states, clip)
        found["gradient"] += [rms_off(f, s) for f, s in zip(fast_back, slow_back, strict=True)]
    return {name: largest(each) for name, each in found.items()}


def edges() -> dict[str, bool]:
    """Sums of nothing, and what is no number."""
    nothing = on_cpu.product(jnp.zeros((5, 0)), jnp.zeros((0, 40)))
    projected = drawn(STEPS, ROWS, 4 * UNITS).at[3, 2, 1].set(jnp.nan)
    hidden, *_ = on_cpu.lstm_states(projected, drawn(UNITS, 4 * UNITS, scale=0.1), 1.0)
    return {
        "nothing": bool((nothing == 0).all()) and on_cpu.product(nothing[:0], nothing.T).size == 0,
        "no number": bool(jnp.isnan(hidden[3, 2, 1])) and not jnp.isnan(hidden[:3]).any(),
    }


def fronts() -> dict[str, float]:
    rows = batch()
    rows["speech"][1] = 0  # a row of noise alone
    mean, deviation = np.full(128, -30, np.float32), np.full(128, 15, np.float32)
    mixture, target = losses.mixed(rows)
    heard = on_cpu.heard(rows, mean, deviation)
    mask = jnp.abs(drawn(*heard.features.shape))

    def slow(mask):
        return losses.mask_loss(Loss(), mixture, target, mask)

    def fast(mask):
        return on_cpu.negative_snr(heard, mask, 30.0, 0.01)

    expected, found = (jax.value_and_grad(each)(mask) for each in (slow, fast))
    features = graph.feature_frames(mixture, mean, deviation)
    return {
        "features": float(jnp.abs(heard.features - features).max()),
        "target": off(heard.target, graph.sound(target)),
        "loss": abs(float(found[0] - expected[0])),
        "slope": off(found[1], expected[1]),
    }


def integers() -> dict[str, int]:
    network = Network(lstm=(128, 50), dense=(32,))
    parameters = initial_parameters(network, 3)
    cells = {"lstm_0": Cell(-11, 0), "lstm_1": Cell(-13, 9000)}
    outputs = {"dense_0": Quantisation(0.01, -128), "mask": Quantisation(0.05, 3)}
    features = 2 * drawn(ROWS, STEPS, 128)

    def masks(precision):
        def forward(parameters):
            with products_in(precision):
                activations = Activations(cells, outputs)
                return quantised_forward(network, activations, parameters, {}, features)

        return jax.jit(forward)(parameters)

    fast, slow = masks("bfloat16"), masks("float32")
    return {"compared": fast.size, "differ": int((fast != slow).sum())}


def widths() -> dict[str, float]:
    """Of a network whose layers no loop takes as they are: gradients of its mask."""
    network = Network(lstm=(50, 70), dense=(32,), cell_clip=2.0)
    parameters = initial_parameters(network, 3)
    features, upstream = 2 * drawn(ROWS, STEPS, 128), jnp.abs(drawn(ROWS, STEPS, 128))

    def of(precision):
        def total(parameters):
            with products_in(precision):
                return (forward(network, parameters, features) * upstream).sum()

        text = jax.jit(total).lower(parameters).as_text()
        return jax.grad(total)(parameters), text.count("tinyse_lstm_forward")

    (slow, none), (fast, loops) = of("float32"), of("bfloat16")
    worst = largest(rms_off(fast[name], slow[name]) for name in parameters)
    return {"widened": worst, "loops": loops - none}


def directions() -> float:
    matrices = drawn(4, 64, 96)
    slow = orthogonalised(matrices)
    with products_in("bfloat16"):
        return rms_off(orthogonalised(matrices), slow)


if __name__ == "__main__":
    flag = sys.argv[1]
    on_cpu.MACHINES = {flag: on_cpu.MACHINES[flag]}
    found = loops() | edges() | fronts() | integers() | widths()
    found |= {"products": products(), "directions": directions()}
    json.dump(found, sys.stdout)
