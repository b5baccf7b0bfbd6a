"""Recurrent cells in basic operators, told once: the writer writes them, the checker follows them.

    LSTM  per gate: FULLY_CONNECTED x, FULLY_CONNECTED h, ADD, LOGISTIC or TANH
          c = clip(f c + i g)      h = tanh(c) o
    GRU   the same for z and r;    n = tanh(W x + r (R h));    h = z h + (n - z n)

Each matrix of a gate has an operator of its own, as in the fused LSTM: its scale is the gate's,
and where the widths are the same, so are the bytes.  All scales that meet in an ADD or SUB are
equal, which makes it exact (`quant.gates`).  `ops` numbers tensors and stands for the layer.
"""

from __future__ import annotations

from typing import Literal, Protocol

from tinyse.quant import GATES, GRU_GATES, Gates, Quantisation
from tinyse.tflite.layout import ADD, LOGISTIC, MUL, SUB, TANH

Part = Literal["kernel", "recurrent"]


class CellOperators(Protocol):
    """What a cell is told to; every method returns the number of the tensor it makes."""

    gates: Gates

    def product(self, source: int, gate: str, part: Part) -> int:
        """FULLY_CONNECTED of a gate's matrix, with its bias where it has one."""

    def operator(self, code: int, inputs: tuple[int, ...], role: str, out: Quantisation) -> int:
        """An operator with as many outputs as the layer has units."""

    def clipped(self, source: int, out: Quantisation) -> int:
        """MINIMUM and MAXIMUM with the clip of the cell state; `source` itself without a clip."""


def lstm(
    ops: CellOperators, x: int, h: int, c: int, hidden: Quantisation, cell: Quantisation
) -> tuple[int, int]:
    """Hidden and cell state after a frame `x`, from those before it."""
    made = {}
    for gate in GATES:
        code, out = (TANH, ops.gates.tanh) if gate == "cell" else (LOGISTIC, ops.gates.sigmoid)
        made[gate] = ops.operator(code, (_sum(ops, x, h, gate),), f"{gate}_gate", out)
    kept = ops.operator(MUL, (made["forget"], c), "kept", cell)
    entered = ops.operator(MUL, (made["input"], made["cell"]), "entered", cell)
    after = ops.clipped(ops.operator(ADD, (kept, entered), "cell_state_after", cell), cell)
    squashed = ops.operator(TANH, (after,), "cell_tanh", ops.gates.tanh)
    return ops.operator(MUL, (squashed, made["output"]), "hidden_state_after", hidden), after


def gru(ops: CellOperators, x: int, h: int, hidden: Quantisation) -> int:
    """Hidden state after a frame `x`, from that before it."""
    before, sigmoid = ops.gates.before, ops.gates.sigmoid
    update, reset, candidate = GRU_GATES
    z = ops.operator(LOGISTIC, (_sum(ops, x, h, update),), f"{update}_gate", sigmoid)
    r = ops.operator(LOGISTIC, (_sum(ops, x, h, reset),), f"{reset}_gate", sigmoid)
    fed = ops.product(x, candidate, "kernel")
    back = ops.operator(MUL, (r, ops.product(h, candidate, "recurrent")), "let_through", before)
    total = ops.operator(ADD, (fed, back), f"{candidate}_gate/sum", before)
    n = ops.operator(TANH, (total,), f"{candidate}_gate", hidden)
    kept = ops.operator(MUL, (z, h), "kept", hidden)
    left = ops.operator(SUB, (n, ops.operator(MUL, (z, n), "held_back", hidden)), "entered", hidden)
    return ops.operator(ADD, (kept, left), "hidden_state_after", hidden)


def _sum(ops: CellOperators, x: int, h: int, gate: str) -> int:
    fed, back = ops.product(x, gate, "kernel"), ops.product(h, gate, "recurrent")
    return ops.operator(ADD, (fed, back), f"{gate}_gate/sum", ops.gates.before)
