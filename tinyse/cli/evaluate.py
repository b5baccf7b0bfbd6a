"""`tinyse evaluate MODEL`: quality of an exported file on a fixed list."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.core import ParameterSource

TEST_LIST = "mixtures_test.csv"


@click.command(name="evaluate")
@click.argument("model")
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    metavar="L.csv",
    help=f"Mixtures, ready pairs, a folder of pairs, or a packaged list's name."
    f"  [default: {TEST_LIST} in --data]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder that the list's paths start from.  [default: the list's own]",
)
@click.option(
    "--runtime",
    default="tflm",
    show_default=True,
    help="tflm, native, oracle, litert or keras_model.",
)
@click.option(
    "--against",
    metavar="WHAT",
    help="Compare row by row with: float, a runtime, another model, or MODEL:float, MODEL:RUNTIME.",
)
@click.option(
    "--metrics",
    default="sdr,si_sdr,snr",
    show_default=True,
    metavar="A,B",
    help="Of sdr, si_sdr, snr, estoi, pesq.",
)
@click.option("--ceiling", is_flag=True, help="Also score the best mask any network could give.")
@click.option(
    "--peers", is_flag=True, help="Other methods on the same rows: a Wiener filter, RNNoise, float."
)
@click.option(
    "--behaviour",
    "with_behaviour",
    is_flag=True,
    help="Also clean speech, silence, noise alone, levels, the start, an hour without reset.",
)
@click.option("--limit", type=int, metavar="N", help="N rows, spread evenly over the list.")
@click.option("--part", metavar="K/N", help="Every N-th row from the K-th.")
@click.option("--worst", type=int, metavar="N", help="Name the N rows of the lowest SDR gain.")
@click.option(
    "--audio",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write noisy, enhanced and clean sound of the --worst rows there.",
)
@click.option("--force", is_flag=True, help="Write into a DIR that holds something already.")
@click.option(
    "--where",
    default="local",
    show_default=True,
    metavar="local|ray://HOST:PORT",
    help="This machine, or a Ray cluster that sees the same folders.",
)
@click.option("--workers", type=int, help="Processes.  [default: one a core]")
@click.option("--rows", is_flag=True, help="JSON with each row's scores; implies --json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    model, listed, data, runtime, against, metrics, ceiling, peers, with_behaviour, limit, part,
    worst, audio, force, where, workers, rows, as_json,
) -> None:  # fmt: skip
    """Score MODEL, a run, a published model's name or folder, or a .tflite, on a fixed list.

    Every row is rendered, enhanced by that very file on the runtime, and scored against its clean
    reference.
    """
    from tinyse.cli.progress import bar
    from tinyse.errors import InputError
    from tinyse.evaluate import PEERS, evaluate, refuse_used, write_worst
    from tinyse.evaluate.text import as_text

    if listed is None and data is None:
        raise InputError("no list to score on", "--list", "give one, or --data")
    if audio is not None:
        if worst is None:
            raise InputError("of which rows?", "--audio", "give --worst N")
        refuse_used(audio, force)
    mixtures = chosen_list(listed, data)
    if with_behaviour:  # what it cannot run is said before an hour of scoring
        from tinyse.behaviour import sources_of

        sources_of(model, runtime)
    with bar("rows") as tell:
        result = evaluate(
            model,
            mixtures,
            runtime,
            against=against,
            metrics=[name.strip() for name in metrics.split(",") if name.strip()],
            ceiling=ceiling,
            peers=PEERS if peers else (),
            limit=limit,
            part=_part(part),
            workers=workers,
            where=where,
            with_rows=rows,
            worst=worst,
            progress=tell,
        )
    if with_behaviour:
        result["behaviour"] = _behaviour(model, mixtures, runtime, limit, where, workers)
    for fault in result["faults"]:
        click.echo(f"fault: {fault}", err=True)
    click.echo(
        json.dumps(result, indent=1, allow_nan=False) if as_json or rows else as_text(result)
    )
    if with_behaviour and not (as_json or rows):
        from tinyse.behaviour import as_text as behaviour_text

        click.echo("\n" + behaviour_text(result["behaviour"]))
    if audio is not None:  # last: a folder that cannot be written costs no score
        write_worst([row["id"] for row in result["worst"]], mixtures, model, audio, runtime)


def _behaviour(model, mixtures, runtime, limit, where, workers) -> dict:
    from tinyse.behaviour import ROWS, behaviour
    from tinyse.cli.progress import bar

    with bar("rows heard") as tell:
        return behaviour(
            model,
            mixtures,
            runtime,
            limit=limit or ROWS,
            workers=workers,
            where=where,
            progress=tell,
        )


def chosen_list(listed: Path | None, data: Path | None):
    """The list at a path, packaged or in the data folder, whose audio lies where it should.

    A folder from the environment does not move the paths of a list that lies elsewhere; one from
    the command line does.
    """
    from tinyse.audio.lists import find_list, read_list

    if listed is None:
        assert data is not None  # one of both was asked for
        return read_list(data / TEST_LIST)
    given = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
    if given and listed.exists():
        return read_list(listed, data)
    return find_list(listed, data)


def _part(text: str | None) -> tuple[int, int] | None:
    from tinyse.errors import InputError

    if text is None:
        return None
    number, _, parts = text.partition("/")
    try:
        return int(number), int(parts)
    except ValueError as error:
        raise InputError(f"expected K/N, got {text!r}", "--part", "for example 1/4") from error
