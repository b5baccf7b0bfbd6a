"""The order of weights: each stands once in the streams, and nothing but zeros beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.weight_encoder.order import Order, streams

ORDERS = {
    "u55, inputs first": Order(128, 8, 32, 32),
    "u55, kernel first": Order(64, 8, 16, 8, elements=4),
    "u55, depthwise": Order(64, 8, 1, 1, elements=4, feed=1),
    "u65, two cores": Order(128, 8, 32, 32, decoders=2, interleaved=True),
    "u85": Order(512, 8, 64, 64, serpentine=True),
    "u85, kernel first": Order(512, 8, 16, 16, elements=5, serpentine=True, stride=(2, 2)),
    "u85, two cores": Order(1024, 16, 64, 64, decoders=2, serpentine=True),
    "u85, 2 of 4": Order(512, 8, 128, 128, feed=16, serpentine=True),
}


@pytest.mark.parametrize("name", ORDERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_each_weight_stands_once(name, data):
    order = ORDERS[name]
    sizes = [data.draw(st.integers(1, most)) for most in (70, 12, 12, 70)]
    sizes[3] = 1 if order.feed == 1 else sizes[3]
    weights = np.arange(1, np.prod(sizes) + 1, dtype=np.int64).reshape(sizes)
    found = np.concatenate(streams(weights, order))
    np.testing.assert_array_equal(np.sort(found[found != 0]), weights.ravel())


def test_a_brick_of_the_u55_goes_row_by_row_eight_inputs_at_a_time():
    weights = np.arange(1, 8 * 32 + 1).reshape(8, 1, 1, 32)
    (found,) = streams(weights, ORDERS["u55, inputs first"])
    by_hand = [weights[row, 0, 0, 8 * feed + i]
               for feed in range(4) for row in range(8) for i in range(8)]  # fmt: skip
    np.testing.assert_array_equal(found, by_hand)


def test_inputs_are_padded_to_a_block_and_rows_to_a_micro_block():
    (found,) = streams(np.ones((17, 1, 1, 40), np.int8), ORDERS["u55, inputs first"])
    assert len(found) == 24 * 64


def test_rows_are_dealt_one_by_one_on_the_u65_and_by_four_on_the_u85():
    weights = np.arange(1, 17).repeat(8).reshape(16, 1, 1, 8)
    even, odd = streams(weights, ORDERS["u65, two cores"])
    assert set(even[even > 0]) == set(range(1, 17, 2)) and set(odd[odd > 0]) == set(range(2, 17, 2))
    first, second = streams(weights, ORDERS["u85, two cores"])
    assert set(first[first > 0]) == {1, 2, 3, 4, 9, 10, 11, 12}
    assert set(second[second > 0]) == {5, 6, 7, 8, 13, 14, 15, 16}


def test_every_second_block_of_outputs_walks_back_on_the_u85():
    order = Order(8, 8, 64, 64, serpentine=True)
    weights = np.repeat([[1, 2]], 16, axis=0).repeat(64, axis=1).reshape(16, 1, 1, 128)
    (found,) = streams(weights, order)
    walked = [int(found[place]) for place in range(0, len(found), 8 * 64)]
    assert walked == [1, 2, 2, 1]


def test_a_padded_depthwise_kernel_has_extra_elements():
    order = Order(64, 16, 1, 1, elements=10, extra_elements=2, feed=1)
    (found,) = streams(np.ones((16, 3, 3, 1), np.int8), order)
    assert len(found) == 16 * 12
