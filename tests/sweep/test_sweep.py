"""Sweeps: what a plan may say, that every run comes once, and that a killed sweep goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import ROOT
from tests.network_maker import float_weights
from tests.sweep.plans import GRID, HALVING, rows_of
from tinyse.audio.io import BadAudio
from tinyse.cli import main
from tinyse.errors import InputError, MachineFault, MissingExtra, ResumeRefused, Unavailable
from tinyse.sweep import sweep, trial
from tinyse.sweep.measures import Measuring
from tinyse.sweep.plan import read_plan
from tinyse.sweep.study import open_study

pytest.importorskip("optuna")


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


def test_workers_share_the_cores_out_however_few_runs_are_left(place, monkeypatch) -> None:
    told = {}

    def in_no_pool(function, items, where, workers, progress, **shared):
        told[len(items)] = shared
        return [function(item) for item in items]

    monkeypatch.setattr("tinyse.sweep.map_tasks", in_no_pool)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    folder, _ = sweep(place / "grid.toml", workers=3)
    shutil.rmtree(folder / "runs" / "5")
    sweep(place / "grid.toml", workers=3)
    assert told == {left: {"apart": True, "threads": 2} for left in (6, 1)}


@pytest.mark.slow
def test_a_sweep_that_is_killed_at_any_moment_loses_nothing(place) -> None:
    whole = sweep(place / "grid.toml", out=place / "whole")[1]
    out, kills = place / "killed", 0
    command = [sys.executable, "-m", "tinyse", "sweep", "grid.toml", "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pause = 0.3
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


@pytest.mark.parametrize(
    ("data", "says"), [("nowhere", "there is no such folder"), ("small", "manifest.csv: cannot be")]
)
def test_a_corpus_that_cannot_be_read_is_refused_before_the_first_run(place, data, says) -> None:
    """Pruning without training hears it too, and every run would fail for good."""
    (place / "grid.toml").write_text(GRID.replace('"compress.resolve" = false', ""))
    with pytest.raises(InputError, match=says):
        sweep(place / "grid.toml", data=place / data)
    (place / "grid.toml").write_text(GRID)
    if data == "small":  # nothing is heard, and a list may be all that is there
        assert len(sweep(place / "grid.toml", data=place / data)[1]) == 6


def test_lists_are_read_before_the_first_run(place, tiny_corpus) -> None:
    plan = HALVING + '"data.valid_list" = ["mixtures_valid.csv", "nobody.csv"]\n'
    (place / "halving.toml").write_text(plan)
    with pytest.raises(InputError, match="nobody"):
        sweep(place / "halving.toml", data=tiny_corpus)
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


@pytest.mark.parametrize(
    "error",
    [
        ResumeRefused("was made with another cores", "run.json", "start a new run"),
        MachineFault("the mixing process died", "feed"),
        Unavailable("cannot be written (No space left on device)", "last.npz"),
        BadAudio("cannot be read (Input/output error)", "a.opus", "check the path"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_setting_is_to_blame_for_ends_the_sweep_and_no_row_is_written(
    place, tiny_corpus, monkeypatch, error
) -> None:
    fake_training(monkeypatch)

    def refuse(*_, **__):
        raise error

    sys.modules["tinyse.training.loop"].train = refuse
    with pytest.raises(type(error)):
        sweep(place / "halving.toml", data=tiny_corpus)
    assert not list(place.glob("sweeps/*/runs/*/row.json"))
    fake_training(monkeypatch)
    assert len(sweep(place / "halving.toml", data=tiny_corpus)[1]) == 9


def test_a_full_disk_while_a_run_is_measured_ends_the_sweep(place, monkeypatch) -> None:
    def full(*_):
        raise Unavailable("cannot be written (No space left on device)", "inspect.json")

    with monkeypatch.context() as patched:
        patched.setattr(Measuring, "run", full)
        with pytest.raises(Unavailable):
            sweep(place / "grid.toml")
    assert not list(place.glob("sweeps/*/runs/*/row.json"))
    assert [row["state"] for row in sweep(place / "grid.toml")[1]] == ["done"] * 6


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


def test_halving_stops_the_poor_and_keeps_the_best(place, tiny_corpus, monkeypatch) -> None:
    fake_training(monkeypatch)
    folder, rows = sweep(place / "halving.toml", data=tiny_corpus)
    stopped = [row for row in rows if row["state"] == "stopped"]
    assert 3 <= len(stopped) < 9 and all(row["steps"] < 90 for row in stopped)
    best = max(rows, key=lambda row: float(row["train.learning_rate"]))
    assert best["state"] == "done"
    assert len(rows_of(folder)) == 9


def test_halving_goes_on_after_ctrl_c_with_the_same_settings(
    place, tiny_corpus, monkeypatch
) -> None:
    fake_training(monkeypatch)
    whole = sweep(place / "halving.toml", data=tiny_corpus, out=place / "whole")[1]
    fake_training(monkeypatch, killed_at=15)
    with pytest.raises(KeyboardInterrupt):
        sweep(place / "halving.toml", data=tiny_corpus)
    assert len(rows_of(place / "sweeps" / "halving")) == 3
    calls = fake_training(monkeypatch)
    _, rows = sweep(place / "halving.toml", data=tiny_corpus)
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


def test_a_sweep_whose_runs_all_failed_has_no_report_and_ends_with_1(place) -> None:
    pytest.importorskip("vl_convert")
    plan = GRID.replace("[0.5], [0.75], [0.9]", "[0.999999]").replace(
        '"weight", "block:4x4"', '"unit"'
    )
    (place / "grid.toml").write_text(plan)
    done = CliRunner().invoke(main, ["sweep", "grid.toml", "--json"])
    assert done.exit_code == 1, done.output
    assert [row["state"] for row in json.loads(done.stdout)["rows"]] == ["failed"]
    says = f"error: {place / 'sweeps' / 'grid'}: 1 of 1 runs failed; see the errors in table.csv"
    assert done.stderr.splitlines() == [says]
    assert not (place / "sweeps" / "grid" / "report.html").exists()


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
