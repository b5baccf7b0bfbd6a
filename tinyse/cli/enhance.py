"""`tinyse enhance IN.. -o OUT`: audio files and folders through a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command(name="enhance")
@click.argument("inputs", metavar="IN..", nargs=-1, required=True, type=_PATH)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    required=True,
    metavar="OUT",
    help="File (for one input), or folder.",
)
@click.option(
    "--model", default="lstm_256", show_default=True, help="A run, a published model, or a .tflite."
)
@click.option(
    "--runtime", default="tflm", show_default=True, help="tflm, oracle, litert or keras_model."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(inputs, output, model, runtime, workers, force, as_json) -> None:
    """Enhance audio files and folders IN.. into OUT.

    WAV, FLAC, Ogg and Opus, any rate; what is written is 16 kHz mono in the format of its suffix.
    Every input is read first: with a bad one among them nothing is written.
    """
    from tinyse.cli.progress import bar
    from tinyse.enhance.files import enhance_files, plan

    jobs = plan(inputs, output, force)
    with bar("files") as tell:
        enhance_files(jobs, model, runtime, workers, _notice, tell)
    if as_json:
        files = [{"in": str(job.source), "out": str(job.target)} for job in jobs]
        click.echo(json.dumps({"schema": 1, "model": model, "runtime": runtime, "files": files}))
        return
    for job in jobs:
        click.echo(job.target)


def _notice(line: str) -> None:
    click.echo(f"note: {line}", err=True)
