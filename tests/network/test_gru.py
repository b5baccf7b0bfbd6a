"""The hand-written GRU gradient, and the layer against stock Keras."""

import numpy as np
import pytest

tensorflow = pytest.importorskip("tensorflow")

from tinyse.network import backend  # noqa: E402
from tinyse.network.gru import gru, gru_states  # noqa: E402
from tinyse.network.layers import project  # noqa: E402


def test_own_gradient_equals_automatic_differentiation():
    random = np.random.default_rng(0)
    arguments = {
        "projected": random.standard_normal((20, 4, 72)).astype(np.float32),
        "recurrent": 0.3 * random.standard_normal((24, 72)).astype(np.float32),
        "bias": 0.3 * random.standard_normal(72).astype(np.float32),
    }
    weight = random.standard_normal((20, 4, 24)).astype(np.float32)

    def weighted(hidden):
        return tensorflow.reduce_sum(hidden * weight)

    own = backend.value_and_gradient(lambda a: weighted(gru(*a.values())))
    automatic = backend.value_and_gradient(lambda a: weighted(gru_states(*a.values())[0]))
    inputs = {name: tensorflow.constant(value) for name, value in arguments.items()}
    (value, gradient), (expected, expected_gradient) = own(inputs), automatic(inputs)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    for name, g in gradient.items():
        np.testing.assert_allclose(g, expected_gradient[name], atol=2e-5, rtol=1e-4)


def test_forward_equals_a_stock_keras_layer():
    import keras

    layer = keras.layers.GRU(9, return_sequences=True, reset_after=True)
    x = np.random.default_rng(1).standard_normal((3, 30, 7)).astype(np.float32)
    layer.build(x.shape)
    kernel, recurrent, _ = layer.get_weights()
    bias = np.random.default_rng(2).standard_normal((2, 27)).astype(np.float32)
    layer.set_weights([kernel, recurrent, bias])
    expected = np.asarray(layer(x))
    projected = project(tensorflow.constant(np.transpose(x, (1, 0, 2))), kernel, bias[0])
    hidden = np.transpose(np.asarray(gru(projected, recurrent, bias[1])), (1, 0, 2))
    np.testing.assert_allclose(hidden, expected, atol=2e-6, rtol=1e-5)


def test_the_network_of_a_recipe_is_keras_own():
    import keras

    from tinyse.network.build import forward, initial_parameters
    from tinyse.recipe import Network

    network = Network(lstm=(12,), gru=(9,), dense=(7,))
    parameters = initial_parameters(network, 1)
    parameters["gru_0/bias"] = np.float32(np.random.default_rng(2).normal(0, 0.5, (2, 27)))
    features = np.random.default_rng(1).standard_normal((3, 20, 128)).astype(np.float32)
    model = keras.Sequential(
        [
            keras.layers.Input((20, 128)),
            keras.layers.LSTM(12, return_sequences=True),
            keras.layers.GRU(9, return_sequences=True),
            keras.layers.Dense(7, activation="relu"),
            keras.layers.Dense(128, activation="sigmoid"),
        ]
    )
    model.set_weights(list(parameters.values()))
    found = np.asarray(forward(network, parameters, features))
    np.testing.assert_allclose(found, model(features), atol=2e-6, rtol=1e-5)
