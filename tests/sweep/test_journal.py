"""A sweep whose journal or rows are damaged: it goes on, or says in one line what to remove."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.sweep.plans import GRID
from tinyse.cli import main
from tinyse.sweep import sweep
from tinyse.sweep.plan import read_plan
from tinyse.sweep.study import JOURNAL, begin, settings

pytest.importorskip("optuna")

RANDOM = GRID.replace("schema = 1", 'schema = 1\nstrategy = "random"\ntrials = 3').replace(
    '"compress.levels" =', '"compress.floor" = { low = 0.1, high = 0.5 }\n"compress.levels" ='
)


def refused(says: str) -> None:
    done = CliRunner().invoke(main, ["sweep", "grid.toml"])
    assert done.exit_code == 2, done.output
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("left", [-5, 50, 0])
def test_a_journal_that_was_cut_goes_on(place, left) -> None:
    folder, before = sweep(place / "grid.toml")
    journal = folder / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole[:left])
    times = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    assert sweep(place / "grid.toml")[1] == before
    assert times == {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


@pytest.mark.parametrize("plan", [GRID, RANDOM], ids=["grid", "random"])
def test_settings_are_the_same_wherever_the_journal_was_cut(place, plan) -> None:
    """What was drawn before is drawn again in its turn."""
    (place / "grid.toml").write_text(plan)
    plan, out = read_plan(place / "grid.toml"), place / "out"
    numbers = begin(plan, out)
    whole = [settings(plan, out, number) for number in numbers]
    lines = (out / JOURNAL).read_bytes().splitlines(keepends=True)
    for count in range(0, len(lines), 2):
        torn = b"".join(lines[:count]) + lines[count][:9]
        (out / JOURNAL).write_bytes(torn)
        assert begin(plan, out) == numbers
        assert [settings(plan, out, number) for number in numbers] == whole


@pytest.mark.parametrize("line", [b"no JSON\n", b"[]\n", b"{}\n", b"\xff\n", b'{"op_code": 99}\n'])
def test_a_damaged_journal_is_one_line_and_can_be_removed(place, line) -> None:
    (place / "grid.toml").write_text(RANDOM)
    folder, before = sweep(place / "grid.toml")
    journal = folder / JOURNAL
    journal.write_bytes(line + journal.read_bytes())
    refused(f"{journal}: is damaged (")
    journal.unlink()
    assert sweep(place / "grid.toml")[1] == before


@pytest.mark.parametrize("text", ["{}", "[]", '{"state": "done"}', '{"number": 0}', "{"])
def test_a_row_that_is_none_is_one_line_and_can_be_removed(place, text) -> None:
    folder, before = sweep(place / "grid.toml")
    row = folder / "runs" / "2" / "row.json"
    row.write_text(text)
    refused(f"{row}: ")
    row.unlink()
    assert sweep(place / "grid.toml")[1] == before
