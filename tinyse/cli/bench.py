"""`tinyse bench [MODEL..]`: time and memory on every runtime that is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command(name="bench")
@click.argument("models", nargs=-1)
@click.option("--runtime", "runtimes", multiple=True, help="Only this one; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write bench.json here.")
@click.option("--force", is_flag=True, help="Replace the output file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(models, runtimes, output, force, as_json) -> None:
    """Measure MODELS (names, folders or .tflite files; all published ones if none is given)."""
    from tinyse.bench import RUNTIMES, bench, published_models
    from tinyse.enhance import find_model
    from tinyse.errors import InputError
    from tinyse.files import refuse_same, write_json

    if output and output.exists() and not force:
        raise InputError("already exists", output, "give --force to replace it")
    files = [find_model(model).file_for("tflm") for model in models] or published_models()
    if output:
        refuse_same(output, *files)
    if not files:
        raise InputError("there is no published model", "bench", "name a .tflite")
    result = bench(files, tuple(dict.fromkeys(runtimes)) or RUNTIMES, _tell)
    if as_json:
        click.echo(json.dumps(result, indent=1))
    else:
        for name, why in result["missing"].items():
            click.echo(f"{name}: {why}", err=True)
        _print(result)
    if output:  # last: a file that cannot be written costs no measurement
        write_json(output, result)


def _tell(line: str) -> None:
    """What comes next, for someone who watches."""
    if sys.stderr.isatty():
        click.echo(line, err=True)


def _print(result: dict) -> None:
    from rich.table import Table

    from tinyse.cli.console import print_table

    machine = result["machine"]
    title = f"{machine['processor']}, {machine['cores']} cores"
    table = Table(title=title, box=None, pad_edge=False)
    for heading in (
        "model",
        "runtime",
        "ms/frame",
        "min..max",
        "real time",
        "ratio",
        "arena bytes",
    ):
        table.add_column(heading, justify="left" if heading in ("model", "runtime") else "right")
    for model in result["models"]:
        for row in model["runtimes"]:
            arena = "" if row["arena_bytes"] is None else f"{row['arena_bytes']:,}"
            table.add_row(
                model["model"],
                row["runtime"],
                f"{row['ms_per_frame']:.4f}",
                f"{row['ms_per_frame_min']:.3f}..{row['ms_per_frame_max']:.3f}",
                f"{row['real_time']:.2%}",
                f"{row['against_first']:.4f}",
                arena,
            )
    print_table(table)
    _print_firmware(result["models"])


def _print_firmware(models: list[dict]) -> None:
    from rich.table import Table

    from tinyse.cli.console import print_table

    title = "C runtime on emulated cores, exact counts"
    table = Table(title=title, box=None, pad_edge=False)
    for heading in ("model", "core", "instructions/frame", "at 100 MHz", "flash", "arena", "stack"):
        table.add_column(heading, justify="left" if heading in ("model", "core") else "right")
    for model in models:
        for row in model["firmware"]:
            keys = ("flash_bytes", "arena_bytes", "stack_bytes")
            table.add_row(
                model["model"],
                row["runtime"],
                f"{row['instructions_per_frame']:,}",
                f"{row['load_100_mhz']:.1%}",
                *(f"{row[key]:,}" for key in keys),
            )
    if table.row_count:
        print_table(table)
