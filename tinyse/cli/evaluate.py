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
    help=f"List of mixtures or ready pairs, or folder of pairs.  [default: {TEST_LIST} in --data]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TINYSE_DATA",
    show_envvar=True,
    help="Folder that the list's paths start from.  [default: the list's own]",
)
@click.option(
    "--runtime", default="tflm", show_default=True, help="tflm, oracle, litert or keras_model."
)
@click.option(
    "--against", metavar="WHAT", help="Compare row by row with: float, a runtime, or another model."
)
@click.option(
    "--metrics",
    default="sdr,si_sdr,snr",
    show_default=True,
    metavar="A,B",
    help="Of sdr, si_sdr, snr, estoi, pesq.",
)
@click.option("--ceiling", is_flag=True, help="Also score the best mask any network could give.")
@click.option("--limit", type=int, metavar="N", help="N rows, spread evenly over the list.")
@click.option("--part", metavar="K/N", help="Every N-th row from the K-th.")
@click.option("--workers", type=int, help="Processes.  [default: one a core]")
@click.option("--rows", is_flag=True, help="JSON with each row's scores; implies --json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    model, listed, data, runtime, against, metrics, ceiling, limit, part, workers, rows, as_json
) -> None:
    """Score MODEL, a run, a published model's name or folder, or a .tflite, on a fixed list.

    Every row is rendered, enhanced by that very file on the runtime, and scored against its clean
    reference.
    """
    from tinyse.audio.lists import read_list
    from tinyse.cli.progress import bar
    from tinyse.errors import InputError
    from tinyse.evaluate import evaluate
    from tinyse.evaluate.text import as_text

    if listed is None and data is None:
        raise InputError("no list to score on", "--list", "give one, or --data")
    # A folder from the environment must not move the paths of a list that lies elsewhere.
    given = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
    mixtures = read_list(listed or data / TEST_LIST, data if given else None)
    with bar("rows") as tell:
        result = evaluate(
            model,
            mixtures,
            runtime,
            against=against,
            metrics=[name.strip() for name in metrics.split(",") if name.strip()],
            ceiling=ceiling,
            limit=limit,
            part=_part(part),
            workers=workers,
            with_rows=rows,
            progress=tell,
        )
    for fault in result["faults"]:
        click.echo(f"fault: {fault}", err=True)
    click.echo(
        json.dumps(result, indent=1, allow_nan=False) if as_json or rows else as_text(result)
    )


def _part(text: str | None) -> tuple[int, int] | None:
    from tinyse.errors import InputError

    if text is None:
        return None
    number, sign, parts = text.partition("/")
    if not (sign and number.isdigit() and parts.isdigit()):
        raise InputError(f"expected K/N, got {text!r}", "--part", "for example 1/4")
    return int(number), int(parts)
