"""The table of profiles: what it says of a small network, with and without a list."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse.cli import main
from tinyse.compare_profiles import compare_profiles
from tinyse.errors import InputError
from tinyse.quant import PROFILES

pytestmark = pytest.mark.slow

pytest.importorskip("tflite_micro")


def test_every_profile_has_its_row(small_model):
    table = compare_profiles(small_model)
    rows = {row["profile"]: row for row in table["profiles"]}
    assert list(rows) == list(PROFILES) and table["ratios_to"] == "fused"
    assert rows["fused"]["tflm_ratio"] == 1.0
    assert rows["fused"]["operators"] == 4 and rows["step8"]["operators"] == 24
    assert all(row["arena_bytes"] > 0 and row["tflite_bytes"] > 0 for row in rows.values())
    assert rows["fused16x8"]["refused_by"] == ["litert"]
    assert "sdr_loss_db" not in rows["fused"]


def test_no_ratio_is_one_to_another_profile_than_is_said(small_model):
    table = compare_profiles(small_model, profiles=("fused16x8", "step16x8", "step8"))
    rows = table["profiles"]
    assert table["ratios_to"] == "fused16x8" and rows[0]["refused_by"] == ["litert"]
    assert [row["litert_ratio"] for row in rows] == [None] * 3
    assert rows[0]["tflm_ratio"] == 1.0 and all(row["tflm_ratio"] for row in rows)


def test_a_network_of_another_width_is_timed(tmp_path):
    np.savez(tmp_path / "weights.npz", **float_weights((8,), (), 32, 4))
    (row,) = compare_profiles(tmp_path, profiles=("fused",))["profiles"]
    assert row["tflm_ratio"] == 1.0


def test_quality_on_a_list(small_model, tiny_corpus):
    pytest.importorskip("tensorflow")
    mixtures = tiny_corpus / "mixtures_valid.csv"
    table = compare_profiles(small_model, mixtures, 4, ("fused", "step16x8"))
    for row in table["profiles"]:
        assert row["rows"] > 0 and abs(row["sdr_loss_db"]) < 0.5


def test_a_profile_that_is_not_there(small_model):
    with pytest.raises(InputError, match="unknown profile 'wide'"):
        compare_profiles(small_model, profiles=("wide",))


def test_the_command_prints_and_writes_it(small_model, tiny_corpus, tmp_path):
    listed = ("--list", str(tiny_corpus / "mixtures_valid.csv"), "--limit", "2")
    words = ("bench", str(small_model), "--profiles", *listed, "-o", str(tmp_path / "it.json"))
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "it.json").read_text())["profiles"]
    assert all(f"{row['sdr_loss_db']:.3f}" in done.stdout for row in rows)
    assert all(f"{row['arena_bytes']:,}" in done.stdout for row in rows)
