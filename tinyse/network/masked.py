"""The forward pass in float with masks on the weights: `quantised` without the integers.

Half of the stitched-together way (prune in float, quantise afterwards) that training in int8 is
held against.  A weight takes the gradient of what was used for it, also where its mask is 0.
"""

from __future__ import annotations

from keras import ops

from tinyse.network.build import forward
from tinyse.recipe import Network


@ops.custom_gradient
def _masked(weights, mask):
    return weights * mask, lambda upstream: (upstream, upstream * weights)


def masked_parameters(parameters, masks):
    """What a step computes with; masks : kernel or recurrent kernel -> [n, m] of 0 and 1."""
    return {
        name: _masked(value, masks[name]) if name in masks else value
        for name, value in parameters.items()
    }


def masked_forward(network: Network, parameters, masks, features):
    """Mask [B, T, 128] of features [B, T, 128] from a zero state."""
    return forward(network, masked_parameters(parameters, masks), features)
