"""What refuses a file before a runtime sees it: one subgraph of integer operators we can prove.

TFLM runs some wrong files without a word: a cell scale that is no power of two gives a wrong tanh,
an accumulator beyond int32 wraps.  And it ends in a segmentation fault on others.  `load` is the
way to open any `.tflite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.files import read_bytes
from tinyse.quant import (
    GATE_ARITHMETIC,
    PROFILES,
    IntegerDense,
    IntegerGRU,
    IntegerLSTM,
    IntegerNetwork,
    Profile,
    Quantisation,
    quantize_multiplier,
)
from tinyse.quant.profiles import Form
from tinyse.tflite.follow import follow
from tinyse.tflite.layout import (
    ADD,
    FULLY_CONNECTED,
    LOGISTIC,
    LSTM,
    MAXIMUM,
    MINIMUM,
    MUL,
    SUB,
    TANH,
)
from tinyse.tflite.ops import lift
from tinyse.tflite.read import Model, Operator, parse_model
from tinyse.tflite.tensors import activation_type, label, refuse, tensor_at

SUPPORTED = {
    "fused": (LSTM, FULLY_CONNECTED, LOGISTIC),
    "step": (FULLY_CONNECTED, LOGISTIC, TANH, ADD, SUB, MUL, MINIMUM, MAXIMUM),
}
# Others could steer an allocator or a decoder: TFLM obeys OfflineMemoryAllocation, for one.
KNOWN_METADATA = ("min_runtime_version", "CONVERSION_METADATA", "tinyse.model", "tinyse.features")
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-40, 2.0**10
CELL_EXPONENTS = range(-18, 1)
LOGISTIC_SCALES = (2.0**-20, 1.0)
CELL_SCALES_8 = (2.0**-12, 1.0)
LARGEST_SUM = {8: 2.0**31, 16: 2.0**47}  # what the multiplication behind a sum of products takes


@dataclass(frozen=True)
class CheckedFile:
    """A file that passed: its bytes, its plain parts and its network."""

    path: Path | None
    data: bytes
    model: Model
    network: IntegerNetwork

    @property
    def carried_states(self) -> dict[str, tuple[int, Quantisation]]:
        """What inputs and outputs 1, 2, .. of the graph are, empty where the file keeps states.

        `h_<layer>` and `c_<layer>` -> units and quantisation.
        """
        return self.network.states if form_of(self.model) == "step" else {}

    @property
    def profile(self) -> str:
        """The export profile that the file is of."""
        layers = [layer for layer in self.network.layers if not isinstance(layer, IntegerDense)]
        bits = self.network.input.bits
        gate_bits = layers[0].gate_bits if layers else 16
        wanted = Profile(bits, gate_bits, form_of(self.model))
        return next(name for name, profile in PROFILES.items() if profile == wanted)


def load(path: Path | str) -> CheckedFile:
    """Reads and checks the file `path`; InputError says what is wrong with it."""
    path = Path(path)
    return check_bytes(read_bytes(path), path)


def check_bytes(data: bytes, path: Path | None = None) -> CheckedFile:
    """The same of bytes that may come from `path`."""
    model = parse_model(data, path)
    return CheckedFile(path, data, model, check(model))


def form_of(model: Model) -> Form:
    """How the states travel: "fused" inside the file, "step" as inputs and outputs."""
    has_lstm = any(operator.code == LSTM for operator in model.operators)
    return "fused" if has_lstm or len(model.inputs) == 1 else "step"


def check(model: Model) -> IntegerNetwork:
    """The network of a model in which nothing was found wrong."""
    if model.subgraphs != 1:
        refuse(model, f"{model.subgraphs} subgraphs, expected 1 (loops and calls cannot be run)")
    form = form_of(model)
    for operator in model.operators:
        _check_operator(model, operator, form)
    for name in model.metadata:
        if name not in KNOWN_METADATA:
            refuse(model, f"metadata {name!r} is not known")
    for tensor in model.tensors:
        if tensor.data is not None and tensor.zero_points.any():
            refuse(model, f"{tensor.name}: a weight of zero does not sit on the byte 0")
        if len(tensor.scales) and not _sane(tensor.scales):
            refuse(model, f"{tensor.name}: scale outside {SMALLEST_SCALE:g}..{LARGEST_SCALE:g}")
    network = lift(model) if form == "fused" else follow(model)
    _check_writers(model)
    for layer in network.layers:
        if isinstance(layer, IntegerDense):
            _check_dense(model, layer)
        else:
            _check_gates(model, layer)
        if isinstance(layer, IntegerLSTM):
            _check_cell(model, layer)
    return network


def _check_operator(model: Model, operator: Operator, form: str) -> None:
    if operator.code not in SUPPORTED[form]:
        kind = "Flex operator" if "CUSTOM Flex" in operator.name else "operator"
        refuse(model, f"unsupported {kind} {operator.name}")
    if operator.code == LOGISTIC and operator.options_type:
        refuse(model, "LOGISTIC has options that do not belong to it")
    expected = activation_type(model)
    for index in (*operator.inputs[:1], *operator.outputs):
        kind = model.tensors[index].type if index >= 0 else "nothing"
        if kind != expected:
            refuse(model, f"{operator.name} computes in {kind}, expected {expected}")


def _check_writers(model: Model) -> None:
    """Each tensor is written once: an allocator gives two writers of one tensor the same bytes."""
    for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(set(indices)) < len(indices):
            refuse(model, f"one tensor is two of the graph's {what}")
    written = set(model.inputs)
    for operator in model.operators:
        for index in operator.outputs:
            tensor = tensor_at(model, index)
            if index in written or tensor.data is not None or tensor.is_variable:
                refuse(model, f"{label(model, index)}: {operator.name} may not write to it")
            written.add(index)


def _sane(scales: NDArray[np.float32]) -> bool:
    return bool((scales >= SMALLEST_SCALE).all() and (scales <= LARGEST_SCALE).all())


def _check_gates(model: Model, layer: IntegerLSTM | IntegerGRU) -> None:
    """No sum of products on the way to a pre-activation, and no product of gates, may wrap."""
    gates = GATE_ARITHMETIC[layer.gate_bits]
    nothing = (np.zeros(layer.units, np.int32),) * len(layer.kernels)
    recurrent_biases = layer.recurrent_biases if isinstance(layer, IntegerGRU) else nothing
    for weights, biases, scales, arriving in (
        (layer.kernels, layer.biases, layer.kernel_scales, layer.input),
        (layer.recurrents, recurrent_biases, layer.recurrent_scales, layer.hidden),
    ):
        for matrix, bias, scale in zip(weights, biases, scales, strict=True):
            ratios = np.array([arriving.scale * scale / gates.before.scale])
            _check_accumulator(model, layer.name, matrix, bias, arriving, ratios)
    if gates.tanh.scale * gates.sigmoid.scale > layer.hidden.scale:
        refuse(model, f"{layer.name}: the hidden state's scale is finer than tanh times sigmoid")


def _check_cell(model: Model, layer: IntegerLSTM) -> None:
    name = f"{layer.name}/cell_state"
    if layer.gate_bits == 8:
        low, high = CELL_SCALES_8
        if not low <= layer.cell_scale <= high:
            refuse(model, f"{name}: scale {layer.cell_scale:g} is outside {low:g}..{high:g}")
        return
    if layer.cell_scale != 2.0**layer.cell_exponent:
        refuse(model, f"{name}: scale {layer.cell_scale:g} is not a power of two")
    if layer.cell_exponent not in CELL_EXPONENTS:
        refuse(model, f"{name}: scale {layer.cell_scale:g} is outside 2^-18..2^0")


def _check_dense(model: Model, layer: IntegerDense) -> None:
    ratios = layer.input.scale * layer.kernel_scales / layer.accumulated.scale
    _check_accumulator(model, layer.name, layer.kernel, layer.bias, layer.input, ratios)
    if layer.logistic is None:
        return
    gates = GATE_ARITHMETIC[layer.logistic.bits]
    if layer.logistic != gates.sigmoid:
        end = f"scale 1/{1 / gates.sigmoid.scale:g}, zero point {gates.sigmoid.zero_point}"
        refuse(model, f"{layer.name}: LOGISTIC must end at {end}")
    if layer.logistic.bits == 16 and layer.accumulated != gates.before:
        refuse(model, f"{layer.name}: LOGISTIC in int16 must begin at scale {gates.before.scale:g}")
    low, high = LOGISTIC_SCALES
    if not low <= layer.accumulated.scale <= high:
        refuse(model, f"{layer.name}: LOGISTIC input scale outside {low:g}..{high:g}")


def _check_accumulator(
    model: Model,
    name: str,
    kernel: NDArray[np.int8],
    bias: NDArray[np.integer],
    arriving: Quantisation,
    ratios: NDArray[np.float64],
) -> None:
    """A sum, shifted left by what the multiplier asks for, must not wrap.

    8 bits: an int32 sum.  16 bits: a sum of 48 bits, whose product must fit int32 again, and a
    multiplier whose shift is -31 .. 7.
    """
    lowest, highest = arriving.bounds
    furthest = max(highest - arriving.zero_point, arriving.zero_point - lowest)
    largest = np.abs(kernel.astype(np.float64)).sum(axis=1) * furthest
    largest += np.abs(bias.astype(np.float64))
    shifts = np.array([quantize_multiplier(float(ratio))[1] for ratio in ratios])
    if arriving.bits == 8:
        wraps = largest * np.exp2(np.maximum(shifts, 0)) >= LARGEST_SUM[8]
    else:
        if (shifts > 7).any():
            refuse(model, f"{name}: the ratio of its scales is beyond 2^7")
        result = largest * ratios * (1 + 2.0**-14)
        wraps = (largest >= LARGEST_SUM[16]) | (result >= 2.0**31)
    if wraps.any():
        width = {8: "int32", 16: "48 bits"}[arriving.bits]
        refuse(model, f"{name}: a sum of products may leave {width}")
