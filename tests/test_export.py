"""Export: same bytes, whole or nothing, nothing replaced unasked, golden vectors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import features, float_weights
from tinyse.cli import main
from tinyse.errors import InputError
from tinyse.export import export_model, golden
from tinyse.runtimes import open_runtime
from tinyse.tflite.check import load


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    np.savez(folder / "weights.npz", **float_weights((9, 7), (5,), 11, 6))
    (folder / "recipe.toml").write_text('schema = 1\nname = "small"\n')
    (folder / "run.json").write_text("{}\n")
    return folder


def test_the_manifest_tells_what_was_written(run_folder, tmp_path):
    path = export_model(run_folder, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert manifest["schema"] == 1 and manifest["model"] == "small"
    assert manifest["files"] == {"model.tflite": {"sha256": digest, "bytes": len(data)}}
    assert set(manifest["source"]) == {"weights", "recipe", "run"}
    assert manifest["bytes"]["tflite"] == len(data)
    assert manifest["input"] == {
        "type": "int8",
        "shape": [1, 1, 11],
        "scale": 0.03125,
        "zero_point": 0,
    }
    assert [operator["name"] for operator in manifest["operators"]] == [
        *["UNIDIRECTIONAL_SEQUENCE_LSTM"] * 2,
        *["FULLY_CONNECTED"] * 2,
        "LOGISTIC",
    ]


def test_exporting_twice_gives_the_same_files(run_folder, tmp_path):
    for name in "ab":
        export_model(run_folder, tmp_path / name)
    for file in ("model.tflite", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_process_gives_the_same_bytes(run_folder, tmp_path):
    path = export_model(run_folder, tmp_path / "a")
    blocked = "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'tf_keras')));"
    script = f"{blocked} from tinyse.export import export_model; export_model(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", script, run_folder, tmp_path / "b"], check=True)
    assert path.read_bytes() == (tmp_path / "b" / "model.tflite").read_bytes()


def test_a_file_that_exists_is_kept_without_force(run_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("mine")
    with pytest.raises(InputError, match=r"manifest\.json: already exists; give --force"):
        export_model(run_folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    export_model(run_folder, tmp_path / "out", force=True)
    assert "small" in (tmp_path / "out" / "manifest.json").read_text()


def test_an_earlier_export_goes_whole_but_for_what_was_changed(run_folder, tmp_path):
    out = tmp_path / "out"
    names = ("model.tsb", "model.c", "model.h")
    export_model(run_folder, out, packed=lambda _: dict.fromkeys(names, b"packed"))
    (out / "model.h").write_text("mine")
    (tmp_path / "outside").write_text("mine")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["../outside"] = {"sha256": hashlib.sha256(b"mine").hexdigest(), "bytes": 4}
    (out / "manifest.json").write_text(json.dumps(manifest))
    export_model(run_folder, out, force=True)
    assert {path.name for path in out.iterdir()} == {"model.tflite", "manifest.json", "model.h"}
    assert (tmp_path / "outside").exists()


def test_a_folder_that_no_text_can_name_names_no_model(run_folder, tmp_path):
    folder = run_folder.rename(tmp_path / os.fsdecode(b"fo\xff"))
    (folder / "recipe.toml").unlink()
    with pytest.raises(InputError, match="names the model, and is not UTF-8; rename the folder"):
        export_model(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("mask/bias"), "mask/bias is missing"),
        (lambda arrays: arrays["lstm_0/kernel"].fill(np.nan), "lstm_0/kernel: expected finite"),
        (lambda arrays: arrays["lstm_0/kernel"].fill(2e4), "may leave int32"),
    ],
)
def test_bad_weights_write_nothing(tmp_path, damage, message):
    arrays = float_weights((9, 7), (5,), 11, 6)
    damage(arrays)
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(InputError, match=rf"weights\.npz: .*{message}"):
        export_model(tmp_path / "weights.npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_profile_writes_nothing(run_folder, tmp_path):
    with pytest.raises(InputError, match="unknown profile 'step16'"):
        export_model(run_folder, tmp_path / "out", profile="step16")
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_a_name_is_refused(run_folder, tmp_path):
    (run_folder / "recipe.toml").write_text("schema = 1\n")
    with pytest.raises(InputError, match=r"recipe\.toml: name is missing"):
        export_model(run_folder, tmp_path / "out")


def test_golden_vectors_are_what_the_file_gives(run_folder, tmp_path):
    path = export_model(run_folder, tmp_path / "out")
    x = features(50, 4, 11)
    with np.load(golden(path, x, tmp_path / "golden.npz")) as file:
        arrays = dict(file)
    oracle = open_runtime("oracle", path)
    assert np.array_equal(arrays["mask_q"], oracle.run(arrays["features_q"]))
    assert np.array_equal(arrays["features_q"], load(path).network.input.quantise(x))
    assert arrays["features"].dtype == np.float32
    shapes = {key: value.shape for key, value in arrays.items() if key[:2] in ("h_", "c_")}
    assert shapes == {
        "h_lstm_0": (50, 9),
        "c_lstm_0": (50, 9),
        "h_lstm_1": (50, 7),
        "c_lstm_1": (50, 7),
    }
    assert arrays["h_lstm_1"].dtype == np.int8 and arrays["c_lstm_1"].dtype == np.int16
    assert np.array_equal(arrays["c_lstm_1"][-1], oracle.states()["c_lstm_1"])


def test_golden_vectors_are_deterministic(run_folder, tmp_path):
    path = export_model(run_folder, tmp_path / "out")
    a, b = (golden(path, features(50, 4, 11), tmp_path / name) for name in ("a.npz", "b.npz"))
    assert a.read_bytes() == b.read_bytes()


def test_golden_refuses_other_shapes(run_folder, tmp_path):
    path = export_model(run_folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"expected \[T, 11\], got \[50, 12\]"):
        golden(path, features(50, 4, 12), tmp_path / "golden.npz")


def test_command(run_folder):
    runner = CliRunner()
    first = runner.invoke(main, ["export", str(run_folder)])
    assert first.exit_code == 0 and "tflite" in first.stdout
    again = runner.invoke(main, ["export", str(run_folder)])
    assert again.exit_code == 2 and again.stdout == ""
    assert again.stderr.count("\n") == 1 and "give --force" in again.stderr
    forced = runner.invoke(main, ["export", str(run_folder), "--force", "--json"])
    assert json.loads(forced.stdout)["model"] == "small"


@pytest.mark.parametrize("profile", ["fused16x8", "step16x8", "step8"])
def test_other_profiles(run_folder, tmp_path, profile):
    path = export_model(run_folder, tmp_path, profile)
    file = load(path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    kind = file.network.input.dtype.name
    assert file.profile == manifest["profile"] == profile
    assert manifest["input"]["type"] == manifest["output"]["type"] == kind
    assert len(manifest["operators"]) == len(file.model.operators)
    with np.load(golden(path, features(20, 3, 11), tmp_path / "golden.npz")) as arrays:
        assert arrays["features_q"].dtype == arrays["mask_q"].dtype == arrays["h_lstm_0"].dtype
        assert arrays["features_q"].dtype == kind
