"""Sweeps over cases, and what is measured of the files that runs make."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest

from tests.network_maker import float_weights
from tests.sweep.plans import CASES, GRID, rows_of
from tinyse.audio.lists import MixtureList
from tinyse.errors import InputError
from tinyse.files import write_json
from tinyse.sweep import sweep
from tinyse.sweep.measures import SCORES, Measuring
from tinyse.sweep.plan import read_plan

pytest.importorskip("optuna")


def test_cases_are_one_run_each_under_their_name(place) -> None:
    _, rows = sweep(place / "cases.toml")
    found = {json.loads(row["case"]): row["sparsity"] for row in rows}
    assert list(found) == ["as it is", "blocks in order", "single weights"]
    assert found["single weights"] == pytest.approx(0.75, abs=0.01)
    assert found["as it is"] == pytest.approx(0.5, abs=0.05)


def test_a_gru_is_measured_in_the_form_that_it_has(place) -> None:
    weights = float_weights(lstm=(), gru=(8,), dense=(8,), gain=0.8)
    np.savez(place / "small" / "weights.npz", **weights)
    recipe = 'name = "small"\n[network]\nlstm = []\ngru = [8]\ndense = [8]\n'
    (place / "small" / "recipe.toml").write_text(recipe)
    folder, rows = sweep(place / "cases.toml")
    assert [row["state"] for row in rows] == ["done"] * 3
    manifest = json.loads((folder / "runs" / "0" / "manifest.json").read_text())
    assert manifest["profile"] == "step16x8"
    assert manifest["files"]["model.tflite"]["bytes"] == rows[0]["tflite_bytes"]


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


def test_a_score_that_no_row_has_is_none(place) -> None:
    scored = 'evaluate = "l.csv"\nagainst = "small:float"\nmetrics = ["sdr", "pesq"]\n\n[set]'
    (place / "grid.toml").write_text(GRID.replace("[set]", scored))
    quality = {"sdr_gain": 1.5, "pesq_gain": None}
    lost = {"sdr_loss": 0.1, "sdr_loss_ci95": [0.0, 0.2]}
    write_json(place / SCORES, {"quality": quality, "against": lost})
    plan, mixtures = read_plan(place / "grid.toml"), MixtureList("l.csv", "", place, ())
    found = Measuring(plan, mixtures, None)._scores(place)
    assert found["pesq_gain"] is None and found["pesq_loss"] is None and found["sdr_loss"] == 0.1


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


EVALUATED = 'evaluate = "mixtures_valid.csv"\n'


@pytest.mark.parametrize(
    "line", ['evaluate = "nobody.csv"', EVALUATED + 'against = "nobody:float"']
)
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
        ("schema = 1", "schema = 1\nrows = 5", "rows: of a list, and `evaluate` names none"),
        ("[cases]", '[keys]\n"train.seed" = [1]\n[cases]', "cases: stand alone"),
    ],
)
def test_cases_that_cannot_be_are_refused(place, old, new, said) -> None:
    (place / "cases.toml").write_text(CASES.replace(old, new))
    with pytest.raises(InputError, match=said):
        sweep(place / "cases.toml")
