"""The hand-written LSTM gradient, and the network against stock Keras."""

import numpy as np
import pytest

tensorflow = pytest.importorskip("tensorflow")

from tinyse.network import backend  # noqa: E402
from tinyse.network.build import activations, forward, initial_parameters, shapes  # noqa: E402
from tinyse.network.layers import lstm, lstm_states  # noqa: E402
from tinyse.recipe import Network  # noqa: E402


def test_the_reference_network_has_968960_parameters():
    assert sum(int(np.prod(shape)) for shape in shapes(Network()).values()) == 968_960


@pytest.mark.parametrize("cell_clip", [0.0, 0.8])
def test_own_gradient_equals_automatic_differentiation(cell_clip):
    random = np.random.default_rng(0)
    arguments = {
        "projected": random.standard_normal((20, 4, 96)).astype(np.float32),
        "recurrent": 0.3 * random.standard_normal((24, 96)).astype(np.float32),
    }
    weight = random.standard_normal((20, 4, 24)).astype(np.float32)

    def weighted(hidden):
        return tensorflow.reduce_sum(hidden * weight)

    own = backend.value_and_gradient(
        lambda a: weighted(lstm(a["projected"], a["recurrent"], cell_clip))
    )
    automatic = backend.value_and_gradient(
        lambda a: weighted(lstm_states(a["projected"], a["recurrent"], cell_clip)[0])
    )
    inputs = {name: tensorflow.constant(value) for name, value in arguments.items()}
    (value, gradient), (expected, expected_gradient) = own(inputs), automatic(inputs)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    for name, g in gradient.items():
        np.testing.assert_allclose(g, expected_gradient[name], atol=2e-5, rtol=1e-4)


def test_forward_equals_a_stock_keras_model():
    import keras

    network = Network(lstm=(20, 12), dense=(9,))
    parameters = initial_parameters(network, 1)
    features = np.random.default_rng(1).standard_normal((3, 30, 128)).astype(np.float32)
    model = keras.Sequential(
        [
            keras.layers.Input((30, 128)),
            keras.layers.LSTM(20, return_sequences=True),
            keras.layers.LSTM(12, return_sequences=True),
            keras.layers.Dense(9, activation="relu"),
            keras.layers.Dense(128, activation="sigmoid"),
        ]
    )
    model.set_weights(list(parameters.values()))
    np.testing.assert_allclose(
        forward(network, parameters, features), model(features), atol=2e-6, rtol=1e-5
    )


def test_activations_are_those_of_the_forward_pass():
    network = Network(lstm=(20,), dense=(9,))
    parameters = initial_parameters(network, 1)
    features = np.random.default_rng(1).standard_normal((3, 30, 128)).astype(np.float32)
    seen = activations(network, parameters, features)
    assert set(seen) == {"lstm_0/cell", "dense_0/output", "mask/logits"}
    mask = 1 / (1 + np.exp(-np.transpose(seen["mask/logits"], (1, 0, 2))))
    np.testing.assert_allclose(mask, forward(network, parameters, features), atol=1e-6)
