"""Evaluation on tiny lists: figures, pairing, parts, the command, bad input."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse import metrics
from tinyse.audio.lists import read_list, render
from tinyse.behaviour import behaviour
from tinyse.cli import main
from tinyse.enhance import models, open_enhancer
from tinyse.errors import InputError, MissingExtra
from tinyse.evaluate import evaluate, evaluate_each, rows
from tinyse.evaluate.rows import rendered as rows_rendered
from tinyse.evaluate.text import as_text
from tinyse.export import export_model

ROOT = Path(__file__).resolve().parent.parent
SNRS = ["-5", "0", "5", "10"]


@pytest.fixture(scope="module")
def model(small_model) -> Path:
    return small_model


@pytest.fixture(scope="module")
def result(model, tiny_corpus) -> dict:
    return evaluate(
        model, tiny_corpus / "mixtures_test.csv", "oracle", against="oracle", ceiling=True,
        workers=1, with_rows=True,
    )  # fmt: skip


class Through:
    """A runtime that lets everything or nothing through."""

    name = "through"

    class info:
        input = output = None
        version = "through 1"

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def reset(self) -> None:
        """It has no state."""

    def run(self, frames):
        return np.full(frames.shape, self.gain, np.float32)


@pytest.fixture
def through(monkeypatch):
    """Makes every runtime one that multiplies by a gain."""

    def replace(gain: float) -> None:
        models.open_source.cache_clear()
        monkeypatch.setattr(models, "open_runtime", lambda name, path: Through(gain))

    yield replace
    models.open_source.cache_clear()


def test_the_document_has_the_parts_that_metrics_json_wants(result, tiny_corpus) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    assert result["list"] == {"name": mixtures.name, "sha256": mixtures.sha256, "rows": 5}
    assert result["model"] == "small" and result["runtime"] == "oracle"
    quality = result["quality"]
    assert list(quality["by_snr"]) == [*SNRS, "clean"]
    assert quality["rows"] == 4 and quality["snrs_db"] == [-5, 0, 5, 10]
    assert quality["bootstrap"]["groups"] == 2
    for metric in ("sdr", "si_sdr", "snr"):
        low, high = quality["ci95"][f"{metric}_gain"]
        assert low <= quality[f"{metric}_gain"] <= high
        means = [quality["by_snr"][snr][f"{metric}_gain"] for snr in SNRS]
        assert quality[f"{metric}_gain"] == pytest.approx(np.mean(means), abs=1e-3)
    json.dumps(result, allow_nan=False)


def test_the_headline_leaves_clean_rows_out(result) -> None:
    clean = result["quality"]["by_snr"]["clean"]
    assert clean["rows"] == 1 and "sdr_out" in clean
    assert "sdr_in" not in clean and "sdr_gain" not in clean


def test_a_rows_scores_are_those_of_the_measures(result, model, tiny_corpus) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    row = next(r for r in result["rows"] if r["condition"] == "5")
    mixture = render(mixtures, next(r for r in mixtures.rows if r.id == row["id"]))
    enhanced = open_enhancer(model, "oracle").whole(mixture.mixture)
    for name in ("sdr", "si_sdr", "snr"):
        measure = getattr(metrics, name)
        assert row[f"{name}_in"] == pytest.approx(
            measure(mixture.target, mixture.mixture), abs=1e-6
        )
        assert row[f"{name}_out"] == pytest.approx(measure(mixture.target, enhanced), abs=1e-6)
    assert (row["group"], row["samples"]) == (mixture.speaker, len(mixture.target))


def test_a_model_loses_nothing_against_itself(result) -> None:
    against = result["against"]
    assert (against["model"], against["runtime"]) == ("small", "oracle")
    assert against["sdr_loss"] == 0 and against["sdr_loss_ci95"] == [0, 0]


def test_snrs_that_are_printed_alike_are_one_group(model, tiny_corpus, tmp_path) -> None:
    text = (tiny_corpus / "mixtures_test.csv").read_text()
    for old, new in ((",-5,", ",5.0000001,"), (",0,-24", ",5.0000002,-24"), (",10,", ",-0.0,")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "near.csv").write_text(text)
    near = read_list(tmp_path / "near.csv", tiny_corpus)
    by_snr = evaluate(model, near, "oracle", workers=1)["quality"]["by_snr"]
    assert {name: of["rows"] for name, of in by_snr.items()} == {"0": 1, "5": 3, "clean": 1}


def test_the_best_mask_stands_above_everything(result) -> None:
    quality = result["quality"]
    assert quality["ceiling"]["sdr_gain"] > quality["sdr_gain"] + 3
    assert "floor" not in quality


def test_what_lets_everything_through_gains_nothing(through, model, tiny_corpus) -> None:
    through(1.0)
    found = evaluate(model, tiny_corpus / "mixtures_test.csv", workers=1)
    assert found["quality"]["sdr_gain"] == pytest.approx(0, abs=1e-3)
    assert found["quality"]["by_snr"]["clean"]["sdr_out"] == metrics.CAP_DB
    assert found["faults"] == []


def test_what_lets_nothing_through_is_a_fault_and_stays_in_the_mean(
    through, model, tiny_corpus
) -> None:
    through(0.0)
    found = evaluate(model, tiny_corpus / "mixtures_test.csv", workers=1)
    assert found["quality"]["sdr_out"] == -metrics.CAP_DB
    assert len(found["faults"]) == 10  # five rows, SDR and SI-SDR
    assert "test-0000: out is silent" in found["faults"][0]


def test_a_stored_fixed_filter_is_the_floor(through, model, tiny_corpus, tmp_path) -> None:
    through(1.0)
    with np.load(model / "weights.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "weights.npz", **arrays, **{"floor/gains": np.full(257, 0.5, np.float32)})
    (tmp_path / "model.tflite").write_bytes((model / "model.tflite").read_bytes())
    floor = evaluate(tmp_path, tiny_corpus / "mixtures_test.csv", workers=1)["quality"]["floor"]
    # One gain for all bins changes no ratio but SNR.
    assert floor["sdr_gain"] == pytest.approx(0, abs=0.01)
    assert abs(floor["snr_gain"]) > 1


def test_parts_make_up_the_list(model, tiny_corpus) -> None:
    path = tiny_corpus / "mixtures_test.csv"
    parts = [
        evaluate(model, path, "oracle", part=(k, 2), workers=1, with_rows=True)["rows"]
        for k in (1, 2)
    ]
    whole = evaluate(model, path, "oracle", workers=1, with_rows=True)["rows"]
    assert sorted(r["id"] for part in parts for r in part) == [r["id"] for r in whole]
    limited = evaluate(model, path, "oracle", limit=2, workers=1)
    assert limited["list"]["rows"] == 2 and limited["list"]["of_rows"] == 5


def test_two_processes_give_what_one_gives(model, tiny_corpus) -> None:
    path = tiny_corpus / "mixtures_test.csv"
    told = []
    one = evaluate(model, path, "oracle", workers=1, with_rows=True)
    two = evaluate(
        model, path, "oracle", workers=2, with_rows=True, progress=lambda *t: told.append(t)
    )
    assert one["quality"] == two["quality"] and told[-1] == (5, 5)
    for a, b in zip(one["rows"], two["rows"], strict=True):
        assert a == pytest.approx(b, abs=2e-6)


def test_several_models_in_one_pass_get_what_each_gets_alone(
    model, tiny_corpus, tmp_path, monkeypatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    weights = float_weights(lstm=(24,), dense=(16,), gain=0.5)
    weights["features/mean"][:], weights["features/std"][:] = -25, 9
    np.savez(other / "weights.npz", **weights, **{"floor/gains": np.full(257, 0.5)})
    export_model(other, other)
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    rendered = []
    monkeypatch.setattr(rows, "rendered", lambda *its: rendered.append(its) or rows_rendered(*its))
    together = evaluate_each((model, other), mixtures, "oracle", against=str(model), workers=1)
    assert len(rendered) == len(mixtures.rows)
    alone = [evaluate(each, mixtures, "oracle", against=str(model), workers=1)
             for each in (model, other)]  # fmt: skip
    assert together == alone
    assert together[0]["quality"] != together[1]["quality"]
    assert "floor" in together[1]["quality"]


def test_tflm_gives_what_the_oracle_gives(model, tiny_corpus) -> None:
    pytest.importorskip("tflite_micro")
    found = evaluate(model, tiny_corpus / "mixtures_test.csv", against="oracle", workers=1)
    assert found["against"]["sdr_loss_ci95"] == [0, 0]
    assert found["runtime_version"].startswith("tflite-micro")


def test_a_list_of_ready_pairs_without_snrs(model, tiny_corpus, tmp_path) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    for row in mixtures.rows[:3]:
        mixture = render(mixtures, row)
        for folder, samples in (("noisy", mixture.mixture), ("clean", mixture.target)):
            (tmp_path / folder).mkdir(exist_ok=True)
            soundfile.write(tmp_path / folder / f"{row.id}.wav", samples, 16_000)
    quality = evaluate(model, tmp_path, "oracle", workers=1)["quality"]
    assert quality["rows"] == 3 and quality["by_snr"] == {} and quality["snrs_db"] == []


def test_clean_ready_pairs_are_no_noisy_rows(model, tiny_corpus, tmp_path) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    lines = ["id,noisy,clean,snr_db"]
    for row, snr in zip(mixtures.rows, ("", "5", "clean"), strict=False):
        mixture = render(mixtures, row)
        soundfile.write(tmp_path / f"{row.id}_noisy.wav", mixture.mixture, 16_000)
        soundfile.write(tmp_path / f"{row.id}_clean.wav", mixture.target, 16_000)
        noisy = "clean" if snr == "clean" else "noisy"
        lines.append(f"{row.id},{row.id}_{noisy}.wav,{row.id}_clean.wav,{snr}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    quality = evaluate(model, tmp_path / "pairs.csv", "oracle", workers=1)["quality"]
    assert quality["rows"] == 2 and set(quality["by_snr"]) == {"5", "clean"}
    heard = behaviour(model, tmp_path / "pairs.csv", "oracle", minutes=2, workers=1)
    assert heard["clean"]["rows"] == 1 and heard["level"]["rows"] == 2


def test_a_voicebank_folder_is_scored_with_one_command(model, tmp_path) -> None:
    """noisy_testset_wav/ and clean_testset_wav/ with equal names at 48 kHz, as it is published."""
    random = np.random.default_rng(5)
    for name in ("p232_001", "p232_002", "p257_001"):
        clean = 0.1 * np.sin(2 * np.pi * random.uniform(100, 900) * np.arange(72_000) / 48_000)
        for folder, sound in (
            ("clean_testset_wav", clean),
            ("noisy_testset_wav", clean + random.normal(0, 0.02, len(clean))),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            soundfile.write(tmp_path / folder / f"{name}.wav", sound, 48_000, "PCM_16")
    words = ("evaluate", model, "--list", tmp_path, "--runtime", "oracle", "--workers", 1)
    quality = json.loads(run(*words, "--json").stdout)["quality"]
    assert quality["rows"] == 3 and quality["bootstrap"]["groups"] == 2
    assert "by_noise" not in quality and "by_language" not in quality
    table = run(*words)
    assert table.exit_code == 0 and "mean over 3 rows" in table.stdout


@pytest.fixture
def corpus_with_classes(tiny_corpus, tmp_path) -> Path:
    """The tiny corpus' test list beside a manifest that names classes and languages."""
    for split in ("test", "train"):
        (tmp_path / split).symlink_to(tiny_corpus / split)
    head = "path,kind,split,group,start,end,sample_rate,noise_class,language\n"
    rows = [
        "train/noise/train-x.flac,noise,train,train-x,0,96000,16000,hiss,",
        "test/noise/test-x.flac,noise,test,test-x,0,96000,16000,hiss,",
        "test/noise/test-y.flac,noise,test,test-y,0,96000,16000,hum,",
        "test/speech/test-a.flac,speech,test,test-a,0,96000,16000,,en",
        "test/speech/test-b.flac,speech,test,test-b,0,96000,16000,,de",
    ]
    (tmp_path / "manifest.csv").write_text(head + "\n".join(rows) + "\n")
    text = (tiny_corpus / "mixtures_test.csv").read_text()
    lines = text.splitlines()
    lines[2] = lines[2].replace(",hiss,", ",hum,")
    lines[4] = lines[4].replace(",hiss,", ",talker,")
    (tmp_path / "mixtures_test.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_mean_is_parted_by_class_seen_and_language(model, corpus_with_classes) -> None:
    listed = corpus_with_classes / "mixtures_test.csv"
    found = evaluate(model, listed, "oracle", workers=1, with_rows=True)
    quality, rows = found["quality"], found["rows"]
    by_noise = quality["by_noise"]
    assert {name: part["rows"] for name, part in by_noise.items()} == {
        "hiss": 2, "hum": 1, "talker": 1,
    }  # fmt: skip
    assert [by_noise[name]["seen"] for name in ("hiss", "hum", "talker")] == [True, False, None]
    assert by_noise["hiss"]["recordings"] == 1 and by_noise["hiss"]["speakers"] == 1
    assert {name: part["rows"] for name, part in quality["by_seen"].items()} == {
        "seen": 2, "unseen": 1,
    }  # fmt: skip
    assert {name: part["rows"] for name, part in quality["by_language"].items()} == {
        "de": 2, "en": 2,
    }  # fmt: skip
    gains = [r["sdr_out"] - r["sdr_in"] for r in rows if r["noise_class"] == "hiss"]
    assert by_noise["hiss"]["sdr_gain"] == pytest.approx(np.mean(gains), abs=1e-4)
    low, high = by_noise["hiss"]["sdr_gain_ci95"]
    assert low <= by_noise["hiss"]["sdr_gain"] <= high
    text = as_text(found)
    assert "hum (unseen)" in text and "the same rows by" in text


def test_without_a_manifest_classes_are_neither_seen_nor_unseen(model, corpus_with_classes) -> None:
    (corpus_with_classes / "manifest.csv").unlink()
    listed = corpus_with_classes / "mixtures_test.csv"
    quality = evaluate(model, listed, "oracle", workers=1)["quality"]
    assert "seen" not in quality["by_noise"]["hiss"]
    assert "by_seen" not in quality and "by_language" not in quality


def test_the_worst_rows_are_named_and_written(model, tiny_corpus, tmp_path) -> None:
    folder = tmp_path / "worst"
    words = ("evaluate", model, "--list", tiny_corpus / "mixtures_test.csv", "--runtime", "oracle",
             "--workers", 1, "--worst", 2, "--audio", folder)  # fmt: skip
    document = json.loads(run(*words, "--rows").stdout)
    gains = {
        r["id"]: r["sdr_out"] - r["sdr_in"] for r in document["rows"] if r["snr_db"] is not None
    }
    worst = sorted(gains, key=gains.get)[:2]
    assert [row["id"] for row in document["worst"]] == worst
    assert document["worst"][0]["sdr_gain"] == pytest.approx(gains[worst[0]], abs=1e-4)
    names = [f"{n:02d}_{name}_{side}.wav" for n, name in enumerate(worst, 1)
             for side in ("clean", "enhanced", "noisy")]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == names
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    mixture = render(mixtures, next(row for row in mixtures.rows if row.id == worst[0]))
    noisy, rate = soundfile.read(folder / f"01_{worst[0]}_noisy.wav")
    assert rate == 16_000
    np.testing.assert_allclose(noisy, mixture.mixture, atol=1e-4)
    again = run(*words)
    assert again.exit_code == 2 and "is not empty" in again.stderr
    done = run(*words, "--force")
    assert done.exit_code == 0 and "worst rows" in done.stdout


def test_a_packaged_list_is_found_by_its_name(model, data_folder) -> None:
    pytest.importorskip("pyroomacoustics")
    words = ["evaluate", model, "--list", "mixtures_rooms_valid.csv", "--runtime", "oracle",
             "--limit", 1, "--workers", 1, "--json"]  # fmt: skip
    runner = CliRunner(env={"TINYSE_DATA": str(data_folder)})
    done = runner.invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["list"]["name"] == "mixtures_rooms_valid.csv"


def test_perceptual_scores_come_when_asked_for(model, tiny_corpus) -> None:
    pytest.importorskip("pystoi")
    path = tiny_corpus / "mixtures_test.csv"
    quality = evaluate(model, path, "oracle", metrics=["estoi"], limit=2, workers=1)["quality"]
    assert 0 < quality["estoi_in"] < 1 and "pesq_in" not in quality and "snr_gain" not in quality


def test_a_score_that_does_not_exist_is_counted_and_in_no_mean(through, model, tiny_corpus) -> None:
    pytest.importorskip("pystoi")
    through(0.0)
    path = tiny_corpus / "mixtures_test.csv"
    found = evaluate(model, path, metrics=["estoi"], limit=2, workers=1)
    assert found["quality"]["estoi_gain"] is None and found["quality"]["estoi_missing"] == 2
    assert "-" in as_text(found)


def test_a_missing_metric_names_its_extra(model, tiny_corpus, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(MissingExtra, match="pesq"):
        evaluate(model, tiny_corpus / "mixtures_test.csv", "oracle", metrics=["pesq"], workers=1)


def run(*arguments: object):
    return CliRunner(env={"TINYSE_DATA": None}).invoke(main, [str(a) for a in arguments])


def test_the_command_prints_a_table_or_one_document(model, tiny_corpus) -> None:
    common = ("evaluate", model, "--runtime", "oracle", "--data", tiny_corpus, "--workers", 1)
    table = run(*common, "--against", "oracle", "--ceiling")
    assert table.exit_code == 0, table.output
    assert "small on oracle" in table.stdout and "fewer than 8: too narrow" in table.stdout
    assert "loss against oracle: SDR 0.000 dB" in table.stdout and "ceiling" in table.stdout
    document = json.loads(run(*common, "--json").stdout)
    assert document["quality"]["rows"] == 4 and "rows" not in document
    assert len(json.loads(run(*common, "--rows", "--part", "2/2").stdout)["rows"]) == 2


def test_a_list_keeps_its_own_paths_when_the_environment_names_a_folder(
    model, tiny_corpus, tmp_path
) -> None:
    arguments = ["evaluate", model, "--list", tiny_corpus / "mixtures_test.csv", "--runtime",
                 "oracle", "--limit", 1, "--workers", 1]  # fmt: skip
    runner = CliRunner(env={"TINYSE_DATA": str(tmp_path)})
    assert runner.invoke(main, [str(a) for a in arguments]).exit_code == 0


BAD = {
    "no list": ([], "no list to score on"),
    "missing list": (["--list", "nowhere.csv"], "nowhere.csv: cannot be read"),
    "unknown runtime": (["--list", "good.csv", "--runtime", "tpu"], "unknown runtime 'tpu'"),
    "unknown metric": (["--list", "good.csv", "--metrics", "mos"], "unknown metric 'mos'"),
    "bad part": (["--list", "good.csv", "--part", "5/2"], "expected K/N"),
    "no part": (["--list", "good.csv", "--part", "x"], "expected K/N, got 'x'"),
    "no rows": (["--list", "good.csv", "--limit", "0"], "expected 1 or more"),
    "unknown other": (["--list", "good.csv", "--against", "him"], "there is no such model"),
    "silent row": (["--list", "silent.csv"], "silent.csv row a, reference: is silent"),
    "short row": (["--list", "short.csv"], "short.csv row a, reference: expected 16000 samples"),
    "faint row": (["--list", "faint.csv"], "faint.csv row a, reference: is silent (-"),
    "silent mixture": (["--list", "mute.csv"], "mute.csv row a, mixture: is silent (-200 dBFS)"),
    "clipped row": (["--list", "clipped.csv"], "clipped.csv row a, mixture: is clipped ("),
    "no worst": (["--list", "good.csv", "--worst", "0"], "worst: expected 1 or more, got 0"),
    "audio of nothing": (["--list", "good.csv", "--audio", "out"], "give --worst N"),
    "audio in a file": (
        ["--list", "good.csv", "--worst", "1", "--audio", "good.csv"],
        "good.csv: is no folder",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_exit_code_2(case, model, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    for name, clean, noisy in (
        ("good", sound, sound),
        ("silent", 0 * sound, sound),
        ("faint", 1e-4 * sound, sound),
        ("short", sound[:9_000], sound[:9_000]),
        ("mute", sound, 0 * sound),
        ("clipped", sound, np.clip(np.repeat(4 * sound, 8)[:16_000], -1, 1)),
    ):
        soundfile.write(f"{name}.wav", clean, 16_000)
        soundfile.write(f"{name}_noisy.wav", noisy, 16_000)
        with Path(f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [("id", "noisy", "clean"), ("a", f"{name}_noisy.wav", f"{name}.wav")]
            )
    arguments, says = BAD[case]
    if "--runtime" not in arguments:
        arguments = [*arguments, "--runtime", "oracle"]
    done = run("evaluate", model, "--workers", 1, *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and says in done.stderr


def test_a_mixture_that_leaves_full_scale_is_refused_by_name(model, tiny_corpus, tmp_path) -> None:
    text = (tiny_corpus / "mixtures_test.csv").read_text()
    (tmp_path / "loud.csv").write_text(text.replace(",0.8,", ",4.8,", 1))
    with pytest.raises(InputError, match=r"loud\.csv row test-0000, reference: is clipped"):
        evaluate(model, read_list(tmp_path / "loud.csv", tiny_corpus), "oracle", workers=1)


def test_an_unknown_model_is_one_line_with_exit_code_2(tiny_corpus) -> None:
    done = run("evaluate", "no_such_model", "--data", tiny_corpus)
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1
    assert "there is no such model" in done.stderr


def test_limit_and_part_exclude_each_other(model, tiny_corpus) -> None:
    with pytest.raises(InputError, match="exclude"):
        evaluate(model, tiny_corpus / "mixtures_test.csv", "oracle", limit=1, part=(1, 2))


def test_importing_loads_neither_tensorflow_nor_anything_slow() -> None:
    code = (
        "import sys; import tinyse.evaluate.text, tinyse.enhance.files, tinyse.report.card;"
        "import tinyse.report.content, tinyse.tasks;"
        "slow = {'tensorflow', 'keras', 'scipy', 'soundfile', 'jinja2', 'tflite_micro', 'rich'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_int8_against_its_own_float_network(model, tiny_corpus) -> None:
    pytest.importorskip("keras")
    path = tiny_corpus / "mixtures_test.csv"
    against = evaluate(model, path, "oracle", against="float", workers=1)["against"]
    assert (against["model"], against["runtime"]) == ("small", "keras_model")
    assert abs(against["sdr_loss"]) < 1
