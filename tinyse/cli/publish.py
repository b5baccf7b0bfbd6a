"""`tinyse publish RUN`: a finished run becomes a published model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="publish")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: models/NAME]"
)
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    required=True,
    help="The test list; read once, for the published figures.",
)
@click.option("--force", is_flag=True, help="Replace a model that is published already.")
def command(run, output, listed, force) -> None:
    """Export RUN, measure the file on the test list, write its golden vectors and its card."""
    from tinyse.audio.lists import read_list
    from tinyse.cli.progress import bar
    from tinyse.publish import publish
    from tinyse.recipe import read_recipe

    name = read_recipe(run / "recipe.toml").name
    folder = output or Path("models") / name
    with bar("rows") as tell:
        metrics = publish(run, folder, read_list(listed), force, tell)
    quality, against = metrics["quality"], metrics["against"]
    click.echo(
        f"{folder}: SDR gain {quality['sdr_gain']:.2f} dB, SI-SDR gain"
        f" {quality['si_sdr_gain']:.2f} dB, int8 loses {against['sdr_loss']:.3f} dB SDR to float"
    )
