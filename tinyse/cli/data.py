"""`tinyse data`: make the embedded corpus, index folders, read everything once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyse.errors import CheckFailed

if TYPE_CHECKING:
    from tinyse.audio.corpora import Corpus, Kind, Split
    from tinyse.audio.data_check import Checked

_FOLDER = click.Path(path_type=Path)
_SHOWN = 50  # faults that are printed; --json has all


@click.group()
def command() -> None:
    """Make, index and check speech and noise corpora."""


@command.command()
@click.argument("out", type=_FOLDER)
@click.option(
    "--minutes", type=float, default=60.0, show_default=True, help="Speech and noise together."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Draws voices and noise.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--force", is_flag=True, help="Replace the corpus in OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def synth(out: Path, minutes: float, seed: int, workers: int, force: bool, as_json: bool) -> None:
    """Make a corpus of synthetic speech and noise in the new folder OUT.

    FLAC at 16 kHz, manifest.csv, mixtures_valid.csv and mixtures_test.csv, the same for the same
    minutes and seed.  Needs the extra `synth`.
    """
    from tinyse.audio.synth import make_corpus
    from tinyse.cli.progress import bar

    with bar("files made") as tell:
        corpus = make_corpus(out, minutes, seed, workers, force, progress=tell)
    _print_corpus(corpus, as_json)


@command.command()
@click.argument("folders", type=_FOLDER, nargs=-1)
@click.option("-o", "--out", type=_FOLDER, required=True, help="The manifest to write.")
@click.option("--speech", type=_FOLDER, multiple=True, help="A folder of clean speech.")
@click.option("--noise", type=_FOLDER, multiple=True, help="A folder of noise.")
@click.option("--valid", type=float, default=0.1, show_default=True, help="Share of the groups.")
@click.option("--test", type=float, default=0.1, show_default=True, help="Share of the groups.")
@click.option("--rows", type=click.IntRange(1, 1000), default=40, show_default=True,
              help="Rows of each list for each headline SNR.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Draws the lists."
)
@click.option("--force", is_flag=True, help="Replace the manifest and the lists beside it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def prepare(
    folders: tuple[Path, ...],
    out: Path,
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    valid: float,
    test: float,
    rows: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Index FOLDERS and write a manifest with validation and test lists beside it.

    FOLDERS are corpora of a known shape: VoiceBank-DEMAND, DEMAND, DNS Challenge, MS-SNSD, CHiME2.
    Anything else is named with --speech and --noise.
    """
    from tinyse.audio.prepare import prepare as index
    from tinyse.cli.progress import bar

    with bar("files indexed") as tell:
        corpus = index(
            folders, out, speech=speech, noise=noise, valid=valid, test=test, rows=rows,
            seed=seed, force=force, notices=_notice, progress=tell,
        )  # fmt: skip
    _print_corpus(corpus, as_json)


@command.command()
@click.argument("manifest", type=_FOLDER)
@click.option(
    "--where",
    default="local",
    show_default=True,
    metavar="local|ray://HOST:PORT",
    help="This machine, or a Ray cluster that sees the same folders.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one a core).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(manifest: Path, where: str, workers: int | None, as_json: bool) -> None:
    """Read every file of MANIFEST once and report the bad ones; exit 1 when there are any."""
    from tinyse.audio.data_check import check as read_all
    from tinyse.cli.progress import bar

    with bar("files read") as tell:
        checked = read_all(manifest, workers, tell, where)
    if as_json:
        click.echo(json.dumps(_check_document(checked), ensure_ascii=False, indent=1))
    else:
        _print_check(checked)
    if checked.faults:
        kinds = ", ".join(f"{count} {kind}" for kind, count in checked.counts().items())
        raise CheckFailed(kinds, manifest, "correct or remove these rows")


@command.command()
@click.argument("manifest", type=_FOLDER)
@click.option("-o", "--out", type=_FOLDER, required=True, help="The CSV file to write.")
@click.option("--split", type=click.Choice(["valid", "test"]), default="valid", show_default=True,
              help="Whose speakers and noises.")  # fmt: skip
@click.option("--rows", type=click.IntRange(1, 1000), default=40, show_default=True,
              help="Rows for each headline SNR.")  # fmt: skip
@click.option(
    "--rooms", is_flag=True, help="Each row in a simulated room, other talkers among the noises."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Draws the rows."
)
@click.option("--force", is_flag=True, help="Replace OUT.")
def draw(
    manifest: Path, out: Path, split: Split, rows: int, rooms: bool, seed: int, force: bool
) -> None:
    """Draw a fixed mixture list from a split of MANIFEST.

    The same manifest, rows and seed give the same list.  Rooms need the extra `rooms`.
    """
    from tinyse.audio.corpora import read_manifest
    from tinyse.audio.draw_lists import write_list
    from tinyse.audio.tables import refuse_no_csv
    from tinyse.errors import InputError
    from tinyse.files import refuse_same

    refuse_no_csv(out, "list", "mixtures.csv")
    if out.exists() and not force:
        raise InputError("is there already", out, "give --force to replace it")
    refuse_same(out, manifest)
    write_list(read_manifest(manifest), split, out, rows, seed, rooms)
    click.echo(str(out))


def _check_document(checked: Checked) -> dict[str, object]:
    import msgspec

    return {"schema": 1, **msgspec.to_builtins(checked), "counts": checked.counts()}


def _print_check(checked: Checked) -> None:
    for fault in checked.faults[:_SHOWN]:
        click.echo(f"row {fault.row}  {fault.kind:11} {fault.path}: {fault.text}")
    if len(checked.faults) > _SHOWN:
        click.echo(f"... and {len(checked.faults) - _SHOWN} more (--json has all)")
    click.echo(
        f"{checked.files} files, {checked.intervals} intervals, {checked.minutes:.1f} minutes,"
        f" {len(checked.faults)} faults"
    )


def _print_corpus(corpus: Corpus, as_json: bool) -> None:
    from tinyse.audio.corpora import KINDS, SPLITS

    parts = [_part(corpus, kind, split) for kind in KINDS for split in SPLITS]
    manifest = str(corpus.root / corpus.name)
    if as_json:
        document = {"schema": 1, "manifest": manifest, "sha256": corpus.sha256, "parts": parts}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    click.echo(manifest)
    for part in parts:
        click.echo("{kind:7} {split:6} {minutes:8.1f} minutes  {groups:5} groups".format(**part))


def _part(corpus: Corpus, kind: Kind, split: Split) -> dict[str, Any]:
    from tinyse.audio.corpora import RATE

    intervals = corpus.select(kind, split)
    minutes = sum(interval.samples for interval in intervals) / RATE / 60
    groups = len({interval.group for interval in intervals})
    return {"kind": kind, "split": split, "minutes": round(minutes, 2), "groups": groups}


def _notice(text: str) -> None:
    click.echo(text, err=True)
