"""The documentation is of this code: generated parts, links, commands and targets that exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from docs.generate import PARTS, ROOT, filled, pages
from docs.generate.commands import all_commands, find_command
from docs.generate.models import models_table
from docs.generate.packages import licence_rows, pinned
from tinyse.cli import COMMANDS
from tinyse.files import read_json

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "models/*/*.md")
    for path in ROOT.glob(pattern)
)
REMEDY = "run: python -m docs.generate"
GENERATED = [
    "README.md",
    "docs/commands.md",
    "docs/firmware.md",
    "docs/formats.md",
    "firmware_harness/src/tables.c",
]


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_up_to_date(name):
    for path, text in pages((name,)).items():
        assert path.read_text("utf-8") == text, REMEDY


def test_what_stands_there_for_python_runs():
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(compile(block, "docs/design.md", "exec"), names)
    assert len(names["clean"]) == len(names["noisy"])
    assert abs(names["clean"]).max() < abs(names["noisy"]).max()
    assert names["cycles"] > 0


def test_every_pinned_package_has_a_licence():
    text = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    assert licence_rows(text) == pinned(ROOT), REMEDY


@pytest.mark.parametrize("words", list(all_commands()), ids=" ".join)
def test_every_command_has_help(words):
    command = find_command(words)
    assert command.help and command.help.strip().endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(words)}: {parameter.opts[-1]} has no help"


def test_every_command_is_documented():
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for words in all_commands():
        assert f"\n## tinyse {' '.join(words)}\n" in text
    design = (ROOT / "docs" / "design.md").read_text("utf-8").partition("## Commands")[2]
    assert set(re.findall(r"`(\w+)`", design.partition("\n## ")[0])) >= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        # A model that is being trained has its folder, but not yet its card.
        assert there.exists() or "models/" in name, f"{page}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text("utf-8")), f"{page}: {target}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands_of(page: Path) -> str:
    """The indented lines of a page and those in fences marked `sh`."""
    text = page.read_text("utf-8")
    indented = re.findall(r"^ {4,}.*$", text, re.MULTILINE)
    fenced = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    return re.sub(r"\\\n\s*", "", "\n".join([*indented, *fenced]))


def shell_lines() -> list[tuple[str, str]]:
    """(page, line) of what the pages tell people to type."""
    found = []
    for page in PAGES:
        lines = re.findall(r"^(?: {4,})?((?:make|tinyse) .*)$", commands_of(page), re.M)
        found += [(str(page.relative_to(ROOT)), re.split(r" [#<>|]", line)[0]) for line in lines]
    return found


@pytest.mark.parametrize(("page", "line"), shell_lines(), ids=lambda value: value[:60])
def test_what_people_are_told_to_type_exists(page, line):
    program, *words = shlex.split(line)
    if program == "make":
        own = words[:1] != ["-C"]  # else the library's, copied into a user's tree
        makefile = ROOT / "Makefile" if own else ROOT / "firmware_harness" / "Makefile"
        targets = re.findall(r"^([a-z-]+):", makefile.read_text("utf-8"), re.MULTILINE)
        assert {word for word in words[0 if own else 2 :] if "=" not in word} <= set(targets)
        return
    command = find_command(tuple(words[:1]))
    rest = words[1:]
    if isinstance(command, click.Group):
        command, rest = find_command(tuple(words[:2])), words[2:]
    with command.make_context("tinyse", rest, resilient_parsing=True):
        pass  # an option that is not there ends in click.UsageError


def test_readme_begins_with_the_two_commands():
    first = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:12])
    assert "make demo" in first and "make test" in first


def test_the_table_of_models_says_what_the_json_says(tmp_path):
    assert models_table(tmp_path) == "No model is published yet."
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    quality = {
        "sdr_gain": 9.876, "si_sdr_gain": 9.5, "rows": 960, "snrs_db": [-5.0, 0.0],
        "ci95": {"sdr_gain": [9.1, 10.2]}, "bootstrap": {"groups": 31},
    }  # fmt: skip
    metrics = {
        "profile": "fused", "runtime_version": "tflite-micro 1", "quality": quality,
        "bytes": {"tflite": 988_872}, "memory": {"native_flash": 130_048},
        "macs": {"nonzero": 120_001}, "instructions": {"cortex_m4": 187_000},
        "against": {"sdr_loss": -0.0123, "sdr_loss_ci95": [-0.02, 0.004]},
        "list": {"name": "mixtures_test.csv", "sha256": "ab" * 32},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = models_table(tmp_path)
    for said in ("[small](models/small/README.md)", "988,872", "130,048", "120,001", "187,000",
                 "9.88 (9.10 to 10.20)", "−0.012 (−0.020 to 0.004)", "31 speakers",
                 "960 mixtures at −5, 0 dB", "`abababababab`"):  # fmt: skip
        assert said in text, said
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1


def test_a_part_is_filled_between_its_markers_alone():
    (part,) = PARTS["README.md"]
    text = f"a\n<!-- generated: {part} -->\nold\n<!-- end: {part} -->\nb\n"
    assert filled(text, part, "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="expected one"):
        filled("no markers", part, "new")


def test_a_published_model_is_called_as_its_folder() -> None:
    """Cards and tables take the name from metrics.json, which is made in the folder of a run."""
    found = {
        path.parent.name: read_json(path)["model"] for path in ROOT.glob("models/*/metrics.json")
    }
    assert found and all(folder == name for folder, name in found.items()), found
