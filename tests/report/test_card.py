"""The card says what the JSON files say, and nothing else."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.report.test_page import result
from tinyse.cli import main
from tinyse.errors import InputError
from tinyse.recipe import read_recipe
from tinyse.report.card import CARD, card_text, check_card, write_card

pytest.importorskip("jinja2")


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    metrics = result()
    quality = metrics["quality"]
    quality |= {"sdr_gain_median": 9.3, "sdr_gain_p5": 4.4, "snrs_db": [-5.0]}
    metrics["against"]["by_snr"] = {"-5": {"sdr_loss": 0.0456}}
    metrics |= {
        "memory": {"tflm_arena": 18_404},
        "training": {"seed": 3, "steps": 18_000, "valid_si_sdr_gain": 8.765},
        "limits": ["A limit of this model."],
    }
    manifest = {
        "files": {"model.tflite": {"sha256": "ef" * 32}},
        "bytes": {"fp32": 3_875_840, "tflite": 988_872},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "recipe.toml").write_text('schema = 1\nname = "small"\n[network]\nlstm = [64]\n')
    return folder


def test_every_figure_stands_in_the_card(folder) -> None:
    text = card_text(folder)
    for said in ("+9.10 dB", "0.012 dB", "988,872", "18,404", "LSTM 64", "18,000", "8.77",
                 "ef" * 32, "cd" * 32, "−5 dB", "0.046", "9 speakers",
                 "A limit of this model."):  # fmt: skip
        assert said in text, said
    assert "\n\n\n" not in text and text.endswith("-->\n")
    assert "&" not in text.replace("&nbsp;", "")


def test_tables_are_whole(folder) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", card_text(folder), re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
        assert re.fullmatch(r"\|(:?-+:?\|)+", block.splitlines()[1]), block


def test_a_change_of_a_figure_changes_the_card(folder) -> None:
    before = card_text(folder)
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace("9.1", "9.4"))
    assert card_text(folder) != before and "+9.40 dB" in card_text(folder)


def test_a_model_without_extras_has_a_card(folder) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    for key in ("against", "memory", "training", "limits"):
        del metrics[key]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = card_text(folder)
    assert "## Training" not in text and "lost against" not in text


def with_more(folder: Path) -> str:
    """The card of a model that was also measured by class, on another list, and by behaviour."""
    metrics = json.loads((folder / "metrics.json").read_text())
    part = {
        "rows": 6, "speakers": 3, "sdr_gain": 7.25, "si_sdr_gain": 6.5,
        "sdr_gain_ci95": [-1.0, 9.5],
    }  # fmt: skip
    metrics["quality"] |= {
        "by_noise": {
            "cafe": part | {"seen": False},
            "talker": part | {"seen": None, "speakers": 9},
        },
        "by_seen": {"unseen": part},
        "by_language": {"de": part | {"speakers": 1}},
    }
    metrics["lists"] = {
        "rooms.csv": {
            "list": {"name": "rooms.csv", "sha256": "01" * 32, "rows": 8},
            "quality": metrics["quality"] | {"sdr_gain": 4.56, "pesq_in": 1.5},
            "against": {"sdr_loss": 0.077},
        }
    }
    verdicts = [
        {"what": "noise alone", "value": 12.345, "unit": "dB", "at_least": 15.0, "holds": False},
        {"what": "silence", "value": 0, "unit": "16-bit steps", "at_most": 0, "holds": True},
    ]
    clean = {"worst_speaker": "ls-7", "worst_speaker_si_sdr_db": 21.23}
    metrics["behaviour"] = {
        "runtime": "tflm", "list": {"name": "l.csv"}, "clean": clean, "verdicts": verdicts,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return card_text(folder)


def test_more_figures_stand_in_the_card_where_they_were_measured(folder) -> None:
    plain, text = card_text(folder), with_more(folder)
    for said in ("| noise: cafe, unseen | 6 | 3 | +7.25 (−1.00 to 9.50, too narrow) | +6.50 |",
                 "| noise: talker | 6 | 9 | +7.25 (−1.00 to 9.50) | +6.50 |",
                 "classes unseen in training", "| language: de | 6 | 1 | +7.25 | +6.50 |",
                 "### On rooms.csv", "01" * 32, "+4.56 dB", "0.077 dB lost",
                 "| noise alone | 12.35 dB | at least 15 | **no** |",
                 "- Does not hold: noise alone, 12.35 dB (at least 15).",
                 "| silence | 0 16-bit steps | at most 0 | yes |", "is ls-7: 21.2 dB"):  # fmt: skip
        assert said in text, said
        assert said not in plain
    assert "\n\n\n" not in text and "## Behaviour" not in plain
    test_tables_are_whole(folder)


def test_the_command_in_the_card_gives_the_recipe_again(folder) -> None:
    recipe = folder / "recipe.toml"
    table = "[compress]\nsource='big'\nstructure='unit'\nlevels=[0.0]\nmethod='magnitude'\n"
    table += "teacher=['big', 'wider']\nsteps=9\nbudgets={'lstm_0/*'=0.5}\n"
    recipe.write_text(recipe.read_text() + table)
    text = card_text(folder)
    assert "and following `big` and `wider`, from `big`, what pruning of whole units" in text
    words = shlex.split(re.search(r"^ +tinyse (compress .*)$", text, re.M)[1])
    given = [word for last, word in itertools.pairwise(words) if last == "--set"]
    said = ("compress={}", "compress.source=big", "compress.structure=unit", "compress.steps=9")
    again = read_recipe(
        recipe, (*said, "compress.levels=[0.0]", "compress.method=magnitude", *given)
    )
    assert again == read_recipe(recipe)
    assert again.compress.teachers == ("big", "wider")


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_writes_checks_and_overwrites_only_by_force(folder) -> None:
    assert run("card", folder).exit_code == 0
    assert (folder / CARD).read_text("utf-8") == card_text(folder)
    assert run("card", folder, "--check").exit_code == 0
    assert run("card", folder).exit_code == 0  # the same text is no change
    (folder / CARD).write_text("mine")
    checked = run("card", folder, "--check")
    assert checked.exit_code == 1 and len(checked.stderr.splitlines()) == 1
    refused = run("card", folder)
    assert refused.exit_code == 2 and (folder / CARD).read_text() == "mine"
    assert run("card", folder, "--force").exit_code == 0
    check_card(folder)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("metrics.json", "{", "is not JSON"),
        ("metrics.json", "[]", "lacks"),
        ("metrics.json", '{"model": "x", "runtime": "r", "list": {}}', "lacks a figure .'quality'"),
        ("metrics.json", '{"model": "x", "runtime": "r", "list": {}, "quality": {}}', "lacks"),
        ("manifest.json", "{}", "lacks"),
        ("recipe.toml", "=", "is not TOML"),
    ],
)
def test_files_that_cannot_make_a_card_are_named(folder, file, text, says) -> None:
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        write_card(folder)
    assert file in str(caught.value)
    assert not (folder / CARD).exists()


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("quality", "by_snr", "-5", "sdr_gain"), {}, "a figure that is none"),
        (("quality", "sdr_gain"), 10**400, "a figure that is none"),
        (("quality", "ci95", "sdr_gain"), [], "a figure that is none"),
        (("limits",), "One sentence.", "limits is no list of sentences"),
    ],
)
def test_figures_of_another_kind_are_one_line(folder, keys, value, says) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    *way, last = keys
    place = metrics
    for key in way:
        place = place[key]
    place[last] = value
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=says):
        write_card(folder)
    assert not (folder / CARD).exists()


def test_a_readme_that_is_no_text_is_another_card(folder) -> None:
    (folder / CARD).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="says something else"):
        write_card(folder)
    assert run("card", folder, "--check").exit_code == 1
    (folder / CARD).unlink()
    (folder / CARD).mkdir()
    for words in ((), ("--check",), ("--force",)):
        done = run("card", folder, *words)
        assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1


def test_a_folder_without_metrics_is_no_published_model(tmp_path) -> None:
    done = run("card", tmp_path)
    assert done.exit_code == 2 and "holds no metrics.json" in done.stderr


def test_published_cards_are_up_to_date() -> None:
    models = Path(__file__).resolve().parents[2] / "models"
    for metrics in sorted(models.glob("*/metrics.json")):
        check_card(metrics.parent)
