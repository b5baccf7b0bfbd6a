"""Norms and masks of groups, against drawn examples and against counting block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.network_maker import float_weights
from tests.sparsity.networks import gru_weights
from tinyse.errors import InputError
from tinyse.sparsity.groups import (
    Structure,
    apply_masks,
    array_of,
    diagonal_groups,
    expand,
    group_norms,
    group_sizes,
    groups_left,
    halves,
    keep_exactly,
    live_groups,
    masks_of,
    padded,
    parse_structure,
    refuse_oversized,
    sparsities,
    total_sparsity,
)

BLOCK = Structure("block", 2, 3)
structures = st.one_of(
    st.just(Structure("weight")),
    st.just(Structure("unit")),
    st.builds(Structure, st.just("block"), st.integers(1, 5), st.integers(1, 5)),
)
sides = st.integers(1, 9)


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("weight", Structure("weight")),
        ("unit", Structure("unit")),
        ("block:4x4", Structure("block", 4, 4)),
        ("block:16x1", Structure("block", 16, 1)),
    ],
)
def test_structures_are_parsed_and_print_as_written(text, structure):
    assert parse_structure(text) == structure and str(structure) == text


@pytest.mark.parametrize(
    "text", ["", "block", "block:4", "block:4x", "block:0x4", "block:-1x4", "4x4", "blocks:4x4",
             "unit:4", "block:4x4x4", "block: 4x4", "block:٤x٤", "block:99999x1"]
)  # fmt: skip
def test_nonsense_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="expected weight, block:ROWSxCOLUMNS or unit") as refused:
        parse_structure(text)
    assert "\n" not in str(refused.value)


def test_a_drawn_example():
    matrix = np.array([[3, 0, 0, 0], [0, 4, 0, 0], [0, 0, 0, 5]])
    assert np.array_equal(group_sizes(BLOCK, matrix.shape), [[6, 2], [3, 1]])
    norms = group_norms(BLOCK, matrix)
    assert np.allclose(norms, [[np.sqrt(25 / 6), 0], [0, 5]])  # the edge counts what is there
    keep = keep_exactly(norms, 2)
    assert np.array_equal(keep, [[True, False], [False, True]])
    assert np.array_equal(
        expand(BLOCK, keep, matrix.shape), [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    )


def of_group(structure, shape):
    """Which group each weight belongs to, counted one by one: [out, in] of (down, across)."""
    rows, columns = {
        "weight": (1, 1),
        "block": (structure.rows, structure.columns),
        "unit": (1, shape[1]),
    }[structure.kind]
    return [[(r // rows, c // columns) for c in range(shape[1])] for r in range(shape[0])]


@given(structures, sides, sides, st.integers(0, 99))
def test_norms_and_masks_against_brute_force(structure, height, width, seed):
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(height, width)) * (generator.random((height, width)) < 0.5)
    members: dict[tuple[int, int], list[float]] = {}
    for row, groups in zip(matrix, of_group(structure, matrix.shape), strict=True):
        for value, group in zip(row, groups, strict=True):
            members.setdefault(group, []).append(value)
    grid = structure.grid(matrix.shape)
    assert len(members) == np.prod(grid) and max(members) == (grid[0] - 1, grid[1] - 1)
    norms, sizes = group_norms(structure, matrix), group_sizes(structure, matrix.shape)
    live = live_groups(structure, matrix)
    for group, values in members.items():
        assert sizes[group] == len(values) and live[group] == any(values)
        assert norms[group] == pytest.approx(np.sqrt(np.mean(np.square(values))))
    keep = generator.random(grid) < 0.5
    mask = expand(structure, keep, matrix.shape)
    expected = [[keep[group] for group in row] for row in of_group(structure, matrix.shape)]
    assert np.array_equal(mask, expected)
    diagonal = diagonal_groups(structure, matrix.shape)
    through = {of_group(structure, matrix.shape)[i][i] for i in range(min(height, width))}
    assert {tuple(map(int, at)) for at in np.argwhere(diagonal)} == through
    whole = np.prod(structure.block(matrix.shape))
    assert structure.pads(matrix.shape) == any(len(m) < whole for m in members.values())


def test_masks_of_another_shape_are_a_bug():
    with pytest.raises(ValueError, match="are not those of block:2x3"):
        expand(BLOCK, np.ones((2, 3), bool), (3, 4))


@given(st.integers(0, 99), st.integers(1, 40))
def test_exactly_as_many_are_kept_and_ties_fall_to_the_first(seed, size):
    norms = np.random.default_rng(seed).integers(0, 4, size).astype(float)
    for count in range(size + 1):
        keep = keep_exactly(norms, count)
        ranked = sorted(range(size), key=lambda i: (-norms[i], i))
        assert set(np.flatnonzero(keep)) == set(ranked[:count])


@given(st.integers(0, 999), st.integers(1, 12))
def test_the_first_then_norms_then_ties_then_places_decide(seed, size):
    random = np.random.default_rng(seed)
    norms, ties = random.integers(0, 3, (2, size)).astype(float)
    first = random.random(size) < 0.3
    for count in range(size + 1):
        keep = keep_exactly(norms, count, ties, first)
        ranked = sorted(range(size), key=lambda i: (~first[i], -norms[i], -ties[i], i))
        assert set(np.flatnonzero(keep)) == set(ranked[:count])


def test_ties_are_told_apart_before_places_and_the_first_come_first():
    norms = np.array([1.0, 1.0, 1.0, 2.0])
    ties = np.array([0.0, 5.0, 3.0, 0.0])
    assert np.array_equal(keep_exactly(norms, 2, ties), [False, True, False, True])
    first = np.array([True, False, False, False])
    assert np.array_equal(keep_exactly(norms, 2, ties, first), [True, False, False, True])
    with pytest.raises(ValueError, match="cannot keep 5 of 4"):
        keep_exactly(norms, 5)


def test_a_half_is_pruned_away():
    assert [groups_left(10, s) for s in (0, 0.04, 0.05, 0.94, 0.95, 1)] == [10, 10, 9, 1, 0, 0]


def test_halves_are_views_in_the_layout_of_the_file():
    weights = float_weights((9, 7), (5,), 11, 6)
    there = halves(weights)
    assert list(there) == [
        *(f"lstm_0/{part}/{gate}" for part in ("kernel", "recurrent") for gate in "ifco"),
        *(f"lstm_1/{part}/{gate}" for part in ("kernel", "recurrent") for gate in "ifco"),
        "dense_0/kernel",
        "mask/kernel",
    ]
    assert there["lstm_1/kernel/f"].shape == (7, 9) and there["mask/kernel"].shape == (6, 5)
    assert np.array_equal(there["lstm_0/kernel/c"], weights["lstm_0/kernel"][:, 18:27].T)
    assert all(np.shares_memory(m, weights[array_of(name)]) for name, m in there.items())


def test_a_gru_has_three_gates():
    weights = gru_weights()
    there = halves(weights)
    assert "gru_0/recurrent/h" in there and "gru_0/recurrent/c" not in there
    assert np.array_equal(there["gru_0/kernel/z"], weights["gru_0/kernel"][:, :9].T)


def test_what_is_no_lstm_and_no_gru_is_refused():
    weights = float_weights((4,), (), 3, 2)
    weights["lstm_0/recurrent"] = np.zeros((4, 8), np.float32)
    with pytest.raises(InputError, match=r"lstm_0/recurrent: .* neither an LSTM's nor a GRU's"):
        halves(weights)


def test_masks_are_applied_to_a_copy_and_found_again():
    weights = float_weights((9, 7), (5,), 11, 6)
    generator = np.random.default_rng(0)
    masks = {name: generator.random(m.shape) < 0.5 for name, m in halves(weights).items()}
    pruned = apply_masks(weights, masks)
    found = masks_of(pruned)
    assert all(np.array_equal(found[name], mask) for name, mask in masks.items())
    assert all((m != 0).all() for m in masks_of(weights).values())
    assert set(pruned) == set(weights)
    with pytest.raises(InputError, match="lstm_7/kernel/i: there is no such matrix"):
        apply_masks(weights, {"lstm_7/kernel/i": np.ones((1, 1), bool)})


def test_sparsity_counts_groups():
    weights = float_weights((9,), (), 11, 6)
    mask = np.zeros((9, 11), bool)
    mask[0, 0] = True
    pruned = apply_masks(weights, {"lstm_0/kernel/i": mask})
    block = Structure("block", 4, 4)
    assert sparsities(block, pruned)["lstm_0/kernel/i"] == pytest.approx(8 / 9)
    groups = 4 * 9 + 4 * 9 + 2 * 3
    assert total_sparsity(block, pruned) == pytest.approx(8 / groups)


def test_a_block_larger_than_a_matrix_is_refused_by_its_name():
    shapes = {"lstm_0/kernel/i": (16, 8), "mask/kernel": (6, 8)}
    refuse_oversized(Structure("block", 6, 8), shapes)
    with pytest.raises(InputError, match=r"mask/kernel: a block of 8x4 is larger than .* of 6x8"):
        refuse_oversized(Structure("block", 8, 4), shapes)
    assert padded(Structure("block", 4, 4), shapes) == ["mask/kernel"]
