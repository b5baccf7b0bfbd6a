"""docs/cost_model.md: its figures are those of the JSON, and the JSON is of this code."""

from __future__ import annotations

import json

import pytest

from docs.generate import ROOT, pages
from docs.generate.cost import JSON, measured
from tests.npu.files import PUBLISHED
from tinyse.npu import find_target, hardware_names, profile

REMEDY = "run: python -m docs.generate --costs"


def test_the_table_is_up_to_date():
    for path, text in pages(("docs/cost_model.md",)).items():
        assert path.read_text("utf-8") == text, REMEDY


def test_every_hardware_file_has_its_rows():
    rows = json.loads((ROOT / JSON).read_text("utf-8"))["rows"]
    assert {row["npu"] for row in rows} == set(hardware_names()), REMEDY
    models = {path.parent.name for path in ROOT.glob("models/*/model.tflite")}
    assert {row["model"] for row in rows} == models, REMEDY


def test_one_row_is_what_the_model_says_now():
    rows = json.loads((ROOT / JSON).read_text("utf-8"))["rows"]
    row = next(r for r in rows if r["npu"] == "ethos-u55-128" and not r["variant"]
               and r["model"] == "lstm_256")  # fmt: skip
    total = profile(PUBLISHED, find_target("ethos-u55-128", "flash"))["total"]
    assert {key: row[key] for key in ("cycles", "binds")} == {
        key: total[key] for key in ("cycles", "binds")
    }, REMEDY


@pytest.mark.slow
def test_every_row_is_what_the_model_says_now():
    assert json.loads((ROOT / JSON).read_text("utf-8")) == measured(ROOT), REMEDY


def test_the_layer_by_hand_is_in_the_model():
    rows = profile(PUBLISHED, find_target("ethos-u55-128", "flash"))["operations"]
    row = next(row for row in rows if row["name"] == "lstm_1/cell_gate/recurrent")
    text = (ROOT / "docs" / "cost_model.md").read_text("utf-8")
    for key in ("npu_cycles", "cycles", "encoded_bytes", "scale_bytes"):
        assert f"{row[key]:,}" in text, key
