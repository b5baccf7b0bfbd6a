"""What an NPU is asked to do: operations on feature maps, after lowering and before any cost.

Feature maps are (height, width, channels); the vectors of a recurrent network are (1, 1, n).
They lie in SRAM either row by row ("NHWC") or in bricks of 16 channels ("NHCWB16"), which are
always whole: a vector of 17 takes 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]  # height, width, channels

BRICK_CHANNELS = 16
SCALE_RECORD_BYTES = 10  # bias and scale of one output channel

CONVOLUTIONS = ("FullyConnected", "Conv2D")
DEPTHWISE = ("DepthwiseConv2D",)
ELEMENTWISE = ("Add", "Sub", "Mul", "Minimum", "Maximum")
ACTIVATIONS = ("Relu", "Sigmoid", "Tanh", "Table", "Clamp")
# Whatever neither multiplies by weights nor joins two maps runs as a pooling of one element.
POOLINGS = ("MaxPool", "AvgPool", "MemoryCopy", "Quantize", *ACTIVATIONS)


def up(value: int, step: int) -> int:
    """`value` rounded up to a multiple of `step`."""
    return -(-value // step) * step


def ceil_div(value: int, by: int) -> int:
    """How many steps of `by` cover `value`."""
    return -(-value // by)


@dataclass(frozen=True)
class Feature:
    """A feature map, or the part of one, that an operation reads or writes.

    bits : 8 or 16
    brick : in bricks of 16 channels
    constant : lies with the weights
    """

    shape: Shape
    bits: int
    brick: bool = False
    constant: bool = False

    @property
    def elements(self) -> int:
        """Elements without padding."""
        return math.prod(self.shape)

    @property
    def is_scalar(self) -> bool:
        """One element, which travels in the command."""
        return self.elements == 1

    @property
    def stored(self) -> int:
        """Elements with the padding of the last brick."""
        height, width, channels = self.shape
        return height * width * (up(channels, BRICK_CHANNELS) if self.brick else channels)


@dataclass(frozen=True)
class Kernel:
    """Size, stride and dilation of a convolution or pooling, each (y, x)."""

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    @property
    def elements(self) -> int:
        """Elements of the kernel."""
        return self.size[0] * self.size[1]

    @property
    def reach(self) -> tuple[int, int]:
        """(y, x) that it spans with its dilation."""
        (height, width), (step_y, step_x) = self.size, self.dilation
        return (height - 1) * step_y + 1, (width - 1) * step_x + 1


POINT = Kernel()


@dataclass(frozen=True)
class Operation:
    """One operation, with what is fused into its output stage.

    kind : one of the names above
    layer : the operator of the file that it comes from
    weights : int8 or int16 [out, height, width, in], zero as 0; depthwise [out, height, width, 1]
    activations : kinds fused behind it, which cost at most output cycles
    chained : elementwise operations that run behind it without a trip to memory (Ethos-U85)
    table_bytes : of the lookup table that it must load by itself
    tables : (name, bytes) of each table that it or what is fused behind it looks up
    extra_inputs : what the chained operations read besides
    """

    kind: str
    name: str
    layer: str
    inputs: tuple[Feature, ...]
    output: Feature
    kernel: Kernel = POINT
    weights: NDArray[np.integer] | None = None
    activations: tuple[str, ...] = ()
    chained: tuple[Operation, ...] = ()
    table_bytes: int = 0
    tables: tuple[tuple[str, int], ...] = ()
    extra_inputs: tuple[Feature, ...] = ()

    @property
    def is_convolution(self) -> bool:
        """Convolution or fully connected: every output sees every input channel."""
        return self.kind in CONVOLUTIONS

    @property
    def is_depthwise(self) -> bool:
        """Every output channel sees one input channel."""
        return self.kind in DEPTHWISE

    @property
    def is_elementwise(self) -> bool:
        """Runs without the multiply-accumulate array."""
        return self.kind in ELEMENTWISE

    @property
    def is_pooling(self) -> bool:
        """Runs as a pooling, copies and lone activations among them."""
        return self.kind in POOLINGS

    @property
    def bits(self) -> int:
        """Of the inputs."""
        return self.inputs[0].bits

    @property
    def input_channels(self) -> int:
        """Channels of the first input."""
        return self.inputs[0].shape[2]

    @property
    def wide_accumulator(self) -> bool:
        """16-bit inputs times weights need 40 bits or more."""
        return self.bits == 16 and (self.is_convolution or self.is_depthwise)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all weights."""
        if self.weights is None:
            return 0
        height, width, _ = self.output.shape
        return self.weights.size * height * width

    @property
    def outline(self) -> Operation:
        """What decides how it is cut into blocks: its kind and shapes, without values or names."""
        return replace(self, name="", layer="", weights=None, chained=(), tables=())

    def with_weights(self, weights: NDArray[np.integer]) -> Operation:
        """The same with other values of the weights."""
        return replace(self, weights=weights)


@dataclass(frozen=True)
class Program:
    """A network as an NPU runs it.

    frames : time steps of one call
    sram_bytes : of all feature maps that are alive at once, at most
    """

    operations: tuple[Operation, ...]
    frames: int
    sram_bytes: int
