"""`tinyse compress RUN`: a sparse int8 run from a trained one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="compress")
@click.argument("source", metavar="RUN")
@click.option(
    "--structure", required=True, metavar="weight|block:RxC|unit", help="What goes as a whole."
)
@click.option("--sparsity", type=float, help="Share of groups (for units, of weights) that goes.")
@click.option("--levels", metavar="S,S,..", help="Several sparsities to walk through in one run.")
@click.option("--budget", type=int, metavar="BYTES", help="Bytes to reach, in place of a sparsity.")
@click.option(
    "--account",
    help="What counts the bytes of --budget: one that tinyse inspect lists, native, native_coded.",
)
@click.option(
    "--method",
    type=click.Choice(["learned", "magnitude", "offline"]),
    help="Who chooses; unless given, magnitude for units and learned for the others.",
)
@click.option("--steps", type=int, help="Training steps of every level.")
@click.option("--distill/--no-distill", default=None, help="Follow the float network's mask too.")
@click.option(
    "--resolve/--no-resolve",
    default=None,
    help="Offline, with data: solve again for what stays, or leave it as it is.",
)
@click.option(
    "--control",
    is_flag=True,
    help="For units: train the shape that is left from scratch too, into the run's control/.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder of the corpus; offline, with it survivors are solved for again.",
)
@click.option("-o", "--out", "run", type=click.Path(path_type=Path), help="Folder [runs/NAME].")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key.",
)
@click.option("--seed", type=int, help="Short for --set train.seed=SEED.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint, also of a control.")
@click.option(
    "--force", is_flag=True, help="Overwrite a run, or resume one that was made otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print run.json on stdout.")
def command(
    source,
    structure,
    sparsity,
    levels,
    budget,
    account,
    method,
    steps,
    distill,
    resolve,
    control,
    data,
    run,
    overrides,
    seed,
    resume,
    force,
    as_json,
) -> None:
    """Make RUN, a run's folder or a published model's name, sparse and int8 in the same steps.

    `--structure weight --sparsity 0` trains for int8 alone.  Method offline prunes without training
    and needs no TensorFlow.  docs/patents.md has a note on learned thresholds.
    """
    import json

    from tinyse.cli.train import Bar, refuse_twice
    from tinyse.compress import Budget, compress

    settings = [f"compress.structure={structure}"]
    settings += _levels(sparsity, levels, budget, account)
    if method is not None:
        settings.append(f"compress.method={method}")
    if steps is not None:
        settings.append(f"compress.steps={steps}")
    if distill is False:
        settings.append("compress.distil=0")
    if resolve is not None:
        settings.append(f"compress.resolve={str(resolve).lower()}")
    if seed is not None:
        settings.append(f"train.seed={seed}")
    asked = None if budget is None else Budget(budget, account)
    refuse_twice(settings, overrides)
    settings += overrides
    _refuse_without_training(settings, steps, distill, resolve and data is None)
    with Bar() as bar:
        run, record = compress(
            source, tuple(settings), data, run, asked, resume, force, control, bar.tell
        )
    if record["padded"]:
        names = ", ".join(record["padded"])
        click.echo(f"blocks at the edges are padded, which do not divide {names}", err=True)
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    for level in record["levels"]:
        gain = level.get("valid_si_sdr_gain")
        trained_in = "int8" if level.get("int8", True) else "float"
        said = "" if gain is None else f", valid SI-SDR gain {gain:.2f} dB in {trained_in}"
        click.echo(f"{run}: sparsity {level['sparsity']:.4%}{said}")
    if "budget" in record:
        spent = record["budget"]
        click.echo(
            f"{run}: {spent['bytes']:,} of {spent['limit_bytes']:,} bytes ({spent['account']})"
        )
    if control:
        found = record["control"]
        gain = f"{found['valid_si_sdr_gain']:.2f} dB in float after {found['steps']:,} steps"
        click.echo(f"{run / 'control'}: the same shape from scratch, valid SI-SDR gain {gain}")


def _refuse_without_training(settings, steps, distill, resolve) -> None:
    """What `offline` would pass over is refused where it is typed; recipes and sweeps may hold it.

    resolve : whether it is asked for without data
    """
    from tinyse.errors import InputError

    told = dict(setting.split("=", 1) for setting in settings if "=" in setting)
    if told.get("compress.method", "").strip(" '\"") != "offline":
        return
    for option, given in (("--steps", steps is not None), ("--distill", distill is not None)):
        if given:
            what = "offline trains nothing"
            raise InputError(what, option, "leave it out, or use another --method")
    if resolve:
        what = "offline solves again by mixtures, which are not given"
        raise InputError(what, "--resolve", "name the folder of the corpus with --data")
    if "compress.teacher" in told:
        raise InputError("offline follows no teacher", "compress.teacher", "leave it out")


def _levels(sparsity, levels, budget, account) -> list[str]:
    """The override for what was asked; exactly one way of asking is taken."""
    from tinyse.errors import InputError

    given = [name for name, value in _ways(sparsity, levels, budget).items() if value is not None]
    if len(given) != 1:
        what = "give one of --sparsity, --levels and --budget"
        raise InputError(f"{what}, not {' and '.join(given) or 'none'}", "tinyse compress")
    if (budget is None) != (account is None):
        missing = "--account" if account is None else "--budget"
        raise InputError("--budget and --account belong together", missing, "give both")
    if budget is not None:
        return []
    if sparsity is not None and not 0 <= sparsity < 1:
        what = f"expected a share of the groups below 1, got {sparsity:g}"
        raise InputError(what, "--sparsity", "give a share, 0.5 for half")
    # + 0.0: minus nothing is nothing.
    return [f"compress.levels=[{sparsity + 0.0 if levels is None else levels}]"]


def _ways(sparsity, levels, budget) -> dict:
    return {"--sparsity": sparsity, "--levels": levels, "--budget": budget}
