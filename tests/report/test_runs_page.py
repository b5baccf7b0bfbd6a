"""The page of runs: what it says, what it refuses, and that it stands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.report.run_maker import inspection, make_clips, make_run, make_weights
from tests.report.test_page import parsed
from tinyse.cli import main
from tinyse.errors import InputError, MissingExtra
from tinyse.report.clips import chosen_clips
from tinyse.report.matrices import LEVELS, cell_counts, read_layers
from tinyse.report.measures import measures
from tinyse.report.runs import read_entries
from tinyse.report.runs_page import runs_page
from tinyse.report.tradeoff import pareto_front, tradeoffs

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of five runs: one dense, three sparse, one that was never evaluated."""
    folder = tmp_path_factory.mktemp("sweep")
    make_run(folder / "dense", 0.0, 0.01)
    make_run(folder / "half", 0.5, 0.05)
    make_run(folder / "most", 0.9, 0.4)
    make_run(folder / "bad", 0.75, 0.9, structure="unit")
    make_run(folder / "unmeasured", 0.8, None)
    return folder


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    clips = make_clips(tmp_path_factory.mktemp("clips"), {"a": 3, "b": 12, "c": 7, "d": 1})
    return runs_page([runs], clips)


def without_scripts(html: str) -> str:
    return re.sub(r"<script[^>]*>.*?</script>", "", html, flags=re.DOTALL)


def test_a_page_says_every_run_and_stands_alone(page) -> None:
    text = without_scripts(page)
    tags = parsed(text)
    assert all(address.startswith("data:") for address in tags.addresses)
    assert "default-src 'none'" in page and "unsafe-eval" not in page
    said = " ".join(tags.text)
    for name in ("dense", "half / 0.5", "most / 0.9", "bad / 0.75", "unmeasured / 0.8"):
        assert name in said
    assert "Not drawn, because one of the two was not measured: unmeasured / 0.8." in said
    assert "Best of 4: b" in said and "Worst of 4: d" in said
    assert text.count("data:audio/flac") == 9


def test_every_number_of_the_table_says_how_it_was_measured(page) -> None:
    cells = re.findall(r"<td([^>]*)>([^<]*)</td>", without_scripts(page))
    numbers = [attributes for attributes, text in cells if text]
    assert len(numbers) > 30 and all("data-how=" in attributes for attributes in numbers)
    assert "90 rows of l.csv on tflite-micro 1; 95 % interval by bootstrap over 31" in page


def test_the_charts_hold_the_points_and_the_front(page) -> None:
    specs = [
        json.loads(text)
        for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    ]
    rows = {row["run"]: row for row in specs[0]["data"]["values"]}
    assert {name for name, row in rows.items() if row["front"]} == {
        "dense", "half / 0.5", "most / 0.9",
    }  # fmt: skip
    assert rows["half / 0.5"]["x"] == 2300 and rows["half / 0.5"]["y"] == 0.05
    assert rows["half / 0.5"]["structure"] == "block:4x4"
    assert all("url" not in json.dumps(spec["data"]) for spec in specs)


def test_one_point_is_no_trade_off(runs) -> None:
    html = without_scripts(runs_page([runs / "dense", runs / "unmeasured"]))
    assert "The trade-off" not in html and "Every run" in html


def test_scores_stand_by_snr_with_intervals_where_there_are_any(tmp_path) -> None:
    run = make_run(tmp_path / "r")
    document = json.loads((run / "evaluate.json").read_text())
    document["quality"]["by_snr"]["-5"]["ci95"] = {"sdr_gain": [9.0, 10.1]}
    (run / "evaluate.json").write_text(json.dumps(document))
    html = without_scripts(runs_page([run]))
    table = html.partition("<h3>Quality by signal-to-noise ratio</h3>")[2].partition("</table>")[0]
    heads = re.findall(r'<th scope="row">(.*?)</th>', table)
    assert heads == ["−5 dB", "0 dB", "5 dB", "clean", "mean"]
    assert "9.59<small>9.0 to 10.1</small>" in table and "<small>8.0 to 8.8</small>" in table


def test_runs_that_were_not_measured_alike_are_said_to_be_apart(runs, tmp_path) -> None:
    assert 'class="warning"' not in runs_page([runs])
    for name, said in (
        ("a", {"list": {"name": "m.csv", "sha256": "ef" * 32, "rows": 90}}),
        ("b", {"against": {"model": "big", "runtime": "tflm", "sdr_loss": 0.1}}),
    ):
        run = make_run(tmp_path / name)
        document = json.loads((run / "evaluate.json").read_text()) | said
        (run / "evaluate.json").write_text(json.dumps(document))  # fmt: skip
    html = runs_page([runs / "dense", tmp_path])
    assert "not measured on the same mixtures: dense, b on l.csv; a on m.csv." in html
    assert "the same network: dense, a with the float network; b with big on tflm." in html
    assert "<dd>b: SDR of big on tflm minus SDR of the file" in html


def test_a_level_takes_the_documents_of_its_run(runs) -> None:
    entries = {entry.name: measures(entry) for entry in read_entries([runs])}
    assert entries["half / 0.5"]["quality/sdr_loss"].value == 0.05
    assert entries["half / 0.5"]["quality/sdr_loss"].interval == pytest.approx((0.03, 0.07))
    assert entries["most / 0.9"]["bytes/native"].value == 700
    assert entries["dense"]["macs/live"].value == 4000
    assert "quality/sdr_loss" not in entries["unmeasured / 0.8"]


@pytest.mark.parametrize("level", [0.0, 0.87451171875])  # of int8 alone; of a budget of bytes
def test_a_level_takes_its_lines_of_the_log(tmp_path, level) -> None:
    run = make_run(tmp_path / "run", 0.5)
    (run / "levels" / "0.5").rename(run / "levels" / f"{level:g}")
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("[0.5]", f"[{level}]"))
    log = run / "log.jsonl"
    other = json.dumps({"level": 0.25, "step": 0}) + "\n" + json.dumps({"step": 0}) + "\n"
    log.write_text(other + log.read_text().replace('"level": 0.5', f'"level": {level}'))
    (entry,) = read_entries([run])
    assert len(entry.log) == 40
    assert measures(entry)["quality/sdr_loss"].value == 0.01


def test_runs_of_one_name_are_told_apart_by_the_folder_above(tmp_path) -> None:
    for place in ("old", "new"):
        make_run(tmp_path / place / "r", 0.5)
        make_run(tmp_path / place / place, 0.0)
    entries = read_entries([tmp_path / "old", tmp_path / "new"])
    assert [entry.name for entry in entries] == ["old", "old/r / 0.5", "new", "new/r / 0.5"]
    assert all(len(entry.log) == 40 for entry in entries)
    with pytest.raises(InputError, match=r"two runs are named old/r / 0\.5; rename a folder"):
        read_entries([tmp_path / "old", tmp_path / "old" / "r"])


def test_an_npu_with_weights_in_two_memories_is_two_figures(tmp_path) -> None:
    run = make_run(tmp_path / "r")
    for memory, cycles in (("flash", 900), ("sram", 300)):
        profile = {"npu": "u55", "memory": memory, "mode": "exact", "total": {"cycles": cycles}}
        (run / f"profile_{memory}.json").write_text(json.dumps(profile))
    (entry,) = read_entries([run])
    found = {key: it.value for key, it in measures(entry).items() if key.startswith("cycles/")}
    assert found == {"cycles/u55, flash": 900, "cycles/u55, sram": 300}


@pytest.mark.parametrize(
    ("models", "time"),
    [(["other"], 1.0), (["other", "r"], 2.0), (["other", "0.5"], 2.0), (["other", "third"], None)],
)
def test_times_of_another_model_are_not_taken(tmp_path, models, time) -> None:
    """A document with one model is of the run that it lies in, whatever it was called then."""
    run = make_run(tmp_path / "r", 0.5)
    rows = [
        {"model": name, "runtimes": [{"runtime": "tflm", "real_time": float(n)}]}
        for n, name in enumerate(models, 1)
    ]
    (run / "bench.json").write_text(json.dumps({"models": rows}))
    (entry,) = read_entries([run])
    found = measures(entry).get("time/tflm")
    assert (found and found.value) == time


def test_the_account_can_be_chosen_and_must_be_one(runs) -> None:
    measured = [measures(entry) for entry in read_entries([runs])]
    assert tradeoffs(measured)[0].x.key == "bytes/native"
    assert tradeoffs(measured, "bound")[0].x.key == "bytes/bound"
    with pytest.raises(InputError, match="unknown account"):
        runs_page([runs], account="size")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_nothing_on_the_front_is_beaten_and_all_else_is(points) -> None:
    front = set(pareto_front(points))
    for n, (x, y) in enumerate(points):
        beaten = any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)
        assert (n in front) != beaten


def test_a_picture_shows_which_cells_are_left() -> None:
    matrix = np.zeros((8, 6))
    matrix[:4, :4] = 1  # a full cell
    matrix[4, 0] = 1  # one of sixteen
    matrix[:4, 4:] = 1  # a full one at the edge
    assert cell_counts(matrix).tolist() == [[LEVELS - 1, LEVELS - 1], [1, 0]]


def test_layers_come_gate_by_gate_in_the_layout_of_the_file(tmp_path) -> None:
    layers = read_layers(make_weights(tmp_path, 0.5))
    assert [layer.name for layer in layers] == ["lstm_0", "lstm_1", "mask"]
    first = layers[0].pictures
    assert [p.name for p in first][:2] == ["input, from the input", "forget, from the input"]
    assert len(first) == 8 and first[0].shape == (16, 128) and first[4].shape == (16, 16)
    assert first[0].sparsity == pytest.approx(first[0].empty, abs=1e-6)


def test_clips_are_chosen_by_rule(tmp_path) -> None:
    chosen = chosen_clips(make_clips(tmp_path, {"a": 2, "b": 8, "c": 5}))
    assert [clip.title.split(",")[0] for clip in chosen] == [
        "Best of 3: b", "Median of 3: c", "Worst of 3: a",
    ]  # fmt: skip
    assert [round(clip.sdr_out - clip.sdr_in) for clip in chosen] == [8, 5, 2]


def test_one_clip_and_long_clips(tmp_path) -> None:
    (clip,) = chosen_clips(make_clips(tmp_path, {"a": 2}, seconds=9))
    assert clip.title.startswith("The only one of 1") and len(clip.noisy) == 8 * 16_000


def test_what_a_recipe_says_cannot_leave_its_script(tmp_path) -> None:
    for name in "rs":
        make_run(tmp_path / name, 0.5, 0.1, structure="</script><script>alert(1)")
    html = runs_page([tmp_path])
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html and "\\u003cscript>alert" in html


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("evaluate.json", "{", "is not JSON"),
        ("evaluate.json", "[]", "is no JSON object"),
        ("run.json", '{"valid_si_sdr_gain": "x"}', "expected a number"),
        ("inspect.json", '{"bytes": 3}', "is no table"),
        ("log.jsonl", '{"step": 1}\n{', "line 2"),
        ("log.jsonl", "[" * 100_000, "line 1"),
        ("recipe.toml", "a = ", "is not TOML"),
        ("recipe.toml", "compress = 3", "compress: expected a table, got int"),
        ("recipe.toml", "[network]\nlstm = 3", "network.lstm: expected a list"),
        ("recipe.toml", "[compress]\nlevels = 3", "compress.levels: expected a list"),
        ("metrics.json", '{"instructions": [1]}', "instructions: expected a table, got list"),
        ("evaluate.json", '{"quality": {"sdr_gain": 1}, "list": "x"}', "list: expected a table"),
        ("evaluate.json", '{"quality": {"bootstrap": "x"}}', "quality.bootstrap: expected a table"),
        ("bench.json", '{"models": 3}', "models: expected a list"),
        ("bench.json", '{"models": [{"runtimes": 3}]}', "models.runtimes: expected a list"),
        ("inspect.json", '{"layers": 3}', "layers: expected a list"),
        ("weights.npz", "no zip", "is no weights.npz"),
    ],
)
def test_a_damaged_file_is_one_line_and_exit_2(tmp_path, name, content, said) -> None:
    run = make_run(tmp_path / "r")
    (run / name).write_text(content)
    out = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(run), "-o", str(out)])
    assert done.exit_code == 2, done.output
    assert said in done.stderr and str(run / name) in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not out.exists()


def test_bytes_that_are_no_numbers_have_no_bar(tmp_path) -> None:
    run = make_run(tmp_path / "r")
    layers = [{"name": "lstm_0", "bytes": {"native": "x", "dense": "x", "bound": 3}}]
    (run / "inspect.json").write_text(json.dumps({"layers": layers}))
    assert "Bytes (bound)" in runs_page([run])


def test_a_published_model_goes_by_its_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (entry,) = read_entries([Path("lstm_256")])
    assert entry.name == "lstm_256" and "metrics.json" in entry.documents


@pytest.mark.parametrize("argument", ["nothing", "."])
def test_a_folder_without_a_run_is_refused(tmp_path, monkeypatch, argument) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["report", argument])
    assert done.exit_code == 2 and "give a run" in done.stderr and not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_force(tmp_path) -> None:
    run, out = make_run(tmp_path / "r"), tmp_path / "page.html"
    out.write_text("mine")
    assert CliRunner().invoke(main, ["report", str(run), "-o", str(out)]).exit_code == 2
    assert out.read_text() == "mine"
    done = CliRunner().invoke(main, ["report", str(run), "-o", str(out), "--force"])
    assert done.exit_code == 0 and "<title>r</title>" in out.read_text("utf-8")


def test_without_the_library_the_extra_is_named(monkeypatch, tmp_path) -> None:
    from tinyse.report import vega

    vega.library.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[report\]"):
        runs_page([make_run(tmp_path / "r")])


def test_a_run_with_next_to_nothing_is_a_page(tmp_path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "recipe.toml").write_text('name = "r"\n')
    parsed(without_scripts(runs_page([tmp_path / "r"])))


@pytest.mark.slow
def test_thirty_runs_are_under_8_mb(tmp_path) -> None:
    for n in range(30):
        run = make_run(tmp_path / "runs" / f"r{n:02}", 0.03 * n, 0.01 * n, units=256, seed=n)
        (run / "inspect.json").write_text(json.dumps(inspection(0.03 * n)))
    clips = make_clips(tmp_path / "clips", {"a": 1, "b": 2, "c": 3}, seconds=8)
    assert len(runs_page([tmp_path / "runs"], clips).encode()) < 8e6
