"""What each operator of a file becomes on the NPU: one function for each kind.

A function drafts operations, or says in which map, and where in it, the operator's output is.
What it cannot place exactly it refuses, with the name of the operator or tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinyse.npu.graph import Draft, View
from tinyse.npu.operations import Kernel
from tinyse.tflite.read import Operator, Tensor

if TYPE_CHECKING:
    from tinyse.npu.lower import Lowering

LARGEST_KERNEL = 256
LARGEST_STRIDE = 3
LEAST_INPUTS = {
    "ADD": 2, "SUB": 2, "MUL": 2, "MINIMUM": 2, "MAXIMUM": 2, "CONV_2D": 2, "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2, "SLICE": 3, "SPLIT": 2, "STRIDED_SLICE": 4, "CUSTOM TFLM_DECODE": 2,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 24,
}  # fmt: skip
# Operators that are no operation of the NPU but another way to see a map.
VIEWS = (
    "CONCATENATION", "EXPAND_DIMS", "RESHAPE", "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE",
    "STRIDED_SLICE",
)  # fmt: skip


def _fully_connected(lowering: Lowering, operator: Operator) -> None:
    source = lowering.view(operator.inputs[0])
    matrix = lowering.weights(operator.inputs[1])
    if matrix.ndim != 2:
        lowering.refuse(f"{lowering.label(operator.inputs[1])}: expected a matrix")
    outputs, inputs = matrix.shape
    elements = math.prod(source.shape)
    if elements % inputs:
        lowering.refuse(f"{operator.name}: {elements} inputs for a matrix {matrix.shape}")
    height, width = _grid(elements // inputs)
    written = lowering.shape(operator.outputs[0])
    if math.prod(written) != height * width * outputs:
        lowering.refuse(f"{operator.name}: {written} from {height * width} times {outputs} outputs")
    flat = View(source.map, (height, width, inputs), source.first)
    draft = lowering.add("FullyConnected", operator, (flat,), weights=matrix[:, None, None, :])
    draft.output = View(draft.output.map, (height, width, outputs))


def _grid(count: int) -> tuple[int, int]:
    """(height, width) that a batch of vectors is laid out in."""
    width = max(count // 16, math.ceil(math.sqrt(count)))
    while count % width:
        width += 1
    return count // width, width


def _kernel(operator: Operator, height: int, width: int) -> Kernel:
    options = operator.options
    stride = options.get("stride_h", 1), options.get("stride_w", 1)
    dilation = options.get("dilation_h", 1), options.get("dilation_w", 1)
    return Kernel((height, width), stride, dilation)


def _convolution(lowering: Lowering, operator: Operator) -> None:
    weights = lowering.weights(operator.inputs[1])
    source = lowering.view(operator.inputs[0])
    if weights.ndim != 4 or weights.shape[3] != source.shape[2]:
        lowering.refuse(f"{lowering.label(operator.inputs[1])}: a grouped or odd convolution")
    kernel = _checked_kernel(lowering, operator, *weights.shape[1:3])
    _check_channels(lowering, operator, weights.shape[0])
    lowering.add("Conv2D", operator, (source,), kernel=kernel, weights=weights)


def _check_channels(lowering: Lowering, operator: Operator, channels: int) -> None:
    written = lowering.shape(operator.outputs[0])
    if written[2] != channels:
        lowering.refuse(f"{operator.name}: weights for {channels} channels write {written[2]}")


def _depthwise(lowering: Lowering, operator: Operator) -> None:
    weights = lowering.weights(operator.inputs[1])
    source = lowering.view(operator.inputs[0])
    if weights.ndim != 4:
        lowering.refuse(f"{lowering.label(operator.inputs[1])}: expected four axes")
    kernel = _checked_kernel(lowering, operator, *weights.shape[1:3])
    if weights.shape[0] != 1:
        lowering.refuse(f"{lowering.label(operator.inputs[1])}: expected weights [1, h, w, c]")
    _check_channels(lowering, operator, weights.shape[3])
    by_output = np.ascontiguousarray(weights.transpose(3, 1, 2, 0))
    if source.shape[2] == 1 and weights.shape[3] > 1:  # that is a convolution of one channel
        lowering.add("Conv2D", operator, (source,), kernel=kernel, weights=by_output)
        return
    if weights.shape[3] != source.shape[2]:
        lowering.refuse(f"{operator.name}: a depth multiplier has no known cost")
    lowering.add("DepthwiseConv2D", operator, (source,), kernel=kernel, weights=by_output)


def _checked_kernel(lowering: Lowering, operator: Operator, height: int, width: int) -> Kernel:
    kernel = _kernel(operator, height, width)
    if max(*kernel.dilation, height, width) > LARGEST_KERNEL:
        lowering.refuse(f"{operator.name}: a kernel of {height} x {width} has no known cost")
    if min(kernel.stride) < 1 or max(kernel.stride) > LARGEST_STRIDE or min(kernel.dilation) < 1:
        lowering.refuse(f"{operator.name}: stride {kernel.stride} has no known cost")
    return kernel


def _pool(lowering: Lowering, operator: Operator) -> None:
    options = operator.options
    size = options.get("filter_height", 0), options.get("filter_width", 0)
    if min(size) < 1 or max(size) > LARGEST_KERNEL:
        lowering.refuse(f"{operator.name}: a window of {size} has no known cost")
    kernel = _kernel(operator, *size)
    if not 1 <= min(kernel.stride) <= max(kernel.stride) <= LARGEST_KERNEL:
        lowering.refuse(f"{operator.name}: stride {kernel.stride} has no known cost")
    source = lowering.view(operator.inputs[0])
    if lowering.view(operator.outputs[0]).shape[:2] == (1, 1):  # one window: no stride needed
        kernel = Kernel(size)
    kind = "MaxPool" if operator.name.startswith("MAX") else "AvgPool"
    lowering.add(kind, operator, (source,), kernel=kernel)


def _check_alike(lowering: Lowering, operator: Operator, sources: tuple[View, ...]) -> None:
    """Every input has the output's shape, or one element along an axis where it is repeated."""
    written = lowering.shape(operator.outputs[0])
    for source in sources:
        pairs = zip(source.shape, written, strict=True)
        if any(size not in (1, wanted) for size, wanted in pairs):
            lowering.refuse(f"{operator.name}: {written} from {source.shape}")


def _elementwise(kind: str) -> Callable[[Lowering, Operator], None]:
    def lower(lowering: Lowering, operator: Operator) -> None:
        views = tuple(lowering.view(index) for index in operator.inputs)
        _check_alike(lowering, operator, views)
        lowering.add(kind, operator, views)

    return lower


def _activation(kind: str) -> Callable[[Lowering, Operator], None]:
    def lower(lowering: Lowering, operator: Operator) -> None:
        source, target = (operator.inputs[0], operator.outputs[0])
        view = lowering.view(source)
        _check_same(lowering, operator, view)
        by_table = view.map.bits == 8 and kind != "Relu"
        ends = lowering.tensor(source), lowering.tensor(target)
        same = _same_scale(*ends)
        table = "" if kind == "Relu" else kind.lower()
        if by_table:
            table += "".join(f" {end.scales.tolist()} {end.zero_points.tolist()}" for end in ends)
        lowering.add(
            "Table" if by_table else kind, operator, (view,), activations=(),
            unit_scale=by_table or (kind == "Relu" and same), table=table,
        )  # fmt: skip

    return lower


def _same_scale(a: Tensor, b: Tensor) -> bool:
    return np.array_equal(a.scales, b.scales) and np.array_equal(a.zero_points, b.zero_points)


def _quantize(lowering: Lowering, operator: Operator) -> None:
    source = lowering.view(operator.inputs[0])
    _check_same(lowering, operator, source)
    lowering.add("Quantize", operator, (source,), activations=())


def _check_same(lowering: Lowering, operator: Operator, source: View) -> None:
    written = lowering.shape(operator.outputs[0])
    if written != source.shape:
        lowering.refuse(f"{operator.name}: {written} from {source.shape}")


def _concatenation(lowering: Lowering, operator: Operator) -> None:
    """Its parts were joined one by one, each behind what made it."""


def _reshape(lowering: Lowering, operator: Operator) -> None:
    source, target = operator.inputs[0], operator.outputs[0]
    view = lowering.view(source)
    shape = lowering.shape(target)
    if math.prod(shape) != math.prod(view.shape):
        lowering.refuse(f"{operator.name}: {view.shape} does not become {shape}")
    if target in lowering.model.outputs or view.is_part:
        if view.map.is_outside or view.is_part or len(view.map.writers) != 1:
            lowering.add("MemoryCopy", operator, (view,), activations=())
            return
        view.map.is_output = True
    lowering.views[target] = View(view.map, shape, view.first)


def _strided_slice(lowering: Lowering, operator: Operator) -> None:
    begin, _, steps = (lowering.constant(index) for index in operator.inputs[1:4])
    if (steps != 1).any() or begin.ndim != 1 or not begin.size:
        lowering.refuse("STRIDED_SLICE with steps has no known cost")
    if any(operator.options.get(f"{kind}_mask", 0) for kind in ("ellipsis", "new_axis")):
        lowering.refuse("STRIDED_SLICE with new axes or an ellipsis has no known cost")
    mask = operator.options.get("begin_mask", 0)
    starts = [0 if mask >> axis & 1 else int(value) for axis, value in enumerate(begin)]
    _take(lowering, operator, starts, operator.outputs[0])


def _slice(lowering: Lowering, operator: Operator) -> None:
    starts = [int(value) for value in lowering.constant(operator.inputs[1]).ravel()]
    if not starts:
        lowering.refuse("SLICE without a beginning")
    _take(lowering, operator, starts, operator.outputs[0])


def _take(lowering: Lowering, operator: Operator, starts: list[int], target: int) -> None:
    """A range of channels that whoever reads `target` reads from the source."""
    source = lowering.view(operator.inputs[0])
    shape = lowering.shape(target)
    if any(starts[:-1]) or shape[:2] != source.shape[:2]:
        lowering.refuse(f"{operator.name} along another axis than the channels has no known cost")
    first = starts[-1] + (source.shape[2] if starts[-1] < 0 else 0)
    if first < 0 or first + shape[2] > source.shape[2]:
        lowering.refuse(f"{operator.name}: reaches beyond the {source.shape[2]} channels")
    part = source.channels(first, shape[2])
    if target in lowering.model.outputs:
        copy = Draft("MemoryCopy", lowering.label(target), lowering.layer(operator), (part,),
                     lowering.view(target))  # fmt: skip
        lowering.drafts.append(copy)
        return
    lowering.views[target] = part


def _split(lowering: Lowering, operator: Operator) -> None:
    data = operator.inputs[1 if operator.name == "SPLIT" else 0]
    whole_operator = Operator(
        operator.code, operator.name, operator.version, (data,), operator.outputs, (), 0, {}
    )
    first = 0
    for target in operator.outputs:
        _take(lowering, whole_operator, [first], target)
        first += lowering.shape(target)[2]


def _nothing(lowering: Lowering, operator: Operator) -> None:
    """Constants are unpacked by whoever reads them."""


def _lstm(lowering: Lowering, operator: Operator) -> None:
    lowering.begun[operator.outputs[0]].finish()


HANDLERS: dict[str, Callable[[Lowering, Operator], None]] = {
    "ADD": _elementwise("Add"),
    "SUB": _elementwise("Sub"),
    "MUL": _elementwise("Mul"),
    "MINIMUM": _elementwise("Minimum"),
    "MAXIMUM": _elementwise("Maximum"),
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CUSTOM TFLM_DECODE": _nothing,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": _fully_connected,
    "LOGISTIC": _activation("Sigmoid"),
    "QUANTIZE": _quantize,
    "RELU": _activation("Relu"),
    "RELU6": _activation("Relu"),
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "TANH": _activation("Tanh"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
