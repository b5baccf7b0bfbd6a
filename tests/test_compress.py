"""Offline runs, byte budgets, and what is refused; nothing here needs Keras."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse.audit import all_accounts, matrices
from tinyse.cli import main
from tinyse.compress.offline import bytes_of
from tinyse.export import export_model
from tinyse.quant import quantise_network, read_weights
from tinyse.recipe import read_recipe
from tinyse.sparsity.groups import halves, live_groups, parse_structure
from tinyse.tflite.check import load

RECIPE = """
schema = 1
name = "tiny"
[network]
lstm = [64, 48]
dense = [32]
"""
SIZES = (64, 48), (32,)
LEVELS = (0.5, 0.75, 0.85, 0.9, 0.95, 0.97)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a finished float run in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYSE_DATA", raising=False)
    (tmp_path / "float").mkdir()
    (tmp_path / "float" / "recipe.toml").write_text(RECIPE)
    np.savez(tmp_path / "float" / "weights.npz", **float_weights(*SIZES))
    return tmp_path


def call(*words, code=0):
    done = CliRunner().invoke(main, ["compress", "float", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


def test_another_seed_than_the_sources_unless_told(place):
    asked = ["--structure", "weight", "--sparsity", 0.5, "--method", "offline"]
    for told, run, seed in (((), "next", 2), (("--seed", 1), "same", 1)):
        call(*asked, *told, "-o", run)
        assert read_recipe(place / run / "recipe.toml").train.seed == seed


def test_shares_by_hand_that_come_to_less_are_refused_before_training(place):
    asked = ["--structure", "weight", "--sparsity", 0.8, "--method", "magnitude"]
    given = ["--set", 'compress.budgets={"*"=0.5}', "--data", place, "-o", "run"]
    said = call(*asked, *given, code=2).output
    assert "compress.budgets: come to a sparsity of 0.5000, asked is 0.8; ask for less" in said
    assert not (place / "run").exists()


def test_a_budget_of_bytes_and_shares_by_hand_exclude_each_other(place):
    asked = ["--structure", "weight", "--budget", 300_000, "--account", "native"]
    given = ["--method", "offline", "--set", 'compress.budgets={"mask/*"=0.5}']
    assert "compress.budgets: shares by hand leave nothing" in call(*asked, *given, code=2).output


def test_levels_of_a_run_that_is_overwritten_go(place):
    words = ["--structure", "weight", "--method", "offline", "-o", "run"]
    call(*words, "--levels", "0.5,0.75")
    call(*words, "--levels", "0.6", "--force")
    assert [path.name for path in (place / "run" / "levels").iterdir()] == ["0.6"]


def test_what_was_made_of_a_run_that_is_overwritten_goes(place):
    words = ["--structure", "weight", "--method", "offline", "-o", "run", "--sparsity"]
    call(*words, 0.5)
    exported = CliRunner().invoke(main, ["export", "run", "--pack", "native"])
    assert exported.exit_code == 0, exported.output
    made = ("evaluate.json", "inspect.json", "bench.json", "profile.json", "profile_sram.json")
    for name in (*made, "log.jsonl", "notes.txt"):
        (place / "run" / name).write_text("{}")
    for name in ("state", "events", "control"):  # of a run that was trained
        (place / "run" / name).mkdir()
    call(*words, 0.9, "--force")
    left = {path.name for path in (place / "run").iterdir()}
    assert left == {"levels", "recipe.toml", "run.json", "weights.npz", "notes.txt"}


def test_what_lies_where_no_run_says_so_is_not_overwritten_either(place):
    (place / "run").mkdir()
    np.savez(place / "run" / "weights.npz", **float_weights((8,), ()))
    (place / "run" / "profile.json").write_text("{}")
    words = ["--structure", "weight", "--method", "offline", "-o", "run", "--sparsity", 0.5]
    assert "run: holds a run already" in call(*words, code=2).stderr
    call(*words, "--force")
    assert not (place / "run" / "profile.json").exists()


@pytest.mark.parametrize("method", ["offline", "magnitude"])
def test_a_run_does_not_take_the_place_of_what_it_is_made_from(place, method):
    words = ["--method", method, *(["--data", place] if method == "magnitude" else [])]
    words += ["--structure", "weight", "--sparsity", 0.5, "--force", "-o"]
    before = (place / "float" / "weights.npz").read_bytes()
    says = "float: holds the network that it is made from; give another folder"
    assert says in call(*words, "float", code=2).stderr
    assert says in call(*words, place / "runs" / ".." / "float", code=2).stderr
    assert (place / "float" / "weights.npz").read_bytes() == before
    (place / "run" / "levels").mkdir(parents=True)
    (place / "float").rename(place / "run" / "levels" / "0.5")
    (place / "float").symlink_to(place / "run" / "levels" / "0.5")
    assert "run: holds the network" in call(*words, "run", code=2).stderr
    (place / "teacher").mkdir()
    np.savez(place / "teacher" / "weights.npz", **float_weights(*SIZES))
    if method == "magnitude":
        named = ["--set", "compress.teacher=teacher"]
        assert "teacher: holds the network" in call(*words, "teacher", *named, code=2).stderr


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "block:3x5"])
def test_a_curve_from_one_command_is_exact_to_the_group(place, structure):
    asked = ",".join(map(str, LEVELS))
    call("--structure", structure, "--levels", asked, "--method", "offline", "-o", "run")
    record = json.loads((place / "run" / "run.json").read_text())
    for level, found in zip(LEVELS, record["levels"], strict=True):
        folder = place / "run" / "levels" / f"{level:g}"
        dead, groups = dead_groups(folder, structure)
        asked = int(level * groups + 0.5)
        assert found["sparsity"] == 1 - (groups - asked) / groups
        # Of single weights that stay, those below half a step of int8 are zero in the file too.
        small = dead - asked if structure == "weight" else 0
        assert dead == asked + small and 0 <= small < 0.001 * groups


def dead_groups(folder, structure) -> tuple[int, int]:
    """Groups of the exported file that are zero, and all."""
    arrays = [
        array
        for layer in quantise_network(read_weights(folder / "weights.npz"), "x").layers
        for _, array in matrices(layer)
    ]
    live = [live_groups(parse_structure(structure), array) for array in arrays]
    return sum(int((~each).sum()) for each in live), sum(each.size for each in live)


def test_a_curve_of_units_is_exact_to_the_unit(place):
    asked = ",".join(map(str, LEVELS))
    call("--structure", "unit", "--levels", asked, "--method", "offline", "-o", "run")
    record = json.loads((place / "run" / "run.json").read_text())
    before = sum(matrix.size for matrix in halves(float_weights(*SIZES)).values())
    for level, found in zip(LEVELS, record["levels"], strict=True):
        folder = place / "run" / "levels" / f"{level:g}"
        layers = quantise_network(read_weights(folder / "weights.npz"), "x").layers
        left = sum(array.size for layer in layers for _, array in matrices(layer))
        assert found["sparsity"] == pytest.approx(1 - left / before, abs=1e-12)
        widest = 4 * (128 + 64 + 64 + 48)  # what the largest unit takes along
        assert level <= found["sparsity"] < level + widest / before
        table = read_recipe(folder / "recipe.toml").network
        assert table.lstm + table.dense == tuple(layer.units for layer in layers[:-1])


def test_survivors_are_solved_for_where_there_is_data(place, tiny_corpus, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    recipe = place / "float" / "recipe.toml"
    recipe.write_text(RECIPE + "[train]\nframes = 30\n[mixing]\nrooms = 2\n")
    words = ["--structure", "block:4x4", "--sparsity", 0.6, "--method", "offline"]
    words += ["--data", tiny_corpus]
    call(*words, "-o", "solved")
    call(*words, "-o", "plain", "--no-resolve")
    records = [json.loads((place / x / "run.json").read_text()) for x in ("solved", "plain")]
    assert [record["solved_again"] for record in records] == [True, False]
    assert dead_groups(place / "solved", "block:4x4") == dead_groups(place / "plain", "block:4x4")
    original, plain = (
        np.sort(np.abs(np.load(place / x / "weights.npz")["lstm_0/kernel"]), axis=None)
        for x in ("float", "plain")
    )
    assert np.isin(plain[plain > 0], original).all()


def test_energy_is_heard_where_nothing_is_solved_for(place, tiny_corpus, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    recipe = place / "float" / "recipe.toml"
    recipe.write_text(RECIPE + "[train]\nframes = 30\n[mixing]\nrooms = 2\n")
    words = ["--structure", "weight", "--method", "offline", "--data", tiny_corpus, "--no-resolve"]
    original, shares = float_weights(*SIZES), {}
    for way in ("table", "energy"):
        call(*words, "--sparsity", 0.6, "--set", f"compress.share_by={way}", "-o", way)
        assert not json.loads((place / way / "run.json").read_text())["solved_again"]
        with np.load(place / way / "weights.npz") as file:
            found = file["lstm_0/kernel"]
        assert np.array_equal(found[found != 0], original["lstm_0/kernel"][found != 0])
        shares[way] = (found == 0).mean()
    assert abs(shares["energy"] - shares["table"]) > 0.01
    budget = ["--budget", 30000, "--account", "bound", "--set", "compress.share_by=energy"]
    call(*words, *budget, "-o", "run")
    spent = json.loads((place / "run" / "run.json").read_text())["budget"]
    assert 0.97 * 30000 <= spent["bytes"] <= 30000


def test_a_budget_is_kept_after_solving(place, tiny_corpus, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    recipe = place / "float" / "recipe.toml"
    recipe.write_text(RECIPE + "[train]\nframes = 30\n[mixing]\nrooms = 2\n")
    words = ["--structure", "weight", "--method", "offline", "--data", tiny_corpus]
    call(*words, "--budget", 30000, "--account", "bound", "-o", "run")
    spent = json.loads((place / "run" / "run.json").read_text())["budget"]
    export_model(place / "run", place / "run")
    found = all_accounts(load(place / "run" / "model.tflite"))["bound"]
    assert spent == {"account": "bound", "limit_bytes": 30000, "bytes": found}
    assert 0.9 * 30000 <= found <= 30000


def test_offline_starts_no_keras():
    """It would cost seconds here, and as many again in every worker that prunes."""
    script = (
        "import sys; from tinyse.compress import offline;"
        " sys.exit(bool({'keras', 'tensorflow', 'jax'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_units_leave_a_smaller_network(place):
    call("--structure", "unit", "--sparsity", 0.5, "--method", "offline", "-o", "run")
    network = read_weights(place / "run" / "weights.npz")
    assert all(layer.units < 64 for layer in network.layers[:-1])
    export_model(place / "run", place / "run")


@pytest.mark.parametrize("structure", ["weight", "block:4x4", "unit"])
def test_a_sparsity_of_nothing_leaves_every_group(place, structure):
    call("--structure", structure, "--sparsity", 0, "--method", "offline", "-o", "run")
    record = json.loads((place / "run" / "run.json").read_text())
    assert [level["sparsity"] for level in record["levels"]] == [0.0]
    before, after = (dict(np.load(place / run / "weights.npz")) for run in ("float", "run"))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_budget_in_bytes_is_kept_and_used(place):
    words = ["--structure", "weight", "--method", "offline", "-o", "run"]
    call(*words, "--budget", 30000, "--account", "bound")
    export_model(place / "run", place / "run")
    found = all_accounts(load(place / "run" / "model.tflite"))["bound"]
    assert 0.97 * 30000 <= found <= 30000


def test_bytes_of_a_gru_are_those_of_the_form_that_it_has(place):
    np.savez(place / "float" / "weights.npz", **float_weights((), (32,), gru=(48,)))
    words = ["--structure", "weight", "--method", "offline", "-o", "run"]
    call(*words, "--budget", 25000, "--account", "zip")
    file = export_model(place / "run", place / "run", "step16x8", name="budget")
    assert 0.97 * 25000 <= all_accounts(load(file))["zip"] <= 25000


def test_an_account_that_a_gru_does_not_have_is_refused_before_training(place):
    np.savez(place / "float" / "weights.npz", **float_weights((), (32,), gru=(48,)))
    words = ["--structure", "weight", "--budget", 30000, "--account", "native", "-o", "run"]
    assert "gru_0: GRU in basic operators" in call(*words, "--data", place, code=2).stderr
    assert not (place / "run").exists()


def test_the_run_says_what_it_was_made_from(place):
    call("--structure", "block:4x4", "--sparsity", 0.5, "--method", "offline")
    run = place / "runs" / "tiny-block4x4-0.5-offline"
    assert 'source = "float"' in (run / "recipe.toml").read_text()
    assert 'structure = "block:4x4"' in (run / "recipe.toml").read_text()


COARSE = ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.weight_bits=5")
REFUSED = {
    "no such run": (("--structure", "unit", "--sparsity", 0.5), "there is no such run or model"),
    "nothing asked": (("--structure", "weight"), "give one of --sparsity"),
    "too much asked": (("--structure", "weight", "--sparsity", 0.5, "--levels", "0.5"), "not "),
    "structure": (("--structure", "blocks", "--sparsity", 0.5), "expected weight, block:"),
    "block": (("--structure", "block:65x1", "--sparsity", 0.5), "lstm_0/kernel/i: a block of 65x1"),
    "sparsity of one": (("--structure", "weight", "--sparsity", 1), "below 1, got 1; give a share"),
    "sparsity in percent": (
        ("--structure", "weight", "--sparsity", 50),
        "error: --sparsity: expected a share of the groups below 1, got 50; give a share, 0.5 for",
    ),
    "no sparsity": (("--structure", "weight", "--sparsity", "nan"), "--sparsity: expected a share"),
    "sparsity": (("--structure", "block:8x8", "--sparsity", 0.995), "largest that can be reached"),
    "empty layer": (
        ("--structure", "unit", "--sparsity", 0.999),
        "without units; the largest that",
    ),
    "budget": (
        ("--structure", "weight", "--budget", 10, "--account", "zip"),
        "10 bytes (zip) cannot be reached; the smallest is",
    ),
    "account": (("--structure", "weight", "--budget", 10, "--account", "size"), "use fp32, tflite"),
    "no account": (("--structure", "weight", "--budget", 10), "belong together"),
    "levels": (("--structure", "weight", "--levels", "0.5,many"), "compress.levels"),
    "a level twice": (
        ("--structure", "weight", "--levels", "0.5,0.9,0.50000001"),
        "compress.levels: 2 of them are level 0.5; give each once",
    ),
    "a level of one": (
        ("--structure", "weight", "--levels", "0.5,0.99999999"),
        "compress.levels: 1 of them are level 1; give each once, to six digits, below 1",
    ),
    "shares by hand that come to less": (
        ("--structure", "weight", "--sparsity", 0.8, "--set", 'compress.budgets={"*"=0.5}'),
        "compress.budgets: come to a sparsity of 0.5000, asked is 0.8; ask for less",
    ),
    "key": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.stps=3"),
        "compress.stps: unknown key, did you mean steps?",
    ),
    "by hand": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", 'compress.budgets={"gru*"=0.5}'),
        "gru*: fits no matrix of the network; the names are lstm_0/kernel/i",
    ),
    "a scan without training": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.share_by='scan'"),
        "compress.share_by: a scan is made by training methods",
    ),
    "energy without sound": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.share_by='energy'"),
        "compress.share_by: energy is that of mixtures; give --data",
    ),
    "bits": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.weight_bits=9"),
        "compress.weight_bits",
    ),
    "bits in float": (
        (*COARSE, "--set", "compress.int8=false"),
        "compress.weight_bits: 5 bits are learned together with int8",
    ),
    "shares by hand of nothing": (
        ("--structure", "weight", "--sparsity", 0, "--set", 'compress.budgets={"*"=0.5}'),
        "compress.budgets: shares by hand, where nothing is to go",
    ),
    "an option twice": (
        ("--structure", "weight", "--sparsity", 0.5, "--set", "compress.structure=unit"),
        "compress.structure has an option of its own",
    ),
    "units by energy": (
        ("--structure", "unit", "--sparsity", 0.5, "--set", "compress.share_by='energy'"),
        "energy does not serve units",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_is_refused_in_one_line(place, case):
    words, says = REFUSED[case]
    if case == "no such run":
        (place / "float").rename(place / "elsewhere")
    before = sorted(place.rglob("*"))
    done = call(*words, "--method", "offline", "-o", "run", code=2)
    assert len(done.stderr.splitlines()) == 1 and says in done.stderr, done.stderr
    assert done.stdout == "" and sorted(place.rglob("*")) == before


def test_weights_of_fewer_bits_are_cheaper_in_a_coded_stream(place):
    words = ("--structure", "weight", "--sparsity", 0.5, "--method", "offline")
    found = {}
    for bits in (8, 5):
        call(*words, "--set", f"compress.weight_bits={bits}", "-o", f"bits{bits}")
        arrays = dict(np.load(place / f"bits{bits}" / "weights.npz"))
        found[bits] = bytes_of(arrays, "npu_weights")
    assert found[5] < 0.85 * found[8]
    for column in arrays["mask/kernel"].T:
        assert len(np.unique(np.abs(column))) <= 16


def test_what_is_learned_is_not_given_by_hand(place):
    by_hand = 'compress.budgets={"lstm_0*"=0.5}'
    done = call("--structure", "weight", "--sparsity", 0.5, "--set", by_hand, code=2)
    assert "compress.budgets: learned thresholds find every share themselves" in done.stderr


def test_a_method_that_trains_needs_data(place):
    done = call("--structure", "weight", "--sparsity", 0.5, "--method", "magnitude", code=2)
    assert "--data: is needed by this method" in done.stderr


def test_calibration_hears_what_training_hears():
    pytest.importorskip("tensorflow")
    from tests.network.gradients import batch
    from tinyse.compress.mixtures import features_of
    from tinyse.features import Normalisation
    from tinyse.network import features_in_graph as graph
    from tinyse.training.losses import mixed

    statistics = Normalisation(np.full(128, -40, np.float32), np.full(128, 12, np.float32))
    drawn = batch()
    expected = np.asarray(graph.feature_frames(mixed(drawn)[0], statistics.mean, statistics.std))
    found = features_of(statistics, drawn)[:, 1 : 1 + expected.shape[1]]
    # Frames at the ends, which the graph leaves out, count in the levels here.
    assert np.abs(found - expected).mean() < 0.02


def test_a_run_is_not_overwritten(place):
    words = ["--structure", "weight", "--sparsity", 0.5, "--method", "offline", "-o", "run"]
    call(*words)
    says = "run: holds a run already; use --force or another folder"  # nothing can be resumed
    assert says in call(*words, code=2).stderr
    call(*words, "--force")


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("sizes", [((9, 5), ()), ((7,), (6,)), ((64, 48), (32,))])
def test_what_a_refusal_says_can_be_had_can_be_had(place, sizes):
    np.savez(place / "float" / "weights.npz", **float_weights(*sizes))
    for structure in ("unit", "block:4x4", "weight"):
        words = ["--structure", structure, "--method", "offline"]
        said = call(*words, "--sparsity", 0.99999, "-o", "none", code=2).stderr
        largest = re.search(r"largest that can be reached is ([0-9.]+)", said)[1]
        call(*words, "--sparsity", largest, "-o", structure.replace(":", ""))


@pytest.mark.parametrize("sizes", [((5, 3), ()), ((7,), (6,)), ((13, 11), (9,)), ((64, 48), (32,))])
def test_units_of_a_budget_of_bytes(place, sizes):
    np.savez(place / "float" / "weights.npz", **float_weights(*sizes))
    words = ["--structure", "unit", "--method", "offline", "--account", "dense", "-o", "run"]
    smallest = call(*words, "--budget", 10, code=2).stderr
    least = int(re.search(r"the smallest is ([0-9,]+)", smallest)[1].replace(",", ""))
    call(*words, "--budget", least)
    assert json.loads((place / "run" / "run.json").read_text())["budget"]["bytes"] == least


@pytest.fixture
def control(monkeypatch):
    """A trainer in place of the real one: what it was asked, and a kill in its first call."""
    calls = []

    def train(recipe, data, run, resume=False, force=False, tell=lambda told: None):
        calls.append((recipe.name, resume, force))
        run.mkdir(exist_ok=True)
        (run / "run.json").write_text("{}")
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"steps": 7, "valid_si_sdr_gain": 1.5}

    module = types.ModuleType("tinyse.training.loop")
    module.train = train
    monkeypatch.setitem(sys.modules, "tinyse.training.loop", module)
    return calls


def test_a_control_that_was_killed_goes_on(place, tiny_corpus, control):
    words = ["--structure", "unit", "--sparsity", 0.5, "--method", "offline", "-o", "run"]
    words += ["--no-resolve", "--data", tiny_corpus, "--control"]
    call(*words, code=130)
    assert "use --control --resume, --force" in call(*words, code=2).stderr
    weights = place / "run" / "weights.npz"
    pruned = weights.stat().st_mtime_ns
    call(*words, "--resume")
    assert weights.stat().st_mtime_ns == pruned
    assert [(resume, force) for _, resume, force in control] == [(False, False), (True, False)]
    record = json.loads((place / "run" / "run.json").read_text())
    assert record["control"]["steps"] == 7 and len(record["levels"]) == 1
    other = call(*words, "--set", "compress.floor=0.1", "--resume", code=2)
    assert "was made with another recipe_sha256" in other.stderr
    call(*words, "--resume", "--force")
    assert control[-1][1:] == (True, True)
    call(*words, "--force")  # anew, and so is its control
    assert control[-1][1:] == (False, True)


def test_a_folder_of_others_is_no_run_that_was_killed(place, tiny_corpus, control):
    (place / "run").mkdir()
    np.savez(place / "run" / "weights.npz", **float_weights((8,), ()))
    before = (place / "run" / "weights.npz").read_bytes()
    words = ["--structure", "unit", "--sparsity", 0.6, "--method", "offline", "-o", "run"]
    words += ["--no-resolve", "--data", tiny_corpus, "--control", "--resume"]
    assert "holds a run already" in call(*words, code=2).stderr
    assert (place / "run" / "weights.npz").read_bytes() == before


def test_a_control_needs_its_corpus_before_pruning(place, tiny_corpus):
    words = ["--structure", "unit", "--sparsity", 0.6, "--method", "offline", "-o", "run"]
    assert (
        "manifest.csv" in call(*words, "--no-resolve", "--data", place, "--control", code=2).stderr
    )
    assert not (place / "run").exists()


def test_pruning_that_was_killed_begins_again(place, tiny_corpus, control, monkeypatch):
    killed = ["--structure", "unit", "--sparsity", 0.6, "--method", "offline", "-o", "run"]
    killed += ["--no-resolve", "--data", tiny_corpus, "--control"]
    with monkeypatch.context() as patched:
        patched.setattr("tinyse.compress._write", interrupted)
        call(*killed, code=130)
    assert (place / "run" / "run.json").exists()
    (place / "run" / "levels" / "0.5").mkdir(parents=True)
    words = ["--structure", "unit", "--sparsity", 0.6, "--method", "offline", "-o", "run"]
    words += ["--no-resolve", "--data", tiny_corpus, "--control", "--resume"]
    call(*words, code=130)
    assert [path.name for path in (place / "run" / "levels").iterdir()] == ["0.6"]
