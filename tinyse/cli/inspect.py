"""`tinyse inspect`: what a .tflite holds and costs, from the file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(name="inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--block", "blocks", multiple=True, metavar="RxC", help="Block shape [4x4].")
@click.option(
    "--accelerator",
    default="ethos-u55-128",
    show_default=True,
    help="microNPU whose weight encoder npu_weights counts for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(model: Path, blocks: tuple[str, ...], accelerator: str, as_json: bool) -> None:
    """Sparsity, bytes and multiply-accumulates of MODEL: a .tflite, a run or a published model.

    The first --block is the shape whose live blocks are counted as multiply-accumulates.
    """
    from tinyse.audit import DEFAULT_BLOCK, inspect, parse_block
    from tinyse.cli.naming import exported_file

    shapes = tuple(parse_block(block) for block in blocks) or (DEFAULT_BLOCK,)
    found = inspect(exported_file(model), shapes, accelerator)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    from tinyse.cli.console import console

    out = console()
    macs = found["macs"]
    out.print(f"{found['file']}: {found['model'] or 'unnamed'}", highlight=False)
    for side in ("input", "output"):
        tensor = found[side]
        detail = f"scale {tensor['scale']:g}, zero point {tensor['zero_point']}"
        out.print(f"  {side:<7} {tensor['type']} {tensor['shape']}, {detail}", highlight=False)
    out.print(_layers(found))
    out.print(_sparsities(found))
    out.print(_costs(found))
    out.print(_counts("bytes", found["bytes"]))
    out.print(_counts("macs per frame", {k: macs[k] for k in ("dense", "nonzero", "live")}))
    out.print(f"live: in {macs['block']} blocks with a non-zero weight", highlight=False)
    out.print(f"npu_weights: of {found['npu_accelerator']}", highlight=False)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def _layers(found: dict[str, Any]) -> Any:
    table = _table("layer", "kind", "inputs", "units", "dead", "weights", "sparsity", "dense bytes")
    for row in found["layers"]:
        counts = [f"{row[key]:,}" for key in ("inputs", "units", "dead_units", "weights")]
        end = [f"{row['sparsity']:.2%}", f"{row['bytes']['dense']:,}"]
        table.add_row(row["name"], row["kind"], *counts, *end)
    return table


def _sparsities(found: dict[str, Any]) -> Any:
    whole = found["sparsity"]
    table = _table("sparsity", "weights", *whole["blocks"], "empty rows", "columns")
    shares = [whole["weights"], *whole["blocks"].values()]
    table.add_row("all", *[f"{share:.2%}" for share in shares])
    for row in _matrices(found):
        shares = [row["sparsity"], *row["blocks"].values()]
        empty = [str(row["empty_rows"]), str(row["empty_columns"])]
        table.add_row(row["name"], *[f"{share:.2%}" for share in shares], *empty)
    return table


def _costs(found: dict[str, Any]) -> Any:
    accounts = ("decode", "npu_weights", "bound")
    table = _table("macs, bytes", "nonzero", "live", *accounts)
    for row in _matrices(found):
        counts = [row["macs"]["nonzero"], row["macs"]["live"]]
        counts += [row["bytes"][account] for account in accounts]
        table.add_row(row["name"], *[f"{count:,}" for count in counts])
    return table


def _matrices(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for layer in found["layers"] for row in layer["matrices"]]


def _counts(title: str, counts: dict[str, int]) -> Any:
    table = _table(title, "")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table
