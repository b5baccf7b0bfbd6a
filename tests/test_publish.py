"""Publishing: what stands in metrics.json, from one list or several, and what is refused."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import tinyse.publish as publishing
from tinyse.audio.lists import MixtureList, read_list
from tinyse.cli import main
from tinyse.errors import InputError
from tinyse.files import packaged, sha256
from tinyse.publish import add_seed, publish, recount

pytest.importorskip("jinja2")
RECORD = {"seed": 3, "valid_si_sdr_gain": 7.5, "steps": 10}


@pytest.fixture
def run(small_model, tmp_path) -> Path:
    """A finished run, as far as publishing looks at it."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(small_model / "weights.npz", folder)
    (folder / "recipe.toml").write_text(
        'schema = 1\nname = "small"\n[network]\nlstm = [24]\ndense = [16]\n'
    )
    (folder / "run.json").write_text(json.dumps(RECORD))
    (folder / "log.jsonl").write_text("{}\n")
    return folder


@pytest.fixture
def without_tensorflow(monkeypatch) -> None:
    """The file is compared with the oracle instead of the float network, in this process."""

    def evaluated(model, mixtures, runtime, *, against, peers, metrics, **options):
        own = ("wiener",) if peers else ()
        return publishing_evaluate(
            model, mixtures, "oracle", against="oracle", peers=own, metrics=("sdr", "si_sdr"),
            workers=1, **options,
        )  # fmt: skip

    publishing_evaluate = publishing.evaluate
    monkeypatch.setattr(publishing, "evaluate", evaluated)
    behave = partial(publishing.behaviour, runtime="oracle", workers=1, limit=1)
    monkeypatch.setattr(publishing, "behaviour", behave)
    expected = {"tflite": 1, "tflm_arena": 2, "sdr": {}}
    monkeypatch.setattr(publishing, "measured", lambda *_: expected)
    # The rows of the tiny corpus are shorter than what golden vectors are taken from.
    write = lambda file, mixtures, path: path.write_bytes(b"-")  # noqa: E731
    monkeypatch.setattr(publishing, "write_golden", write)


def named(mixtures: MixtureList, name: str) -> MixtureList:
    return MixtureList(name, mixtures.sha256, mixtures.root, mixtures.rows)


def with_seed(run: Path, seed: int, gain: float) -> Path:
    other = run.parent / f"seed_{seed}"
    shutil.copytree(run, other)
    (other / "run.json").write_text(json.dumps(RECORD | {"seed": seed, "valid_si_sdr_gain": gain}))
    recipe = other / "recipe.toml"
    recipe.write_text(recipe.read_text() + f"[train]\nseed = {seed}\n")
    return other


def test_the_best_of_several_seeds_is_published_and_all_are_named(
    run, tmp_path, tiny_corpus, without_tensorflow
) -> None:
    test = read_list(tiny_corpus / "mixtures_test.csv")
    seeds = [with_seed(run, 4, 7.9), with_seed(run, 5, 7.1)]
    metrics = publish(run, tmp_path / "small", test, minutes=2, seeds=seeds)
    assert [line["seed"] for line in metrics["seeds"]] == [4, 3, 5]
    assert metrics["training"]["seed"] == 4
    assert all(line["bytes"] == metrics["bytes"]["tflite"] for line in metrics["seeds"])


def test_a_seed_is_added_to_a_published_model(
    run, tmp_path, tiny_corpus, without_tensorflow
) -> None:
    test, other = (read_list(tiny_corpus / f"mixtures_{split}.csv") for split in ("test", "valid"))
    folder = tmp_path / "small"
    publish(run, folder, test, minutes=2)
    before = (folder / "metrics.json").read_bytes()
    worse, better = with_seed(run, 4, 7.1), with_seed(run, 5, 7.9)
    refused = [(run, test, "line for seed 3"), (worse, other, "is not"), (better, test, "better")]
    for each, listed, why in refused:
        with pytest.raises(InputError, match=why):
            add_seed(each, folder, listed)
    assert (folder / "metrics.json").read_bytes() == before
    metrics = add_seed(worse, folder, test)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert [line["seed"] for line in metrics["seeds"]] == [3, 4]
    card = (folder / "README.md").read_text("utf-8")
    assert "| 4 | 7.100 |" in card and "the best by validation is this model" in card


@pytest.mark.parametrize(
    ("key", "followed"), [("source_sha256", ""), ("teacher_sha256", ""), ("teacher_sha256", "too")]
)
def test_a_better_seed_does_not_replace_what_models_were_made_from(
    run, key, followed, tmp_path, tiny_corpus, without_tensorflow
) -> None:
    test, folder = read_list(tiny_corpus / "mixtures_test.csv"), tmp_path / "models" / "small"
    publish(run, folder, test, minutes=2)
    follower = folder.parent / "sparse"
    follower.mkdir()
    (follower / "metrics.json").write_text("{}")
    made_from = sha256(folder / "weights.npz")
    record = {key: [made_from, followed] if followed else made_from}
    (follower / "run.json").write_text(json.dumps(record))
    metrics = add_seed(with_seed(run, 5, 7.9), folder, test)
    assert [line["seed"] for line in metrics["seeds"]] == [3, 5]
    assert metrics["training"]["seed"] == 3
    card = (folder / "README.md").read_text("utf-8")
    assert "this model is seed 3. Seed 5, trained later, is better by validation" in card


def test_seeds_of_a_compressed_model_may_end_in_other_shapes(run, tmp_path, tiny_corpus) -> None:
    test, runs = read_list(tiny_corpus / "mixtures_test.csv"), [run, with_seed(run, 4, 7.9)]
    for units, each in zip((24, 23), runs, strict=True):
        recipe = each / "recipe.toml"
        text = recipe.read_text().replace("24", str(units))
        recipe.write_text(text + "[compress]\nsource = 'nobody'\n")
    assert [each.name for each in publishing._best_first(runs)] == ["seed_4", "run"]
    recipe.write_text(recipe.read_text() + "steps = 7\n")
    with pytest.raises(InputError, match="another recipe"):
        publish(run, tmp_path / "x", test, seeds=runs[1:])


def test_runs_of_different_recipes_are_not_seeds_of_one(run, tmp_path, tiny_corpus) -> None:
    other = with_seed(run, 4, 7.9)
    recipe = other / "recipe.toml"
    recipe.write_text(recipe.read_text() + "batch = 8\n")
    with pytest.raises(InputError, match="another recipe"):
        publish(run, tmp_path / "x", read_list(tiny_corpus / "mixtures_test.csv"), seeds=[other])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("key", ["manifest_sha256", "valid_list_sha256", "source_sha256"])
def test_runs_of_other_data_are_not_seeds_of_one(run, key, tmp_path, tiny_corpus) -> None:
    other, test = with_seed(run, 4, 7.9), read_list(tiny_corpus / "mixtures_test.csv")
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(record | {key: "another"}))
    with pytest.raises(InputError, match=f"another {key}"):
        publish(run, tmp_path / "x", test, seeds=[other])
    assert not (tmp_path / "x").exists()


def test_every_measurement_stands_in_metrics_and_card(
    run, tmp_path, tiny_corpus, without_tensorflow
) -> None:
    test, other = (read_list(tiny_corpus / f"mixtures_{split}.csv") for split in ("test", "valid"))
    metrics = publish(run, tmp_path / "small", test, others=[other], minutes=2)
    assert json.loads((tmp_path / "small" / "metrics.json").read_text()) == metrics
    assert metrics["list"]["name"] == "mixtures_test.csv"
    methods = [method["name"] for method in metrics["peers"]["methods"]]
    assert methods == ["noisy", "wiener", "int8", "ceiling"]
    assert set(metrics["lists"]) == {"mixtures_valid.csv"}
    assert set(metrics["lists"]["mixtures_valid.csv"]) == {"list", "quality", "against"}
    assert metrics["behaviour"]["list"]["name"] == "mixtures_test.csv"
    assert metrics["behaviour"]["hour"]["minutes"] == 2
    assert "by_noise" in metrics["quality"]
    card = (tmp_path / "small" / "README.md").read_text("utf-8")
    assert "## Behaviour" in card and "### On mixtures_valid.csv" in card


def test_a_model_that_began_with_a_published_one_has_its_peers(monkeypatch) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda name: None)
    assert publishing._peer_names("float") == ("wiener", "float")
    assert publishing._peer_names("lstm_256:float") == ("float",)


def test_losses_are_counted_anew_from_another_network(
    run, tmp_path, tiny_corpus, without_tensorflow, monkeypatch
) -> None:
    folder, test = tmp_path / "small", read_list(tiny_corpus / "mixtures_test.csv")
    rooms, evaluated = named(test, "rooms.csv"), publishing.evaluate
    before = publish(run, folder, test, minutes=2, others=[rooms], seeds=[with_seed(run, 4, 7.1)])

    def better(model, mixtures, *arguments, against, **options):
        assert against == "better:float"
        result = evaluated(model, mixtures, *arguments, against=against, **options)
        lost = result["against"]["sdr_loss"] + (0.25 if mixtures is test else 0.5)
        return result | {"against": result["against"] | {"model": "better", "sdr_loss": lost}}

    monkeypatch.setattr(publishing, "evaluate", better)
    after = recount(folder, "better", [rooms, test])
    assert after == json.loads((folder / "metrics.json").read_text())
    tables = [
        (after, before, 0.25),
        (after["lists"]["rooms.csv"], before["lists"]["rooms.csv"], 0.5),
    ]
    for now, then, more in tables:
        assert now["against"]["sdr_loss"] == pytest.approx(then["against"]["sdr_loss"] + more)
        assert now["quality"] == then["quality"]
    for now, then in zip(after["seeds"], before["seeds"], strict=True):
        assert now["sdr_loss"] == pytest.approx(then["sdr_loss"] + 0.25)
    assert "SDR lost against better" in (folder / "README.md").read_text("utf-8")
    with pytest.raises(InputError, match=r"was measured on mixtures_test.csv and rooms.csv"):
        recount(folder, "better", [test])
    (folder / "model.tflite").write_bytes(b"another")
    with pytest.raises(InputError, match="is not the file that was measured"):
        recount(folder, "better", [rooms, test])


def test_one_list_is_enough(run, tmp_path, tiny_corpus, without_tensorflow) -> None:
    listed = read_list(tiny_corpus / "mixtures_test.csv")
    metrics = publish(run, tmp_path / "small", listed, minutes=2)
    assert "lists" not in metrics and metrics["seeds"][0]["seed"] == 3


def test_two_lists_of_one_name_are_refused(run, tmp_path, tiny_corpus) -> None:
    listed = read_list(tiny_corpus / "mixtures_test.csv")
    with pytest.raises(InputError, match="two lists of one name"):
        publish(run, tmp_path / "small", listed, others=[named(listed, listed.name)])
    assert not (tmp_path / "small").exists()


def test_an_unfinished_run_is_refused(run, tmp_path, tiny_corpus) -> None:
    (run / "run.json").unlink()
    listed = tiny_corpus / "mixtures_test.csv"
    words = ["publish", run, "-o", tmp_path / "small", "--list", listed]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2 and "has no run.json" in done.stderr
    assert not (tmp_path / "small").exists()


UNFIT = {
    "no seed": ({"valid_si_sdr_gain": 7.5}, "", r"run\.json: has no seed"),
    "no figures": ([], "", "not the record of a run"),
    "offline": ({"method": "offline"}, "", "was pruned offline"),
    "GRU": (RECORD, "gru = [8]", "has GRU layers"),
}


@pytest.mark.parametrize("which", UNFIT)
def test_what_cannot_be_published_is_said_before_anything_is_scored(
    run, tmp_path, tiny_corpus, monkeypatch, which
) -> None:
    record, key, why = UNFIT[which]
    (run / "run.json").write_text(json.dumps(record))
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("lstm = [24]", f"lstm = [24]\n{key}"))
    if which == "offline":
        (run / "log.jsonl").unlink()
    monkeypatch.setattr(publishing, "evaluate", None)
    with pytest.raises(InputError, match=why):
        publish(run, tmp_path / "x" / "y", read_list(tiny_corpus / "mixtures_test.csv"))
    assert not (tmp_path / "x").exists()


def test_no_file_is_replaced_without_force_and_none_of_other_weights_stays(
    run, tmp_path, tiny_corpus, without_tensorflow
) -> None:
    folder, listed = tmp_path / "small", read_list(tiny_corpus / "mixtures_test.csv")
    folder.mkdir()
    for name in ("recipe.toml", "bench.json", "model.tsb", "profile_u55.json", "notes.txt"):
        (folder / name).write_text("mine")
    with pytest.raises(InputError, match=r"recipe\.toml: already exists; give --force"):
        publish(run, folder, listed, minutes=2)
    assert all(path.read_text() == "mine" for path in folder.iterdir())
    publish(run, folder, listed, force=True, minutes=2)
    assert {path.name for path in folder.iterdir()} == {*publishing.WRITTEN, "notes.txt"}


def test_a_place_that_cannot_be_written_is_said_first(run, tmp_path, tiny_corpus) -> None:
    (tmp_path / "file").write_text("")
    listed = read_list(tiny_corpus / "mixtures_test.csv")
    with pytest.raises(InputError, match=r"file: cannot be written \(is no folder\)"):
        publish(run, tmp_path / "file" / "small", listed)


def test_a_fault_of_measuring_is_not_one_of_the_folder(
    run, tmp_path, tiny_corpus, monkeypatch
) -> None:
    def broken(*arguments, **options):
        raise ConnectionResetError("a worker is gone")

    monkeypatch.setattr(publishing, "evaluate", broken)
    with pytest.raises(ConnectionResetError):
        publish(run, tmp_path / "new" / "x", read_list(tiny_corpus / "mixtures_test.csv"))
    assert not (tmp_path / "new").exists()


def test_the_command_takes_several_lists_and_says_what_does_not_hold(
    run, tmp_path, tiny_corpus, without_tensorflow, monkeypatch
) -> None:
    monkeypatch.setattr("tinyse.behaviour.hour_of", lambda *_: HOUR)
    words = ["publish", run, "-o", tmp_path / "small"]
    for split in ("test", "valid"):
        words += ["--list", tiny_corpus / f"mixtures_{split}.csv"]
    done = CliRunner(env={"TINYSE_DATA": None}).invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert "SDR gain" in done.stdout and "does not hold: 60 minutes" in done.stderr
    metrics = json.loads((tmp_path / "small" / "metrics.json").read_text())
    assert list(metrics["lists"]) == ["mixtures_valid.csv"]


def test_golden_vectors_of_a_list_of_pairs_without_snrs(small_model, tmp_path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, 32_000)
    for side, sound in (("noisy", 2 * noise), ("clean", noise)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        soundfile.write(tmp_path / "pairs" / side / "a.wav", sound, 16_000)
    path = tmp_path / "golden.npz"
    publishing.write_golden(small_model / "model.tflite", read_list(tmp_path / "pairs"), path)
    with np.load(path) as vectors:
        assert vectors["features"].shape == vectors["mask_q"].shape == (50, 128)


HOUR = {"minutes": 60, "drift_db": 2.0, "cell_growth": 1.0}


@pytest.mark.parametrize(
    ("model", "known", "against", "reference"),
    [
        ("lstm_256_first", True, None, "lstm_256_first:float"),
        ("lstm_256_first", False, None, "float"),
        ("lstm_256_unit_third", True, None, "lstm_256_first:float"),
        ("lstm_256_first", True, "lstm_tiny", "lstm_tiny:float"),
        ("lstm_256_first", True, "float", "float"),
    ],
)
def test_a_compressed_run_is_held_against_the_published_float_network_it_began_with(
    run, tmp_path, tiny_corpus, without_tensorflow, monkeypatch, model, known, against, reference
) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(
        recipe.read_text()
        + f'[compress]\nsource = "{model}"\nlevels = [0.75]\n'
        + 'weight_bits = 5\nbudgets = {"mask/kernel" = 0.5, "dense*" = 0.25}\n'
        + '[train]\nprecision = "bfloat16"\n[mixing]\nlevel_dbfs = [-66.0, -12.0]\n'
    )
    source = sha256(packaged("models", model) / "weights.npz") if known else "another"
    levels = [{"sparsity_asked": 0.75, "sparsity": 0.7512}]
    record = RECORD | {"source_sha256": source, "backend": "jax", "levels": levels}
    (run / "run.json").write_text(json.dumps(record))
    asked, evaluated = [], publishing.evaluate

    def listening(*arguments, against, **options):
        asked.append(against)
        return evaluated(*arguments, against=against, **options)

    monkeypatch.setattr(publishing, "evaluate", listening)
    test = read_list(tiny_corpus / "mixtures_test.csv")
    publish(run, tmp_path / "small", test, minutes=2, against=against)
    assert asked == [reference]
    card = (tmp_path / "small" / "README.md").read_text("utf-8")
    assert f"75.12 % of the blocks of 4x4 weights of `{model}` are gone and what stays" in card
    assert "what stays has 5 bits, chosen by `learned` and trained together with int8" in card
    assert "    export KERAS_BACKEND=jax\n    tinyse compress" in card
    assert '--set train.precision="bfloat16"' in card
    assert " --set mixing.level_dbfs='[-66.0, -12.0]' " in card
    assert f"tinyse compress {model} --structure block:4x4 --levels 0.75" in card
    assert """--set compress.budgets='{"mask/kernel"=0.5,"dense*"=0.25}'""" in card
