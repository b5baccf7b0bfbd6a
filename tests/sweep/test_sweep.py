"""Sweeps: what a plan may say, that every run comes once, and that a killed sweep goes on."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import types

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import ROOT
from tests.network_maker import float_weights
from tinyse.cli import main
from tinyse.errors import InputError, MissingExtra, ResumeRefused
from tinyse.sweep import sweep, trial
from tinyse.sweep.plan import read_plan
from tinyse.sweep.study import open_study

pytest.importorskip("optuna")

GRID = """
schema = 1
name = "grid"
command = "compress"
source = "small"

[set]
"compress.method" = "offline"
"compress.permute" = false

[keys]
"compress.structure" = ["weight", "block:4x4"]
"compress.levels" = [[0.5], [0.75], [0.9]]
"""
HALVING = """
schema = 1
name = "halving"
command = "train"
source = "small.toml"
strategy = "halving"
trials = 9

[halving]
least_steps = 10
factor = 3

[keys]
"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"train.seed" = [1, 2, 3]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a small network, a recipe and the plans; the working folder."""
    small = tmp_path / "small"
    small.mkdir()
    weights = float_weights(lstm=(8,), dense=(8,), gain=0.8)
    np.savez(small / "weights.npz", **weights)
    recipe = 'name = "small"\n[network]\nlstm = [8]\ndense = [8]\n'
    (small / "recipe.toml").write_text(recipe)
    (tmp_path / "small.toml").write_text(recipe)
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "halving.toml").write_text(HALVING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(folder) -> list[dict]:
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_has_every_combination_once_and_a_row_each(place) -> None:
    told = []
    folder, rows = sweep(place / "grid.toml", progress=lambda *t: told.append(t))
    assert folder == place / "sweeps" / "grid"
    found = [(row["compress.structure"], row["compress.levels"]) for row in rows_of(folder)]
    levels = ["[0.5]", "[0.75]", "[0.9]"]
    assert found == [(kind, level) for kind in ('"weight"', '"block:4x4"') for level in levels]
    assert [row["number"] for row in rows] == list(range(6))
    assert told == [(n, 6) for n in range(7)]
    for row in rows:
        assert row["state"] == "done" and row["bound_bytes"] > 0
        (asked,) = json.loads(row["compress.levels"])
        assert abs(row["sparsity"] - asked) < 0.05
        assert (folder / "runs" / str(row["number"]) / "model.tflite").exists()


def test_what_is_done_is_not_done_again(place) -> None:
    folder, before = sweep(place / "grid.toml")
    times = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    assert sweep(place / "grid.toml")[1] == before
    assert times == {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    shutil.rmtree(folder / "runs" / "3")
    assert sweep(place / "grid.toml")[1] == before


def test_two_workers_find_the_same(place) -> None:
    alone = sweep(place / "grid.toml")[1]
    together = sweep(place / "grid.toml", out=place / "two", workers=2)[1]
    assert together == alone


@pytest.mark.slow
def test_a_sweep_that_is_killed_at_any_moment_loses_nothing(place) -> None:
    whole = sweep(place / "grid.toml", out=place / "whole")[1]
    out, kills = place / "killed", 0
    command = [sys.executable, "-m", "tinyse", "sweep", "grid.toml", "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pause = 0.8
    while kills < 40:
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            assert running.wait(timeout=pause) == 0
            break
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.wait()
            kills, pause = kills + 1, pause * 1.13
        assert not list(out.glob("runs/*/row.json.part"))
    assert kills >= 2
    assert sweep(place / "grid.toml", out=out)[1] == whole
    assert len(rows_of(out)) == 6


def test_a_kill_between_two_trials_loses_none(place) -> None:
    """One waits in the queue, as a kill leaves it that comes before it is begun."""
    import optuna

    plan, out = read_plan(place / "grid.toml"), place / "killed"
    study, choices = open_study(plan, out), plan.choices()
    study.enqueue_trial({key: values[0] for key, values in choices.items()})
    assert study.trials[0].state == optuna.trial.TrialState.WAITING
    rows = sweep(place / "grid.toml", out=out)[1]
    assert rows == sweep(place / "grid.toml", out=place / "whole")[1]


def test_a_large_seed_of_random_trials(place) -> None:
    text = GRID.replace(
        "schema = 1", 'schema = 1\nstrategy = "random"\ntrials = 1\nseed = 20240501'
    )
    (place / "grid.toml").write_text(text)
    assert len(sweep(place / "grid.toml")[1]) == 1


def test_training_without_a_corpus_is_refused_before_the_first_run(place) -> None:
    with pytest.raises(InputError, match="--data: is needed to train"):
        sweep(place / "halving.toml")
    (place / "grid.toml").write_text(GRID.replace('"offline"', '"magnitude"'))
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        sweep(place / "grid.toml", data=place / "nowhere")
    assert not (place / "sweeps").exists()


def test_rows_have_the_gains_of_the_validation_that_was_kept(tmp_path) -> None:
    """The best line of the log may be of a network that was still dense."""
    lines = [
        {"step": 10, "valid_si_sdr_gain": 9.0, "si_sdr_gain_rooms": 8.0},
        {"step": 20, "valid_si_sdr_gain": 5.0, "si_sdr_gain_rooms": 4.0},
        {"step": 30, "valid_si_sdr_gain": 6.0, "si_sdr_gain_rooms": 7.0},
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert trial._of_each_list(log) == {"si_sdr_gain_rooms": 8.0}
    assert trial._of_each_list(log, {"best_step": 20}) == {"si_sdr_gain_rooms": 4.0}
    assert trial._of_each_list(tmp_path / "none.jsonl", {}) == {}


def test_a_run_that_cannot_go_on_as_itself_ends_the_sweep_and_no_row_is_written(
    place, monkeypatch
) -> None:
    fake_training(monkeypatch)

    def refuse(*_, **__):
        raise ResumeRefused("was made with another cores", "run.json", "start a new run")

    sys.modules["tinyse.training.loop"].train = refuse
    with pytest.raises(ResumeRefused):
        sweep(place / "halving.toml", data=place)
    assert not list(place.glob("sweeps/*/runs/*/row.json"))


def test_a_run_that_fails_is_a_row_and_the_sweep_goes_on(place) -> None:
    plan = GRID.replace("[0.9]", "[0.999999]").replace('"weight", "block:4x4"', '"unit"')
    (place / "bad.toml").write_text(plan.replace('"grid"\nc', '"bad"\nc'))
    _, rows = sweep(place / "bad.toml")
    assert [row["state"] for row in rows].count("failed") == 1
    assert "error" in next(row for row in rows if row["state"] == "failed")


def fake_training(monkeypatch, killed_at: int | None = None) -> list:
    """A trainer in place of the real one: the gain of a run is set by its learning rate."""
    calls = []

    def train(recipe, data, run, resume=False, force=False, tell=lambda told: None):
        calls.append((run.name, resume))
        run.mkdir(parents=True, exist_ok=True)
        (run / "run.json").write_text("{}")
        log = run / "log.jsonl"
        lines = log.read_text() if resume and log.exists() else ""
        for step in range(10 * len(lines.splitlines()) + 1, 92):
            tell(None)
            if killed_at is not None and len(calls) == 4 and step == killed_at:
                raise KeyboardInterrupt
            if step % 10 == 0:
                gain = 1e3 * recipe.train.learning_rate * (1 - 1 / step)
                lines += json.dumps({"step": step, "valid_si_sdr_gain": gain}) + "\n"
                log.write_text(lines)
        np.savez(run / "weights.npz", **float_weights(lstm=(8,), dense=(8,), gain=0.8))
        record = {"valid_si_sdr_gain": gain, "steps": 90, "seconds": 1.0}
        (run / "run.json").write_text(json.dumps(record))
        return record

    module = types.ModuleType("tinyse.training.loop")
    module.train = train
    monkeypatch.setitem(sys.modules, "tinyse.training.loop", module)
    return calls


def test_halving_stops_the_poor_and_keeps_the_best(place, monkeypatch) -> None:
    fake_training(monkeypatch)
    folder, rows = sweep(place / "halving.toml", data=place)
    stopped = [row for row in rows if row["state"] == "stopped"]
    assert 3 <= len(stopped) < 9 and all(row["steps"] < 90 for row in stopped)
    best = max(rows, key=lambda row: float(row["train.learning_rate"]))
    assert best["state"] == "done"
    assert len(rows_of(folder)) == 9


def test_halving_goes_on_after_ctrl_c_with_the_same_settings(place, monkeypatch) -> None:
    fake_training(monkeypatch)
    whole = sweep(place / "halving.toml", data=place, out=place / "whole")[1]
    fake_training(monkeypatch, killed_at=15)
    with pytest.raises(KeyboardInterrupt):
        sweep(place / "halving.toml", data=place)
    assert len(rows_of(place / "sweeps" / "halving")) == 3
    calls = fake_training(monkeypatch)
    _, rows = sweep(place / "halving.toml", data=place)
    assert calls[0] == ("3", True) and len(calls) == 6
    assert rows == whole


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "grid"', "", "missing required field `name`"),
        ('"compress.levels"', '"compress.level"', "did you mean levels?"),
        ("[0.9]]", "[1.5]]", "levels"),
        ("[[0.5], [0.75], [0.9]]", "[]", "expected different values"),
        ("[[0.5], [0.75], [0.9]]", "{ low = 0.1, high = 0.5 }", "a grid takes lists"),
        ('"small"', '"nobody"', "there is no such"),
        ("schema = 1", "schema = 1\ntrials = 3", "a grid has its own number"),
        ("schema = 1", 'schema = 1\nstrategy = "random"', "random needs it"),
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "shema = 1", "unknown field `shema`, did you mean schema?"),
        ("[keys]", '[keys]\n"compress.method" = ["learned"]', "[keys] and in [set]"),
        ("schema = 1", "schema = ", "is not TOML"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line_and_nothing_is_written(place, old, new, said) -> None:
    assert old in GRID
    (place / "grid.toml").write_text(GRID.replace(old, new))
    before = sorted(place.rglob("*"))
    done = CliRunner().invoke(main, ["sweep", "grid.toml"])
    assert done.exit_code == 2, done.output
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert sorted(place.rglob("*")) == before


def test_a_folder_of_another_sweep_is_refused(place) -> None:
    sweep(place / "grid.toml")
    (place / "grid.toml").write_text(GRID.replace("[0.9]", "[0.8]"))
    with pytest.raises(InputError, match=r"another SWEEP\.toml"):
        sweep(place / "grid.toml")


def test_random_trials_are_a_function_of_seed_and_number(place) -> None:
    text = GRID.replace("schema = 1", 'schema = 1\nstrategy = "random"\ntrials = 5')
    text = text.replace("[[0.5], [0.75], [0.9]]", "[[0.5], [0.75]]")
    text += '"compress.floor" = { low = 0.1, high = 0.5 }\n'
    (place / "grid.toml").write_text(text)
    first = sweep(place / "grid.toml")[1]
    assert sweep(place / "grid.toml", out=place / "again")[1] == first
    floors = [float(row["compress.floor"]) for row in first]
    assert len(set(floors)) == 5 and all(0.1 <= floor <= 0.5 for floor in floors)


def test_the_command_writes_table_and_report(place) -> None:
    pytest.importorskip("vl_convert")
    done = CliRunner().invoke(main, ["sweep", "grid.toml", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert len(document["rows"]) == 6 and document["schema"] == 1
    assert "Sweep grid" in (place / "sweeps" / "grid" / "report.html").read_text("utf-8")


def test_without_optuna_the_extra_is_named(place, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[sweep\]"):
        sweep(place / "grid.toml")
    assert not (place / "sweeps").exists()


@pytest.mark.parametrize("wrong", [{"where": "cloud"}, {"workers": 0}], ids=str)
def test_a_place_that_cannot_be_is_refused_before_anything_is_written(place, wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        sweep(place / "grid.toml", **wrong)
    assert not (place / "sweeps").exists()


def test_a_sweep_whose_runs_all_failed_has_no_report(place) -> None:
    pytest.importorskip("vl_convert")
    plan = GRID.replace("[0.5], [0.75], [0.9]", "[0.999999]").replace(
        '"weight", "block:4x4"', '"unit"'
    )
    (place / "grid.toml").write_text(plan)
    done = CliRunner().invoke(main, ["sweep", "grid.toml", "--json"])
    assert done.exit_code == 0, done.output
    assert [row["state"] for row in json.loads(done.stdout)["rows"]] == ["failed"]
    assert done.stderr.startswith("no report: ") and "holds no run" in done.stderr


@pytest.mark.slow
def test_a_real_training_is_swept(place, tiny_corpus, monkeypatch) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    text = HALVING.replace('strategy = "halving"\ntrials = 9\n', "")
    text = text.replace("{ low = 1e-4, high = 1e-2, log = true }", "[0.001]")
    text = text.replace("[1, 2, 3]", "[1, 2]").replace("[halving]\nleast_steps = 10\nfactor = 3", (
        '[set]\n"train.batch" = 2\n"train.frames" = 20\n"train.steps_per_epoch" = 2\n'
        '"train.epochs" = 1'
    ))  # fmt: skip
    text = text.replace("[set]", 'evaluate = "mixtures_valid.csv"\n\n[set]')
    (place / "real.toml").write_text(text)
    _, rows = sweep(place / "real.toml", data=tiny_corpus)
    assert [row["state"] for row in rows] == ["done", "done"]
    assert all("sdr_gain" in row and "valid_si_sdr_gain" in row for row in rows)


CASES = """
schema = 1
name = "cases"
command = "compress"
source = "small"

[set]
"compress.method" = "offline"
"compress.levels" = [0.5]

[cases]
"as it is" = {}
"blocks in order" = { "compress.permute" = false }
"single weights" = { "compress.structure" = "weight", "compress.levels" = [0.75] }
"""


def test_cases_are_one_run_each_under_their_name(place) -> None:
    (place / "cases.toml").write_text(CASES)
    _, rows = sweep(place / "cases.toml")
    found = {json.loads(row["case"]): row["sparsity"] for row in rows}
    assert list(found) == ["as it is", "blocks in order", "single weights"]
    assert found["single weights"] == pytest.approx(0.75, abs=0.01)
    assert found["as it is"] == pytest.approx(0.5, abs=0.05)


def test_a_value_may_be_a_table(place) -> None:
    by_hand = '"budgets by hand" = { "compress.budgets" = { "*" = 0.5, "mask/*" = 0.25 } }\n'
    (place / "cases.toml").write_text(CASES + by_hand)
    plan = read_plan(place / "cases.toml")
    (line,) = [x for x in plan.overrides({"case": '"budgets by hand"'}) if "budgets" in x]
    assert tomllib.loads(line) == {"compress": {"budgets": {"*": 0.5, "mask/*": 0.25}}}


def test_every_level_of_a_run_is_measured_and_a_row(place, tiny_corpus) -> None:
    text = GRID.replace('"weight", "block:4x4"', '"weight"')
    text = text.replace("[[0.5], [0.75], [0.9]]", "[[0.5, 0.75, 0.9]]")
    scored = 'evaluate = "mixtures_valid.csv"\nrows = 6\nagainst = "small:float"\n\n[set]'
    (place / "grid.toml").write_text(text.replace("[set]", scored))
    folder, (row,) = sweep(place / "grid.toml", data=tiny_corpus)
    table = rows_of(folder)
    assert [float(line["sparsity"]) for line in table] == pytest.approx([0.5, 0.75, 0.9], abs=0.01)
    assert {line["number"] for line in table} == {"0"}
    assert row["sdr_loss"] == float(table[-1]["sdr_loss"])
    for line in table:
        assert (
            float(line["sdr_loss_low"]) <= float(line["sdr_loss"]) <= float(line["sdr_loss_high"])
        )
    evaluated = json.loads((folder / "runs/0/levels/0.5/evaluate.json").read_text())
    assert evaluated["against"]["model"] == "small"
    assert evaluated["against"]["runtime"] == "keras_model"
    (folder / "runs" / "0" / "row.json").unlink()
    before = (folder / "runs/0/evaluate.json").stat().st_mtime_ns
    assert sweep(place / "grid.toml", data=tiny_corpus)[1] == [row]
    assert (folder / "runs/0/evaluate.json").stat().st_mtime_ns == before


def test_the_c_runtime_scores_what_tflm_scores(place, tiny_corpus) -> None:
    pytest.importorskip("tflite_micro")
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    text = GRID.replace('"weight", "block:4x4"', '"weight"').replace(
        "[0.5], [0.75], [0.9]", "[0.5]"
    )
    found = []
    for runtime in ("tflm", "native"):
        scored = f'evaluate = "mixtures_valid.csv"\nrows = 4\nruntime = "{runtime}"\n\n[set]'
        plan = text.replace("[set]", scored).replace('"grid"', f'"{runtime}"')
        (place / "grid.toml").write_text(plan)
        folder, (row,) = sweep(place / "grid.toml", data=tiny_corpus)
        assert json.loads((folder / "runs/0/evaluate.json").read_text())["runtime"] == runtime
        found.append((row["sdr_gain"], row["si_sdr_gain"]))
    assert found[0] == found[1]


@pytest.mark.parametrize("line", ['evaluate = "nobody.csv"', 'against = "nobody:float"'])
def test_what_cannot_be_measured_is_refused_before_the_first_run(place, tiny_corpus, line) -> None:
    (place / "grid.toml").write_text(GRID.replace("[set]", f"{line}\n\n[set]"))
    with pytest.raises(InputError, match="nobody"):
        sweep(place / "grid.toml", data=tiny_corpus)
    assert not (place / "sweeps").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"as it is" = {}', '"as it is" = { "compress.permut" = false }', "did you mean permute"),
        ("schema = 1", 'schema = 1\nruntime = "cortex"', "runtime"),
        ("[cases]", '[keys]\n"train.seed" = [1]\n[cases]', "cases: stand alone"),
    ],
)
def test_cases_that_cannot_be_are_refused(place, old, new, said) -> None:
    (place / "cases.toml").write_text(CASES.replace(old, new))
    with pytest.raises(InputError, match=said):
        sweep(place / "cases.toml")
