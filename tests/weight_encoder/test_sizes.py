"""Sizes of streams: known ones of Vela 5.2, limits, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.npu.files import clustered, gaussian, pruned
from tinyse.errors import InputError
from tinyse.weight_encoder import ACCELERATORS, encoded_bytes
from tinyse.weight_encoder.sections import Palette, stream_bytes

# Bytes that Vela 5.2 writes for `gaussian(outputs, inputs, sigma, zeros)` on ethos-u55-128,
# read from its weight_total_bytes.
KNOWN = [
    ((1024, 384, 32.0, 0.0), 351856),
    ((1024, 384, 32.0, 0.5), 222144),
    ((1024, 384, 32.0, 0.75), 126736),
    ((1024, 384, 32.0, 0.9), 58016),
    ((1024, 384, 32.0, 0.95), 32112),
    ((1024, 384, 32.0, 0.97), 21760),
    ((1024, 384, 16.0, 0.0), 328928),
    ((256, 256, 32.0, 0.0), 58624),
    ((256, 256, 32.0, 0.9), 9600),
    ((256, 256, 4.0, 0.0), 33952),
    ((200, 7, 32.0, 0.6), 816),
    ((93, 93, 32.0, 0.6), 4304),
    ((17, 40, 32.0, 0.6), 416),
    ((128, 784, 60.0, 0.0), 101104),
    ((31, 31, 32.0, 0.0), 912),
]


@pytest.mark.parametrize(("arguments", "size"), KNOWN, ids=str)
def test_sizes_that_vela_writes(arguments, size):
    assert encoded_bytes(gaussian(*arguments), "ethos-u55-128") == pytest.approx(size, rel=0.002)


def test_zeros_alone_cost_a_bit_each():
    assert encoded_bytes(np.zeros((256, 256), np.int8), "ethos-u55-128") == 8208


def test_one_weight_among_zeros_costs_an_eighth_of_a_bit_each():
    weights = np.zeros((256, 256), np.int8)
    weights[100, 100] = 5
    assert encoded_bytes(weights, "ethos-u55-128") == 1040


def test_the_size_does_not_depend_on_where_zeros_are():
    weights = gaussian(256, 256) | 1
    sizes = [
        encoded_bytes(pruned(rows, columns, 0.9)(weights), "ethos-u55-128")
        for rows, columns in ((1, 1), (4, 4), (8, 8), (16, 1))
    ]
    assert max(sizes) < 1.1 * min(sizes)


def test_fewer_levels_and_smaller_values_are_shorter():
    weights = gaussian(256, 256)
    plain = encoded_bytes(weights, "ethos-u55-128")
    assert encoded_bytes(clustered(8)(weights), "ethos-u55-128") < 0.5 * plain
    assert encoded_bytes(gaussian(256, 256, 4), "ethos-u55-128") < 0.7 * plain


@pytest.mark.parametrize("accelerator", [name for name in ACCELERATORS if name != "ethos-u65-512"])
def test_rows_are_padded_to_whole_micro_blocks(accelerator):
    """17 rows cost what 24 (or 20, or 32) rows cost, the others being zero."""
    weights = gaussian(17, 64) | 1
    padded = np.zeros((32, 64), np.int8)
    padded[:17] = weights
    rows = 20 if accelerator.endswith("u55-32") else 32 if accelerator.endswith("u85-512") else 24
    assert encoded_bytes(weights, accelerator) == encoded_bytes(padded[:rows], accelerator)


def test_an_unknown_accelerator_is_named():
    with pytest.raises(InputError, match="ethos-u99"):
        encoded_bytes(gaussian(8, 8), "ethos-u99")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 90), st.sampled_from(ACCELERATORS),
    st.floats(0, 1), st.floats(0.5, 60),
)  # fmt: skip
def test_any_matrix_has_a_size_between_its_limits(outputs, inputs, accelerator, zeros, sigma):
    weights = gaussian(outputs, inputs, sigma, zeros)
    size = encoded_bytes(weights, accelerator)
    padded = 5 * (outputs + 32) * (inputs + 64)  # a shallow matrix is padded fivefold
    assert size % 16 == 0
    assert np.count_nonzero(weights) / 8 <= size <= 1.2 * padded + 200


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-255, 255), min_size=1, max_size=400))
def test_no_stream_is_much_longer_than_its_values_as_they_are(values):
    size, left_out = stream_bytes(np.array(values, np.int16))
    assert 16 <= size <= len(values) * 2 + 80
    assert 0 <= left_out <= values.count(0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-127, 127), min_size=1, max_size=300))
def test_palette_and_direct_numbers_tell_codes_apart(values):
    codes = np.array([2 * abs(value) + (value < 0) for value in values])
    palette = Palette.of(np.bincount(codes, minlength=512))
    found = palette.indices()[np.unique(codes)]
    assert len(set(found.tolist())) == len(found) and found.min() >= 0
