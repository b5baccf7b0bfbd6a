"""`tinyse firmware copy DIR`: the C sources and a packed model in a tree of the user's."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(name="firmware")
def command() -> None:
    """The C runtime for microcontrollers and hosts."""


@command.command(name="copy")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--model", default="lstm_256", show_default=True, help="A run, a published model or a .tflite."
)
@click.option(
    "--target",
    type=click.Choice(["m4", "m55", "host"]),
    default="m4",
    show_default=True,
    help="Processor whose kernels the packed weights are laid out for; m4 is m7's too.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def copy(folder: Path, model: str, target: str, force: bool) -> None:
    """Put the C library, a Makefile that builds it, an example and the packed model into DIR."""
    from tinyse.enhance import find_model
    from tinyse.firmware import copy_firmware

    for path in copy_firmware(folder, find_model(model).file_for("native"), target, force):
        click.echo(path)
