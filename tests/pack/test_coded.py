"""The entropy-coded form: unpacked by C to the very bytes, and close to what entropy allows."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.network_maker import integer_network, small_network
from tests.sparse_networks import by_magnitude, cut_network, published
from tinyse.errors import InputError
from tinyse.pack.coded import code
from tinyse.pack.codes import (
    ESCAPE,
    ESCAPED,
    LONGEST_CODE,
    canonical_codes,
    code_lengths,
    golomb_code,
)
from tinyse.pack.files import coded
from tinyse.pack.format import Layout
from tinyse.pack.native import pack

# Over the entropy of mask and values of each matrix; code tables and segment headers count.
MOST_OVER_BOUND = 0.03


def entropy_bytes(values) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum()) / 8


def bound(network, by_blocks: bool) -> float:
    """Entropy of mask and values of each matrix; of 4 x 4 blocks with `by_blocks`."""
    total = 0.0
    for layer in network.layers:
        many = hasattr(layer, "kernels")
        for weights in (*layer.kernels, *layer.recurrents) if many else (layer.kernel,):
            if not by_blocks:
                total += entropy_bytes(weights)
                continue
            blocks = weights.reshape(len(weights) // 4, 4, -1, 4).transpose(0, 2, 1, 3)
            live = blocks.any(axis=(2, 3))
            total += entropy_bytes(live) + entropy_bytes(blocks[live])
    return total


CASES = {
    "dense": (None, False),
    "4x4, 90 %": (by_magnitude(4, 4, 0.9), True),
    "4x4, 95 %": (by_magnitude(4, 4, 0.95), True),
    "unstructured, 90 %": (by_magnitude(1, 1, 0.9), False),
    "unstructured, 95 %": (by_magnitude(1, 1, 0.95), False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("layout", [Layout.ROWS, Layout.PAIRS])
def test_trained_weights_come_close_to_the_bound(case, layout):
    native = pytest.importorskip("tinyse.runtimes.native")
    cut, by_blocks = CASES[case]
    network = published(cut)
    blob = pack(network, layout)
    small = coded(network, blob)
    weights = sum(
        parts.get("values", 0) + parts.get("index", 0)
        for parts in pack(network, layout).accounts.values()
    )
    constants = len(blob.data) - weights
    over = (len(small) - constants) / bound(network, by_blocks) - 1
    print(f"{case} {layout.name}: {len(blob.data):,} -> {len(small):,} bytes, {over:.2%} over")
    assert over <= MOST_OVER_BOUND
    assert native.unpack(small) in (blob.data, pack(network, layout, blocks=False).data)


@pytest.mark.parametrize("layout", [Layout.ROWS, Layout.PAIRS])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("block", [(1, 1), (4, 4)])
def test_every_kind_of_network_unpacks_to_itself(layout, sparsity, block):
    native = pytest.importorskip("tinyse.runtimes.native")
    network = integer_network((7, 12), (6,), 13, 10)
    blob = pack(cut_network(network, by_magnitude(*block, sparsity)), layout)
    assert native.unpack(code(blob)) == blob.data


@pytest.mark.parametrize("layout", [Layout.ROWS, Layout.PAIRS])
def test_long_gaps_and_single_weights_come_back(layout):
    native = pytest.importorskip("tinyse.runtimes.native")
    network = cut_network(integer_network((384,), (), 130, 130), by_magnitude(1, 1, 1.0))
    layer = network.layers[0]
    kernels = np.zeros_like(np.stack(layer.kernels))
    kernels[0, 0, 0], kernels[1, -1, -1], kernels[2, 5, 7] = 127, -127, 1
    recurrents = np.zeros_like(np.stack(layer.recurrents))
    recurrents[3, 300, 300] = -1  # more than 65,535 zeros before and behind it
    sparse = dataclasses.replace(layer, kernels=tuple(kernels), recurrents=tuple(recurrents))
    network = dataclasses.replace(network, layers=(sparse, *network.layers[1:]))
    for blocks in (True, False):
        blob = pack(network, layout, blocks=blocks)
        assert native.unpack(code(blob)) == blob.data


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), st.integers(0, 2**20))
def test_gaps_cost_no_more_than_the_escape(gaps, most):
    gaps = np.minimum(np.array(gaps), most)
    bits, divisor = golomb_code(gaps)
    assert 1 <= divisor <= 255
    assert bits.lengths.max() <= ESCAPE + ESCAPED and len(bits.data()) == -(-bits.count // 8)


def test_hosts_have_no_coded_form():
    with pytest.raises(InputError, match="no coded form"):
        code(pack(small_network(), Layout.LANES))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100_000), min_size=256, max_size=256).filter(any))
def test_codes_are_prefix_free_and_short(counts):
    lengths = code_lengths(np.array(counts))
    assert (lengths > 0).tolist() == [count > 0 for count in counts]
    assert lengths.max() <= LONGEST_CODE
    assert sum(2.0 ** -int(length) for length in lengths[lengths > 0]) <= 1
    codes = canonical_codes(lengths)
    texts = sorted(f"{codes[s]:0{lengths[s]}b}" for s in np.flatnonzero(lengths))
    assert not any(b.startswith(a) for a, b in itertools.pairwise(texts))


def test_damage_is_refused():
    native = pytest.importorskip("tinyse.runtimes.native")
    data = bytearray(code(pack(small_network(), Layout.ROWS)))
    data[200] ^= 4
    with pytest.raises(InputError, match="checksum"):
        native.unpack(bytes(data))
