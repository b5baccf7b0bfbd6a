"""`tinyse demo`: the whole chain on the embedded corpus."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for the file, the audio and the page; an earlier demo's are replaced.",
)
@click.option("--model", default="lstm_256_block4x4", show_default=True, help="A published model.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Draws voice and noise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(out, model, seed, as_json) -> None:
    """Export a published model, enhance a noisy recording on TFLM, and show what it costs."""
    from tinyse.demo import demo

    result = demo(out, model, seed)
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    _print(result)
    click.echo(f"listen and look: {out / 'report.html'}")


def _print(result: dict) -> None:
    from rich.table import Table

    from tinyse.cli.console import console

    recording = result["recording"]
    table = Table(title=f"{result['model']} on {result['runtime']}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for account, count in result["bytes"].items():
        table.add_row(f"bytes, {account}", f"{count:,}")
    table.add_row("arena, bytes", f"{result['tflm_arena_bytes']:,}")
    table.add_row("time per frame, ms", f"{result['ms_per_frame']:.3f}")
    table.add_row("real-time factor", f"{result['real_time']:.3f}")
    for name, key in (("SDR", "sdr"), ("SI-SDR", "si_sdr")):
        before, after = recording[f"{key}_in"], recording[f"{key}_out"]
        table.add_row(f"{name}, dB", f"{before:.2f} -> {after:.2f}")
    console().print(table)
