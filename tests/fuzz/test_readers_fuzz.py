"""Seconds of `make fuzz-readers` for each reader, and every input that it ever found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fuzz.readers import FOUND, damaged, fuzz, limits, problem, readers
from tinyse.errors import InputError

NAMES = sorted(readers(FOUND))
CASES = sorted(path for path in FOUND.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", NAMES)
def test_damage_ends_in_one_line(name):
    assert fuzz(name, seconds=60, inputs=300, seed=1) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_what_was_found_stays_repaired(case, tmp_path):
    reader = readers(tmp_path)[case.parent.name]()
    with limits():
        assert problem(reader, tmp_path / f"input{reader.suffix}", case.read_bytes()) is None


def test_a_traceback_a_hang_and_hunger_are_finds(tmp_path):
    reader = readers(tmp_path)["recipe"]()

    def refuse(_):
        raise InputError("is no good", "here")

    def crash(_):
        raise KeyError("lost")

    def spin(_):
        while True:
            pass

    ends = {
        refuse: None,
        crash: "KeyError",
        spin: "Hang",
        lambda _: np.ones(1 << 30): "MemoryError",
    }
    with limits():
        for read, said in ends.items():
            found = problem(replace(reader, read=read), tmp_path / "a.toml", b"")
            assert (said is None and found is None) or said in found


def test_inputs_are_a_function_of_their_seed(tmp_path):
    for name in NAMES:
        reader = readers(tmp_path)[name]()
        one, two = (
            [damaged(np.random.default_rng(s), reader.whole[0], reader.text) for s in range(20)]
            for _ in range(2)
        )
        assert one == two and len(set(one)) > 10
