"""The integer arithmetic of the exported operators: NumPy is the numerical truth.

scales         12-bit scales, Q31 multipliers, the double-rounding requantisation
tables         sigmoid, tanh and LOGISTIC as lookups
network        what an integer network is: layers, weights, quantisation
weights        the float parameters and ranges of `weights.npz`
post_training  weights.npz -> integer network
"""

from tinyse.quant.network import (
    GATES,
    IntegerDense,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
    same,
)
from tinyse.quant.post_training import quantise_network
from tinyse.quant.scales import Multiplier, multiply, quantize_multiplier, r12
from tinyse.quant.tables import logistic_table, sigmoid_table, tanh_table
from tinyse.quant.weights import FloatLayer, FloatNetwork, read_weights

__all__ = [
    "GATES",
    "FloatLayer",
    "FloatNetwork",
    "IntegerDense",
    "IntegerLSTM",
    "IntegerLayer",
    "IntegerNetwork",
    "Multiplier",
    "Quantisation",
    "logistic_table",
    "multiply",
    "quantise_network",
    "quantize_multiplier",
    "r12",
    "read_weights",
    "same",
    "sigmoid_table",
    "tanh_table",
]
