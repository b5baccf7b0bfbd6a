"""The integer arithmetic of `tinyse.quant` inside a graph: exact, in int32 and float32.

NumPy has 64 bits for the product of an accumulator and a Q31 multiplier; the types that are fast
here have 32 (and JAX has no other unless told).  Three facts make 32 enough:

* Weight scales have 12 significant bits (`quant.scales.r12`) and an LSTM reads activations whose
  scale is a power of two, so the multiplier of a gate is q = m * 2^19 with 2^11 <= m < 2^12, and

      round(x * q / 2^31) = round(x * m / 2^12) = (x >> 12) * m + (((x & 4095) * m + 2^11) >> 12)

* Scales of cell and hidden state are powers of two: products of two int16 stay below 2^31.
* float32 holds sums of int8 products as they are up to 2^24: a thousand inputs, in any order.
"""

from __future__ import annotations

from keras import ops

from tinyse.network.tensors import Tensor, WithGradient, custom_gradient

_STORED_BITS = 23  # of a float32 mantissa; the leading one is implied
_DROPPED_BITS = 12  # of them by `r12`: 11 and the implied one are left

Multiplier = tuple[Tensor, Tensor, Tensor]  # m, left, right: int32 [n] each


def r12(scale: Tensor) -> Tensor:
    """Positive float32 scales rounded to 12 significant bits."""
    bits = ops.view(scale, "int32") + (1 << (_DROPPED_BITS - 1))
    return ops.view(ops.bitwise_and(bits, -(1 << _DROPPED_BITS)), "float32")


def multiplier(ratio: Tensor) -> Multiplier:
    """What `quant.scales.quantize_multiplier` gives for float32 ratios of 12 significant bits.

    ratio = m * 2^(left - right - 12), 2^11 <= m < 2^12, left or right zero
    """
    mantissa, shift = _split(ratio)
    m = ops.cast(mantissa * 4096, "int32")
    return m, ops.maximum(shift, 0), ops.maximum(-shift, 0)


def multiply(x: Tensor, by: Multiplier) -> Tensor:
    """`quant.scales.multiply` of int32 [..., n]; |x| * 2^left must stay below 2^30."""
    m, left, right = by
    x = ops.left_shift(x, left)
    low = ops.bitwise_and(x, 4095) * m
    return _halved(ops.right_shift(x, 12) * m + ops.right_shift(low + 2048, 12), right)


def multiply_nearly(sums: Tensor, ratio: Tensor) -> Tensor:
    """The same for float32 sums and any ratios below 1; int32.

    The first of the two roundings is done in float32, whose product has 24 bits of the 55: the
    result is off by one where they do not decide, once in some 10^5.
    """
    mantissa, shift = _split(ratio)
    return _halved(ops.cast(ops.floor(sums * mantissa + 0.5), "int32"), -shift)


def _split(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """frexp: mantissa float32 in [0.5, 1) and exponent int32 of float32 > 0."""
    bits = ops.view(ratio, "int32")
    fraction = ops.bitwise_and(bits, (1 << _STORED_BITS) - 1)
    half = 126 << _STORED_BITS  # the bits of 0.5
    return ops.view(fraction + half, "float32"), ops.right_shift(bits, _STORED_BITS) - 126


def _halved(x: Tensor, times: Tensor) -> Tensor:
    """int32 / 2^times, a half away from zero: the second rounding; the first took a half up."""
    half = ops.right_shift(ops.left_shift(ops.ones_like(times), times), 1)
    down = ops.cast(ops.logical_and(x < 0, times > 0), "int32")
    return ops.right_shift(x + half - down, times)


def shifted(x: Tensor, bits: int) -> Tensor:
    """`quant.scales.multiply` of int32 by 2^-bits, bits >= 2: the same two roundings."""
    high = ops.right_shift(x + 1, 1)
    half = 1 << (bits - 2)
    return ops.right_shift(high + half - ops.cast(high < 0, "int32"), bits - 1)


def clipped16(x: Tensor) -> Tensor:
    """Saturated to int16."""
    return ops.clip(x, -32768, 32767)


def straight_through(value: Tensor, through: Tensor) -> Tensor:
    """`value`, whose gradient goes to `through` as it is and not to `value`."""

    @custom_gradient
    def passed(value: Tensor, through: Tensor) -> WithGradient:
        return value, lambda upstream: (ops.zeros_like(upstream), upstream)

    return passed(value, through)
