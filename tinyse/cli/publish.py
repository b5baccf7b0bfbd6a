"""`tinyse publish RUN`: a finished run becomes a published model."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource


@click.command(name="publish")
@click.argument("runs", metavar="RUN..", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: models/NAME]"
)
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A test list, read once; the first gives the headline figures.  May be repeated.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder of the audio of packaged lists.",
)
@click.option("--force", is_flag=True, help="Replace a model that is published already.")
@click.option(
    "--refresh",
    is_flag=True,
    help="RUN is a published model: measure bytes, instructions and memory of its file again, and"
    " keep its quality; or, with --against and its lists, count its losses anew.",
)
@click.option(
    "--seed-of",
    metavar="MODEL",
    help="A published model: score RUN, another seed of it, on the --list of its headline figures.",
)
@click.option(
    "--against",
    metavar="MODEL",
    help="Count losses from this published model's float network; float is the run's own."
    "  [default: the published one that RUN began with, else its own]",
)
def command(runs, output, listed, data, force, refresh, seed_of, against) -> None:
    """Export RUN, measure the file on the test lists, write its golden vectors and its card.

    Of several runs, which differ in their seed alone, the best by validation is published.
    """
    if refresh:
        # A folder from the environment is no option that was given.
        source = click.get_current_context().get_parameter_source("data")
        others = output or force or runs[1:] or seed_of
        if against is not None:
            _recount(runs[0], against, listed, data, others)
        else:
            _refresh(runs[0], listed or others or source is ParameterSource.COMMANDLINE)
        return
    if not listed:
        raise click.UsageError("give --list, a test list to measure on")
    if seed_of is not None:
        _add_seed(runs, seed_of, listed, data, output or force or against)
        return
    _publish(runs, output, listed, data, force, against)


def _refresh(model: Path, others: object) -> None:
    from tinyse.publish import refresh

    if others:
        raise click.UsageError("--refresh takes a published model and no other option")
    metrics = refresh(model, _notice)
    for core, count in metrics.get("instructions", {}).items():
        click.echo(f"{model}: {core}: {count:,} instructions a frame")


def _recount(model: Path, against: str, listed, data, others: object) -> None:
    from tinyse.cli.evaluate import chosen_list
    from tinyse.cli.progress import bar
    from tinyse.publish import recount
    from tinyse.report.content import reference_name

    if others:
        raise click.UsageError("--refresh --against takes a published model and its --list")
    with bar("rows") as tell:
        metrics = recount(model, against, [chosen_list(path, data) for path in listed], tell)
    lost = metrics["against"]["sdr_loss"]
    click.echo(f"{model}: {lost:.3f} dB SDR less than {reference_name(metrics)}")


def _add_seed(runs, model, listed, data, others: object) -> None:
    from tinyse.cli.evaluate import chosen_list
    from tinyse.cli.progress import bar
    from tinyse.publish import add_seed

    if others or len(runs) > 1 or len(listed) > 1:
        raise click.UsageError("--seed-of takes one RUN and one --list")
    with bar("rows") as tell:
        metrics = add_seed(runs[0], model, chosen_list(listed[0], data), tell)
    line = metrics["seeds"][-1]
    click.echo(
        f"{model}: seed {line['seed']}: SDR gain {line['sdr_gain']:.2f} dB,"
        f" {line['sdr_loss']:.3f} dB lost"
    )


def _notice(line: str) -> None:
    click.echo(line, err=True)


def _publish(runs, output, listed, data, force, against) -> None:
    from tinyse.cli.evaluate import chosen_list
    from tinyse.cli.progress import bar
    from tinyse.publish import publish
    from tinyse.recipe import read_recipe
    from tinyse.report.content import reference_name

    name = read_recipe(runs[0] / "recipe.toml").name
    folder = output or Path("models") / name
    first, *others = (chosen_list(path, data) for path in listed)
    with bar("rows") as tell:
        metrics = publish(
            *(runs[0], folder, first, force, tell, others),
            notice=_notice,
            seeds=runs[1:],
            against=against,
        )
    quality, against = metrics["quality"], metrics["against"]
    click.echo(
        f"{folder}: SDR gain {quality['sdr_gain']:.2f} dB, SI-SDR gain"
        f" {quality['si_sdr_gain']:.2f} dB; {against['sdr_loss']:.3f} dB SDR less than"
        f" {reference_name(metrics)}"
    )
    for verdict in metrics["behaviour"]["verdicts"]:
        if not verdict["holds"]:
            click.echo(f"does not hold: {verdict['what']}, {verdict['value']:g}", err=True)
