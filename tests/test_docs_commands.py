"""Every block of commands in README and docs is run, in order, as it stands.

A block is a fence marked `sh`.  What a page's blocks need lies in a folder: the published models,
examples, a noisy recording as noisy.wav, noisy.raw and where the demo leaves one, folders of speech
and noise.  Blocks of a page share that folder.  A comment on the line above a block says what
differs:

    <!-- slow -->               run by the slow tests
    <!-- needs: PROGRAM .. -->  skipped where a program is not installed
    <!-- not run: WHY -->       skipped, and the reason is what pytest prints

Commands that are not in such a block are refused here, so that none is skipped by accident.
Trainings are made short through the environment, as any option can be given.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from tests.conftest import ROOT
from tinyse.sweep.plan import read_plan

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?: {4,}|\$ )(?:(?:tinyse|make|python|pip|\.) |_TINYSE)", re.MULTILINE)
SHORT = {
    "TINYSE_DATA_PREPARE_ROWS": "4",
    "TINYSE_TRAIN_SET": "network.lstm=[8] network.dense=[] train.steps_per_epoch=2"
    " train.epochs=1 train.batch=2 train.frames=40",
    "TINYSE_COMPRESS_SET": "mixing.rooms=2 train.batch=2 train.frames=40",
}


@dataclass(frozen=True)
class Block:
    """A fence: its page, number, language, text and what the comment above it says."""

    page: Path
    number: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.number}"


def blocks(page: Path) -> list[Block]:
    """The page's fences, in order."""
    found = FENCE.findall(page.read_text("utf-8"))
    return [Block(page, n, kind, text, mark) for n, (mark, kind, text) in enumerate(found, 1)]


BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language == "sh"]


def marked(block: Block) -> object:
    """The block as a parameter of a test, slow or skipped where its mark says so."""
    word, _, rest = block.mark.partition(":")
    marks = {
        "": [],
        "slow": [pytest.mark.slow],
        "needs": [pytest.mark.slow],
        "not run": [pytest.mark.skip(reason=f"{block} is not run: {rest.strip()}")],
    }[word]
    return pytest.param(block, marks=marks, id=str(block))


@pytest.fixture(scope="module")
def places(tmp_path_factory, tiny_corpus):
    """Page -> its folder, with all that commands may name."""
    made: dict[str, Path] = {}

    def of(page: Path) -> Path:
        if page.name not in made:
            made[page.name] = tmp_path_factory.mktemp(page.stem)
            _furnish(made[page.name], tiny_corpus)
        return made[page.name]

    return of


def _furnish(folder: Path, corpus: Path) -> None:
    for name in ("models", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for kind in ("speech", "noise"):
        for path in corpus.glob(f"*/{kind}/*.flac"):
            target = folder / kind / path.stem / path.name
            target.parent.mkdir(parents=True)
            shutil.copyfile(path, target)
    samples, rate = soundfile.read(next((folder / "noise").rglob("*.flac")), dtype="int16")
    for place in (folder, folder / "out" / "demo"):  # what make demo leaves
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / "noisy.wav", samples[:24_000], rate)
    (folder / "noisy.raw").write_bytes(samples[:24_000].astype("<i2").tobytes())


@pytest.mark.parametrize("block", [marked(block) for block in SHELL])
def test_a_block_of_commands_runs(block, places, tmp_path):
    if block.mark.startswith("needs:"):
        for program in block.mark.split()[1:]:
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
    if "train" in block.text:
        pytest.importorskip("tensorflow")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TINYSE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", block.text],
        cwd=places(block.page),
        env=kept | SHORT | {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_outside_a_block(page):
    if page.name == "commands.md":
        return  # help texts, generated
    prose = FENCE.sub("", page.read_text("utf-8"))
    assert COMMAND.findall(prose) == []


def test_every_mark_is_known_and_every_language():
    assert {block.mark.partition(":")[0] for block in SHELL} <= {"", "slow", "needs", "not run"}
    assert {block.language for block in BLOCKS} <= {"sh", "toml", "text", "c", "python"}


def test_what_is_not_run_is_known():
    """A block joins this list by a decision, not by a mark that somebody adds in passing."""
    left = [f"{block.page.name}: {block.text.split()[0]}" for block in SHELL if "not" in block.mark]
    assert left == [
        "README.md: make", "README.md: make", "README.md: tinyse", "firmware.md: make",
        "formats.md: tinyse", "live.md: tinyse", "live.md: arecord",
        "sweep.md: GRPC_ENABLE_FORK_SUPPORT=0", "training.md: export", "training.md: for",
    ]  # fmt: skip


def test_the_sweep_of_the_page_is_a_sweep(tmp_path):
    (block,) = [block for block in BLOCKS if block.language == "toml"]
    (tmp_path / "sweep.toml").write_text(block.text)
    plan = read_plan(tmp_path / "sweep.toml")
    assert plan.name == "blocks" and len(plan.choices()) == 3
