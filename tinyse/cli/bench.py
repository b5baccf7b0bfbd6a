"""`tinyse bench [MODEL..]`: time and memory on every runtime that is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from click.core import ParameterSource


@click.command(name="bench")
@click.argument("models", nargs=-1)
@click.option("--runtime", "runtimes", multiple=True, help="Only this one; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write bench.json here.")
@click.option("--force", is_flag=True, help="Replace the output file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--profiles",
    is_flag=True,
    help="Of one MODEL with weights: bytes and time of every profile that export knows.",
)
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    help="With --profiles: what each loses on this list, too.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="Score so many rows of the list, spread evenly.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder of the audio of a packaged list.",
)
def command(models, runtimes, output, force, as_json, profiles, listed, limit, data) -> None:
    """Measure MODELS (names, folders or .tflite files; all published ones if none is given)."""
    from tinyse.errors import InputError
    from tinyse.files import write_json

    if output and output.exists() and not force:
        raise InputError("already exists", output, "give --force to replace it")
    limited = click.get_current_context().get_parameter_source("limit")
    if limited is ParameterSource.COMMANDLINE and not listed:
        raise click.UsageError("--limit is of the rows of --list")
    if profiles:
        if len(models) != 1 or runtimes:
            raise click.UsageError("--profiles takes one MODEL, and chooses the runtimes itself")
        result = _profiles(models[0], listed, limit, data, output)
    else:
        if listed:
            raise click.UsageError("--list goes with --profiles; tinyse evaluate scores a model")
        result = _runtimes(models, runtimes, output)
    if as_json:
        click.echo(json.dumps(result, indent=1))
    elif profiles:
        _print_profiles(result)
    else:
        for name, why in result["missing"].items():
            click.echo(f"{name}: {why}", err=True)
        _print(result)
    if output:  # last: a file that cannot be written costs no measurement
        write_json(output, result)


def _runtimes(models: tuple[str, ...], runtimes: tuple[str, ...], output: Path | None) -> dict:
    from tinyse.bench import RUNTIMES, bench, published_models
    from tinyse.enhance import find_model
    from tinyse.errors import InputError
    from tinyse.files import refuse_same

    files = [find_model(model).file_for("tflm") for model in models] or published_models()
    if output:
        refuse_same(output, *files)
    if not files:
        raise InputError("there is no published model", "bench", "name a .tflite")
    return bench(files, tuple(dict.fromkeys(runtimes)) or RUNTIMES, _tell)


def _profiles(
    model: str, listed: Path | None, limit: int, data: Path | None, output: Path | None
) -> dict:
    from tinyse.cli.evaluate import chosen_list
    from tinyse.compare_profiles import compare_profiles
    from tinyse.enhance import FLOAT_RUNTIME, find_model
    from tinyse.files import refuse_same

    weights = find_model(model).file_for(FLOAT_RUNTIME)
    if output:
        refuse_same(output, weights, *([listed] if listed else []))
    return compare_profiles(weights, chosen_list(listed, data) if listed else None, limit)


def _tell(line: str) -> None:
    """What comes next, for someone who watches."""
    if sys.stderr.isatty():
        click.echo(line, err=True)


def _print_profiles(result: dict) -> None:
    from rich.table import Table

    from tinyse.cli.console import print_table

    table = Table(title=f"{result['model']}, exported in every profile", box=None, pad_edge=False)
    headings = [
        "profile",
        "file bytes",
        "arena bytes",
        "operators",
        "TFLM",
        "LiteRT",
        "SDR lost, dB",
    ]
    scored = "sdr_loss_db" in result["profiles"][0]
    for heading in headings if scored else headings[:-1]:
        table.add_column(heading, justify="left" if heading == "profile" else "right")
    for row in result["profiles"]:
        ratios = (row[f"{name}_ratio"] for name in ("tflm", "litert"))
        table.add_row(
            row["profile"],
            *(f"{row[key]:,}" for key in ("tflite_bytes", "arena_bytes", "operators")),
            *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            *([f"{row['sdr_loss_db']:.3f}"] if scored else []),
        )
    print_table(table)
    click.echo(f"Time of a frame on TFLM and on LiteRT over that of {result['ratios_to']}.")


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
    for heading in (
        *("model", "core", "instructions/frame", "at 100 MHz", "front end"),
        *("flash", "arena", "stack"),
    ):
        table.add_column(heading, justify="left" if heading in ("model", "core") else "right")
    for model in models:
        for row in model["firmware"]:
            keys = ("flash_bytes", "arena_bytes", "stack_bytes")
            table.add_row(
                model["model"],
                row["runtime"],
                f"{row['instructions_per_frame']:,}",
                f"{row['load_100_mhz']:.1%}",
                f"+{row['front_end']['instructions_per_frame']:,}" if row["front_end"] else "",
                *(f"{row[key]:,}" for key in keys),
            )
    if table.row_count:
        print_table(table)
