"""Where the way of writing changes."""

from __future__ import annotations

import numpy as np

from tinyse.weight_encoder.spans import FEW, UNFIT_BITS, cheapest_spans

# Two ways to write 0 to 3; the second gains five bits on a 2 and cannot write a 3.
COSTS = np.array([[1, 1, 9, 1], [1, 4, 4, UNFIT_BITS]], np.int32)


def spans(numbers: np.ndarray) -> list[tuple[int, int]]:
    return cheapest_spans(COSTS, numbers.astype(np.intp))[0]


def test_one_way_where_nothing_changes():
    for count in (100, FEW, FEW + 1000):
        assert spans(np.ones(count)) == [(0, count)]
        assert spans(np.full(count, 2)) == [(1, count)]


def test_a_change_has_to_gain_forty_bits():
    numbers = np.zeros(200)
    numbers[100:107] = 2  # 35 bits to gain
    assert spans(numbers) == [(0, 200)]


def test_a_way_that_was_as_good_before_takes_the_whole_span():
    numbers = np.zeros(200)
    numbers[100:140] = 2
    assert spans(numbers) == [(1, 200)]


def test_a_way_that_was_worse_before_has_that_to_make_up_for():
    numbers = np.ones(200)
    numbers[100:] = 2  # three bits lost on each of a hundred, five gained on each of a hundred
    assert spans(numbers) == [(1, 200)]
    numbers[100:140] = 2
    numbers[140:] = 1
    assert spans(numbers) == [(0, 200)]


def test_a_way_that_could_not_write_something_begins_behind_it():
    numbers = np.zeros(200)
    numbers[50] = 3
    numbers[100:] = 2
    found = spans(numbers)
    assert [way for way, _ in found] == [0, 1]
    assert found[0][1] == 109  # the ninth 2 sees the 40 bits


def test_a_number_that_cannot_be_written_ends_a_span():
    numbers = np.full(300, 2)
    numbers[150] = 3
    assert [way for way, _ in spans(numbers)] == [1, 0, 1]
    assert spans(numbers)[0][1] == 150


def test_groups_find_what_single_numbers_find():
    numbers = np.zeros(FEW + 4096)
    numbers[[1000, 6000]] = 3
    numbers[2048:4096] = 2
    found, lost = cheapest_spans(COSTS, numbers.astype(np.intp))
    assert [way for way, _ in found] == [0, 1, 0]
    assert abs(found[0][1] - 2048) <= 64 and abs(found[1][1] - 6000) <= 64
    assert lost == 80
