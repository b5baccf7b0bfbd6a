"""`tinyse train RECIPE`: a run from a recipe."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="train")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder that holds the corpus the recipe names.",
)
@click.option(
    "-o", "--run", "run", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]"
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    envvar="TINYSE_TRAIN_SET",
    help="Override a key.",
)
@click.option("--seed", type=int, help="Short for --set train.seed=SEED.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option(
    "--force", is_flag=True, help="Overwrite a run, or resume one that was made otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print run.json on stdout.")
def command(recipe, data, run, overrides, seed, resume, force, as_json) -> None:
    """Train RECIPE (a TOML file) into a run folder, resumable at any moment."""
    import json

    from msgspec.structs import replace

    from tinyse.recipe import read_recipe

    settings = () if seed is None else (f"train.seed={seed}",)
    refuse_twice(settings, overrides)
    asked = read_recipe(recipe, (*overrides, *settings))
    resolved = replace(asked, compress=None)
    run = run or Path("runs") / resolved.name
    # After the recipe: a mistyped key must not wait four seconds for TensorFlow.
    from tinyse.training.loop import train

    with Bar() as bar:
        record = train(resolved, data, run, resume=resume, force=force, tell=bar.tell)
    if asked.compress is not None:  # now: before an error it would be a second line
        click.echo("note: [compress] of the recipe is for tinyse compress, and left out", err=True)
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    said = f"{run}: valid SI-SDR gain {record['valid_si_sdr_gain']:.2f} dB"
    said += f" (epoch {record['best_epoch']})"
    if record["frames_per_s"]:  # of a single step no time is measured
        said += f", {record['frames_per_s']:,} frames/s"
        said += f", {record['waiting_share']:.1%} of the time waiting for data"
    click.echo(said)


def refuse_twice(settings, overrides) -> None:
    """InputError where --set gives a key that an option has given."""
    from tinyse.errors import InputError

    given = {setting.partition("=")[0] for setting in settings}
    for override in overrides:
        key = override.partition("=")[0]
        if key in given:
            what = f"{key} has an option of its own, which is given too"
            raise InputError(what, "--set", "leave one of them out")


class Bar:
    """Progress on stderr."""

    def __enter__(self) -> Bar:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("preparing", total=None)
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def tell(self, told) -> None:
        if hasattr(told, "what"):
            values = {"total": told.parts, "completed": told.done, "description": told.what}
            self._progress.update(self._task, **values)
            return
        best = f", best {told.best:.2f} dB" if told.best > -1e9 else ""
        self._progress.update(
            self._task,
            total=told.steps,
            completed=told.step,
            description=f"loss {told.epoch_loss:.2f}{best}, {told.frames_per_s:,.0f} frames/s",
        )
