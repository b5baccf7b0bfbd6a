"""What a recurrent layer computes its gates in: Q3.12 and Q0.15 in 16 bits, coarser in 8.

    width  pre-activations  behind LOGISTIC       behind TANH
       16  2^-12, +-8       2^-15, 0 to 1         2^-15
        8  2^-4, +-8        2^-8, zero point -128 2^-7

Where two summands and their sum share one scale and a zero point of 0, ADD and SUB are exact and
saturate: their rescaling in 15 (int16) or 20 (int8) spare bits cancels (`add.cc`, `sub_common.cc`).
That makes the basic operators compute what UNIDIRECTIONAL_SEQUENCE_LSTM does, byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyse.quant.network import Quantisation
from tinyse.quant.tables import logistic_table, sigmoid_table, tanh8_table, tanh_table


@dataclass(frozen=True)
class Gates:
    """Quantisation of pre-activations and of what LOGISTIC and TANH make of them."""

    before: Quantisation
    sigmoid: Quantisation
    tanh: Quantisation

    def sigmoid_table(self) -> NDArray[np.int64]:
        """LOGISTIC of every step of a pre-activation, from the lowest."""
        if self.before.bits == 16:
            return sigmoid_table()
        return logistic_table(self.before.scale, self.before.zero_point)

    def tanh_table(self, scale: float | None = None) -> NDArray[np.int64]:
        """TANH of every step of a pre-activation, or of an input of that scale, zero point 0."""
        scale = self.before.scale if scale is None else scale
        if self.before.bits == 16:
            return tanh_table(round(np.log2(scale)))
        return tanh8_table(scale, 0)


GATE_ARITHMETIC = {
    16: Gates(
        Quantisation(2.0**-12, 0, 16), Quantisation(2.0**-15, 0, 16), Quantisation(2.0**-15, 0, 16)
    ),
    8: Gates(Quantisation(2.0**-4), Quantisation(2.0**-8, -128), Quantisation(2.0**-7)),
}
