"""`tinyse report RUN..`: one page that compares runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="report")
@click.argument("runs", metavar="RUN..", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page.",
)
@click.option(
    "--audio",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Clips of tinyse evaluate --audio: the best, the median and the worst are shown.",
)
@click.option("--account", help="Byte account of the trade-off.  [default: what most runs have]")
@click.option("--title", help="Head of the page.")
@click.option("--force", is_flag=True, help="Replace the page.")
def command(runs, out, audio, account, title, force) -> None:
    """Write one HTML page about RUN.., folders of runs, published models, or of several of them.

    The page holds what lies in the folders, and measures nothing: put there what tinyse evaluate,
    inspect, bench and profile print with --json, as evaluate.json, inspect.json, bench.json and
    profile.json.  It opens from a disk, without a network.
    """
    from tinyse.cli.progress import bar
    from tinyse.errors import InputError
    from tinyse.files import write_text
    from tinyse.report.runs_page import runs_page

    if out.exists() and not force:
        raise InputError("already exists", out, "give --force to replace it")
    with bar("runs drawn") as tell:
        page = runs_page(runs, audio, account, title, tell)
    write_text(out, page)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB")
