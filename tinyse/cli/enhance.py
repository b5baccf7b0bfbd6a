"""`tinyse enhance IN.. -o OUT`: audio files, folders, or raw sound in a pipe, through a model."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)
_PIPE = Path("-")


@click.command(name="enhance")
@click.argument("inputs", metavar="IN..", nargs=-1, required=True, type=_PATH)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    metavar="OUT",
    help="File (for one input), or folder; for - it is - too.",
)
@click.option(
    "--model", default="lstm_256", show_default=True, help="A run, a published model, or a .tflite."
)
@click.option(
    "--runtime",
    default="tflm",
    show_default=True,
    help="tflm, native (fastest), oracle, litert or keras_model.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(inputs, output, model, runtime, workers, force, as_json) -> None:
    """Enhance audio files and folders IN.. into OUT.

    WAV, FLAC, Ogg and Opus, any rate; what is written is 16 kHz mono in the format of its suffix.
    Every input is read first: with a bad one among them nothing is written.

    With - as IN, raw samples go from stdin to stdout as they come: 16-bit little-endian, 16 kHz,
    mono, with 32 ms of algorithmic latency.
    """
    if _PIPE in (*inputs, output):
        _pipe(inputs, output, model, runtime, as_json)
        return
    if output is None:
        raise click.MissingParameter(param_hint="'-o' / '--output'", param_type="option")
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


def _pipe(inputs: tuple[Path, ...], output: Path | None, model, runtime, as_json: bool) -> None:
    from tinyse.enhance import open_stream
    from tinyse.enhance.pcm import REMEDY, enhance_pcm
    from tinyse.errors import InputError

    if inputs != (_PIPE,) or output not in (None, _PIPE):
        raise InputError("a pipe has one end in and one out", "-", "write: tinyse enhance - -o -")
    if as_json:
        raise InputError("stdout carries the sound", "--json", "leave it out")
    onward = "send it on: | aplay -f S16_LE -r 16000, or > FILE"
    for name, end, remedy in (("stdin", sys.stdin, REMEDY), ("stdout", sys.stdout, onward)):
        if end is None or end.isatty():
            raise InputError("is closed" if end is None else "is a terminal", name, remedy)
    passed = enhance_pcm(sys.stdin.buffer, sys.stdout.buffer, open_stream(model, runtime))
    if passed.cut_off:
        # What the buffer still holds must not be written again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if passed.odd_byte:
        _notice("stdin ended inside a sample; its one byte is left out")
    if passed.times_real_time < 1:
        _notice(f"{runtime} is too slow to listen to: {passed.times_real_time:.2f}x real time")


def _notice(line: str) -> None:
    click.echo(f"note: {line}", err=True)
