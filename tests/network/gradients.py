"""Loss and gradients of one fixed batch, written to an npz: run once per backend."""

import sys

import numpy as np
from keras import ops

from tinyse.network import backend, quantised
from tinyse.network.build import initial_parameters
from tinyse.quant import Quantisation
from tinyse.recipe import Loss, Network
from tinyse.training.losses import batch_loss

LOSSES = {
    "snr": Loss(),
    "all": Loss(snr=0.5, si_sdr=0.25, spectral=20.0),
}
BATCH, FRAMES = 4, 40


def batch() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    samples = (FRAMES + 1) * 256
    draw = {
        "speech": 0.1 * random.standard_normal((BATCH, samples)),
        "noise": 0.1 * random.standard_normal((BATCH, samples)),
        "equaliser": random.uniform(0.5, 2, (BATCH, 2, 257)),
        "snr_db": random.uniform(-5, 10, BATCH),
        "level_dbfs": random.uniform(-40, -15, BATCH),
    }
    return {name: value.astype(np.float32) for name, value in draw.items()}


def gradients() -> dict[str, np.ndarray]:
    network = Network(lstm=(48, 40), dense=(32,), cell_clip=0.5)
    parameters = initial_parameters(network, 5)
    mean, std = np.full(128, -30, np.float32), np.full(128, 15, np.float32)
    found = {}
    for name, loss in LOSSES.items():

        def value(parameters, batch, loss=loss):
            return batch_loss(network, loss, parameters, batch, mean, std)

        both = backend.compiled(backend.value_and_gradient(value))
        total, gradient = both(parameters, batch())
        found[f"{name}/loss"] = np.asarray(total)
        found |= {f"{name}/{key}": np.asarray(g) for key, g in gradient.items()}
    return found | {"saturating": saturating()}


def saturating() -> np.ndarray:
    """Gradient of a layer's int8 outputs below, on and above both of their bounds, 0 and 255."""

    def value(parameters):
        unit, output = np.full(6, 0.1, np.float32), Quantisation(1.0, -128)
        return ops.sum(quantised._dense(parameters["sums"], unit, output, relu=True))

    sums = np.array([-20, 0, 10, 2540, 2550, 2600], np.float32)
    _, gradient = backend.compiled(backend.value_and_gradient(value))({"sums": sums})
    return np.asarray(gradient["sums"])


if __name__ == "__main__":
    np.savez(sys.argv[1], **gradients())
