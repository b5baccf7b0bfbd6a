"""The forward pass in float with masks on the weights: `quantised` without the integers.

Half of the stitched-together way (prune in float, quantise afterwards) that training in int8 is
held against.  A weight takes the gradient of what was used for it, also where its mask is 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from tinyse.network.build import Parameters, forward
from tinyse.network.tensors import Tensor, WithGradient, custom_gradient
from tinyse.recipe import Network


@custom_gradient
def _masked(weights: Tensor, mask: Tensor) -> WithGradient:
    return weights * mask, lambda upstream: (upstream, upstream * weights)


def masked_parameters(parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Parameters:
    """What a step computes with; masks : kernel or recurrent kernel -> [n, m] of 0 and 1."""
    return {
        name: _masked(value, masks[name]) if name in masks else value
        for name, value in parameters.items()
    }


def masked_forward(
    network: Network,
    parameters: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    features: Tensor,
) -> Tensor:
    """Mask [B, T, 128] of features [B, T, 128] from a zero state."""
    return forward(network, masked_parameters(parameters, masks), features)
