"""`tinyse check NAME..`: a fresh export against metrics.json."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="check")
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder with the lists that were published with.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(names, data, as_json) -> None:
    """Export the published models NAMES anew; exit 1 where a figure is not what was published.

    NAMES are names or folders.  The file's bytes and TFLM's arena must be the same, the SDR within
    0.02 dB; the C runtime's instructions, flash, arena and stack on emulated Cortex-M may not grow
    by more than 1 %.
    """
    from tinyse.check import check
    from tinyse.errors import CheckFailed
    from tinyse.files import find_published

    for name in names:
        find_published(name)
    results = {name: check(name, data, lambda line: click.echo(line, err=True)) for name in names}
    if as_json:
        click.echo(json.dumps({"schema": 1, "models": results}, indent=1))
    else:
        for name, rows in results.items():
            for row in rows:
                word = "ok    " if row["holds"] else "FAILED"
                click.echo(
                    f"{word} {name}: {row['figure']}: published {row['published']:,},"
                    f" fresh {row['fresh']:,}, tolerance {row['tolerance']:,}"
                )
    failed = [name for name, rows in results.items() if not all(row["holds"] for row in rows)]
    if failed:
        raise CheckFailed("a fresh export differs from metrics.json", ", ".join(failed))
