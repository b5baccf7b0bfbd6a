"""Tables of docs/results.md and docs/sparsity.md hold the collected rows and published models."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from docs.generate import ROOT, collect, heard, results

ROW = {
    "case": "block:4x4, magnitude", "structure": "block:4x4", "method": "magnitude",
    "asked": 0.9, "sparsity": 0.9, "seed": 1, "backend": "jax", "precision": "bfloat16",
    "steps": 6000, "list": {"name": "mixtures_test.csv", "rows": 360},
    "against": {
        "sdr_loss": 0.6, "sdr_loss_ci95": [0.4, 0.8], "si_sdr_loss": 0.7, "estoi_loss": 0.012,
        "by_snr": {"-5": 1.0, "0": 0.7, "5": 0.5, "10": 0.2},
    },
    "bytes": {"dense": 975_872, "zip": 120_000, "native": 112_640, "npu_weights": 180_000},
    "macs": {"block": "4x4", "dense": 966_656, "nonzero": 95_000, "live": 96_665},
    "instructions": {"cortex_m4": 186_867, "cortex_m55": 51_563},
    "cycles": {results.NPU: 163_376},
}  # fmt: skip
WORSE = ROW | {"method": "offline", "against": ROW["against"] | {"sdr_loss": 4.0}}
METRICS = {
    "against": {"sdr_loss": 0.45, "sdr_loss_ci95": [0.3, 0.6]},
    "training": {"levels": [{"structure": "block:4x4"}]},
    "bytes": {"fp32": 3_875_840, "npu_weights": 170_000}, "memory": {"native_flash": 150_000},
    "macs": {"dense": 966_656, "live": 120_832},
}  # fmt: skip

HEARD = {
    "quantiles": {"5": -1.0, "50": 0.3, "95": 2.0},
    "by_noise": {
        "rain": {"rows": 25, "sdr_loss": 0.16}, "clock_tick": {"rows": 26, "sdr_loss": 2.01},
    },
    "rows": [{
        "which": "worst", "id": "valid-0079", "noise_class": "clock_tick", "snr_db": -5.0,
        "sdr_loss": 18.19, "noise": {"dense": -26.4, "sparse": -2.0},
        "speech": {"dense": -0.1, "sparse": -0.1},
    }],
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    (tmp_path / "docs" / "results").mkdir(parents=True)
    rows = {"schema": 1, "name": "curves", "rows": [WORSE, ROW]}
    (tmp_path / "docs" / "results" / "curves.json").write_text(json.dumps(rows))
    for name, units in {"lstm_256": 256, "lstm_256_block4x4": 188}.items():
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(METRICS))
        table = f"[network]\nlstm = [{units}]\ndense = [128]\n"
        (folder / "recipe.toml").write_text(f'schema = 1\nname = "{name}"\n{table}')
        np.savez(folder / "weights.npz", **{"mask/kernel": np.eye(8, 8 if units == 256 else 4)})
    return tmp_path


SAID = {
    "headline_table": (
        "0.45 (0.30 to 0.60)",
        "170,000",
        "120,832 (8.0x fewer)",
        "| 188, 128 |",
        "0.59 dB",
    ),
    "quality_table": ("| 90 % | 0.60 (0.40 to 0.80) |", "| 4.00 (", "0.012"),
    "costs_table": ("112,640", "186,867", "163,376", "| magnitude |"),
    "gates_table": ("`mask/kernel`", "| 6.2 % |"),
    "sources_table": ("jax, bfloat16, 6,000 steps", "360 rows of `mixtures_test.csv`"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_table_holds_the_figures_in_even_columns(root, name) -> None:
    text = getattr(results, name)(root)
    for said in SAID[name]:
        assert said in text, text
    lines = text.splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) >= 3


def test_a_sweep_of_a_few_cases_leaves_the_rows_of_the_others(root, tmp_path, monkeypatch) -> None:
    sweep = tmp_path / "sweep"
    (sweep / "runs" / "0").mkdir(parents=True)
    (sweep / "sweep.toml").write_text((ROOT / "docs" / "results" / "curves.toml").read_text())
    facts = {"state": "done", "case": json.dumps("weight, learned")}
    (sweep / "runs" / "0" / "row.json").write_text(json.dumps(facts))
    monkeypatch.setattr(collect, "_row", lambda folder, run: {"sparsity": 0.5})
    for _ in range(2):
        written = json.loads(collect.collect(sweep, root).read_text())["rows"]
        assert written == [WORSE, ROW, {"case": "weight, learned", "sparsity": 0.5}]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda path: path.stem
)
def test_kept_rows_are_of_cases_that_their_sweep_has(path) -> None:
    cases = tomllib.loads(path.with_suffix(".toml").read_text("utf-8"))["cases"]
    assert {row["case"] for row in json.loads(path.read_text("utf-8"))["rows"]} <= set(cases)


def test_cases_stand_by_sparsity(root) -> None:
    rows = [ROW | {"case": "learned", "asked": 0.9}, ROW | {"case": "magnitude", "asked": 0.75}]
    (root / "docs" / "results" / "methods.json").write_text(json.dumps({"rows": rows}))
    lines = results.cases_table(root, "methods").splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["magnitude", "learned"]
    assert "| 6,000 | 0.60 (0.40 to 0.80) | 0.70 | 0.012 | 180,000 | 96,665 |" in lines[2]


def test_what_costs_least_is_told_of_the_best_method(root) -> None:
    assert "offline" not in results.costs_table(root)


def test_curves_and_published_models_are_drawn(root) -> None:
    pytest.importorskip("vl_convert")
    from docs.generate.curves import curves_svg

    drawn = curves_svg(root)
    assert drawn.startswith("<svg") and "block:4x4" in drawn and "offline" in drawn
    assert drawn.count('aria-roledescription="line mark"') == 2 * 2  # a line per method and axis


@pytest.mark.parametrize("name", [*SAID, "shapes_table"])
def test_without_measurements_a_table_says_so(tmp_path, name) -> None:
    (tmp_path / "models" / "lstm_256").mkdir(parents=True)
    (tmp_path / "models" / "lstm_256" / "metrics.json").write_text(json.dumps(METRICS))
    assert getattr(results, name)(tmp_path) == results.NOTHING


def test_what_one_hears_is_told_by_noise_and_by_row(root) -> None:
    (root / heard.JSON).write_text(json.dumps({"models": {"lstm_256_block4x4": HEARD}}))
    noises = heard.noises_table(root).splitlines()
    assert "| of all rows, the median | 0.30 |" in noises
    assert noises[-2:] == ["| clock tick, 26 rows | 2.01 |", "| rain, 25 rows | 0.16 |"]
    assert "| clock tick, −5 dB | 18.19 | −26.4 / −2.0 | −0.1 / −0.1 |" in heard.rows_table(root)


def test_what_is_left_is_energy_where_one_side_is_louder() -> None:
    random = np.random.default_rng(3)
    speech, noise = np.zeros(16_000), np.zeros(16_000)
    speech[:7000], noise[9000:] = random.standard_normal(7000), random.standard_normal(7000)
    out = 0.1 * noise + speech
    assert heard._left(out, noise, speech) == pytest.approx(-20, abs=0.1)
    assert heard._left(out, speech, noise) == pytest.approx(0, abs=0.1)


def test_without_rows_heard_the_tables_say_so(tmp_path) -> None:
    assert heard.noises_table(tmp_path) == heard.rows_table(tmp_path) == heard.NOTHING
