"""`tinyse sweep SWEEP.toml`: many runs, resumable, one row each."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="sweep")
@click.argument("plan", metavar="SWEEP.toml", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder that holds the corpus the recipes name.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder.  [default: sweeps/NAME]"
)
@click.option(
    "--where",
    default="local",
    show_default=True,
    metavar="local|ray://HOST:PORT",
    help="This machine, or a Ray cluster that sees the same folders.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Runs at a time; here they share the cores out.  [default: 1, or the cluster's cores]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as one JSON document.")
def command(plan, data, out, where, workers, as_json) -> None:
    """Run the sweep in SWEEP.toml, or go on with it where it was killed.

    Its folder holds runs/, table.csv with a row for every run that is done, and report.html.
    """
    import json

    from tinyse.cli.progress import bar
    from tinyse.errors import InputError, MissingExtra, TinySEError
    from tinyse.files import write_text
    from tinyse.sweep import sweep

    with bar("runs") as tell:
        folder, rows = sweep(plan, data, out, where, workers, tell)
    if as_json:
        click.echo(json.dumps({"schema": 1, "folder": str(folder), "rows": rows}, indent=1))
    else:
        for row in rows:
            click.echo(_line(row))
    from tinyse.report.runs_page import runs_page

    all_failed = all(row["state"] == "failed" for row in rows)
    try:
        with bar("runs drawn") as tell:
            page = runs_page([folder / "runs"], title=f"Sweep {folder.name}", progress=tell)
    except (InputError, MissingExtra) as error:
        if not all_failed:  # else the line below says why
            click.echo(f"no report: {error}", err=True)
    else:
        write_text(folder / "report.html", page)
        click.echo(f"{folder / 'report.html'}", err=True)
    if all_failed:
        what = f"{len(rows)} of {len(rows)} runs failed"
        raise TinySEError(what, folder, "see the errors in table.csv")


def _line(row: dict) -> str:
    said = [f"{key} {value}" for key, value in row.items() if "." in key]
    if "error" in row:
        return f"{row['number']}: {', '.join(said)}: failed: {row['error']}"
    for key, unit in (("valid_si_sdr_gain", " dB valid"), ("sdr_gain", " dB SDR gain")):
        if key in row:
            said.append(f"{row[key]:.2f}{unit}")
    if "bound_bytes" in row:
        said.append(f"{row['bound_bytes']:,} bytes (bound)")
    return f"{row['number']}: {row['state']}: {', '.join(said)}"
