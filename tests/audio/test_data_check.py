"""`data check` finds each planted fault, and nothing in a good corpus."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.audio.conftest import HEADER
from tinyse.audio.data_check import check, clipped_samples
from tinyse.audio.io import write_audio
from tinyse.cli import main
from tinyse.errors import InputError


def test_a_good_corpus_has_no_faults(small_corpus):
    checked = check(small_corpus, workers=1)
    assert checked.faults == () and (checked.files, checked.intervals) == (6, 6)


def _plant(root, noise):
    """kind of fault -> the manifest row that shows it."""
    soundfile.write(root / "rate.wav", noise(6000, 11), 8000)
    soundfile.write(root / "channels.wav", np.stack([noise(3000, 12)] * 2, 1), 16000)
    soundfile.write(root / "nan.wav", np.array([0.0, np.nan] * 500), 16000, subtype="FLOAT")
    write_audio(root / "clipped.wav", 9 * noise(3000, 13))
    write_audio(root / "silent.wav", 1e-5 * noise(3000, 14))
    write_audio(root / "short.wav", noise(3000, 15))
    write_audio(root / "cut.wav", noise(3000, 16))
    (root / "cut.wav").write_bytes((root / "cut.wav").read_bytes()[:-1000])
    (root / "text.wav").write_bytes(b"no sound")
    return {
        "rate": "rate.wav,noise,train,g1,0,3000,16000",
        "channels": "channels.wav,noise,train,g2,0,3000,16000",
        "not_finite": "nan.wav,noise,train,g3,0,1000,16000",
        "clipping": "clipped.wav,noise,train,g4,0,3000,16000",
        "silence": "silent.wav,noise,train,g5,0,3000,16000",
        "outside": "short.wav,noise,train,g6,0,3001,16000",
        "truncated": "cut.wav,noise,train,g7,0,1000,16000",
        "unreadable": "text.wav,noise,train,g8,0,1000,16000",
        "duplicate": "train/noise.flac,noise,train,g9,0,96000,16000",
        "crossing": "train/noise.flac,noise,test,noise-train,5,96000,16000",
    }


@pytest.fixture
def faulty(small_corpus, noise_of):
    planted = _plant(small_corpus.parent, noise_of)
    small_corpus.write_text(small_corpus.read_text() + "".join(f"{r}\n" for r in planted.values()))
    return small_corpus, list(planted)


def test_each_planted_fault_is_found_at_its_row(faulty):
    manifest, planted = faulty
    faults = check(manifest, workers=1).faults
    assert [(fault.kind, fault.row) for fault in faults] == [
        (kind, row) for row, kind in enumerate(planted, 8)
    ]


def test_the_command_exits_with_one_and_prints_one_document(faulty):
    manifest, planted = faulty
    done = CliRunner().invoke(main, ["data", "check", str(manifest), "--json", "--workers", "1"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["counts"] == dict.fromkeys(planted, 1)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_missing_files_are_faults_and_a_missing_manifest_is_bad_input(small_corpus):
    small_corpus.write_text(HEADER + "\ngone.wav,noise,train,g,0,5,16000\n")
    (fault,) = check(small_corpus, workers=1).faults
    assert (fault.kind, fault.row) == ("unreadable", 3)  # an empty line is a line of the file too
    with pytest.raises(InputError):
        check(small_corpus.with_name("none.csv"))
    done = CliRunner().invoke(main, ["data", "check", str(small_corpus.with_name("none.csv"))])
    assert done.exit_code == 2 and done.stdout == ""


def test_two_workers_find_the_same(faulty):
    manifest, _ = faulty
    assert check(manifest, workers=2) == check(manifest, workers=1)


def test_runs_at_full_scale():
    piece = np.array([1, 1, 1, 0, -1, -1, -1, -1, 0.5, 1, 1, 1, 1, 1])
    assert clipped_samples(piece) == 9


@pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="espeakng-loader is not installed"
)
def test_synth_and_prepare_commands(tmp_path):
    run = CliRunner().invoke
    out = str(tmp_path / "made")
    done = run(main, ["data", "synth", out, "--minutes", "1", "--json"])
    assert done.exit_code == 0 and done.stderr == ""
    assert [part["split"] for part in json.loads(done.stdout)["parts"]] == [
        "train",
        "valid",
        "test",
    ] * 2
    assert run(main, ["data", "check", f"{out}/manifest.csv", "--workers", "1"]).exit_code == 0
    assert run(main, ["data", "synth", out, "--minutes", "1"]).exit_code == 2
    speech = ["--speech", f"{out}/train/speech", "--noise", f"{out}/train/noise"]
    done = run(main, ["data", "prepare", *speech, "-o", str(tmp_path / "m.csv"), "--rows", "1"])
    assert done.exit_code == 0 and "speech" in done.stdout
