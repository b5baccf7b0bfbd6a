"""The integer arithmetic of the exported operators: NumPy is the numerical truth.

scales         12-bit scales, Q31 multipliers, the double-rounding requantisation
tables         sigmoid, tanh and LOGISTIC as lookups
gates          what recurrent layers compute their gates in
network        what an integer network is: layers, weights, quantisation
weights        the float parameters and ranges of `weights.npz`
post_training  weights.npz -> integer network
coarse         weights of fewer bits in an int8 file
profiles       the same for the other export profiles
"""

from tinyse.quant.coarse import coarsened
from tinyse.quant.gates import GATE_ARITHMETIC, Gates
from tinyse.quant.network import (
    GATES,
    GRU_GATES,
    IntegerDense,
    IntegerGRU,
    IntegerLayer,
    IntegerLSTM,
    IntegerNetwork,
    Quantisation,
    same,
)
from tinyse.quant.post_training import quantise_network
from tinyse.quant.profiles import PROFILES, Profile, find_profile, fitting_profile, quantise_for
from tinyse.quant.scales import (
    Multiplier,
    multiply,
    multiply_wide,
    quantize_multiplier,
    r12,
)
from tinyse.quant.tables import logistic_table, sigmoid_table, tanh8_table, tanh_table
from tinyse.quant.weights import FloatLayer, FloatNetwork, read_weights

__all__ = [
    "GATES",
    "GATE_ARITHMETIC",
    "GRU_GATES",
    "PROFILES",
    "FloatLayer",
    "FloatNetwork",
    "Gates",
    "IntegerDense",
    "IntegerGRU",
    "IntegerLSTM",
    "IntegerLayer",
    "IntegerNetwork",
    "Multiplier",
    "Profile",
    "Quantisation",
    "coarsened",
    "find_profile",
    "fitting_profile",
    "logistic_table",
    "multiply",
    "multiply_wide",
    "quantise_for",
    "quantise_network",
    "quantize_multiplier",
    "r12",
    "read_weights",
    "same",
    "sigmoid_table",
    "tanh8_table",
    "tanh_table",
]
