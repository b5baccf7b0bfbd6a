"""`tinyse doctor`: what is installed, what is missing, and the command that gets it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

# Package -> the extra that brings it and what it is for.
OPTIONAL = {
    "tflite-micro": ("tflm", "run files on TensorFlow Lite Micro"),
    "ai-edge-litert": ("litert", "run files on LiteRT"),
    "espeakng-loader": ("synth", "the embedded corpus, the demo"),
    "jinja2": ("report", "pages and cards"),
    "pystoi": ("eval", "ESTOI"),
    "pesq": ("pesq", "PESQ; builds with a C compiler"),
    "keras": ("train", "training, the float runtime"),
    "tensorflow": ("train", "Keras' default backend"),
    "soxr": ("train", "speed changes while mixing"),
    "tensorboardX": ("train", "TensorBoard logs"),
    "jax": ("jax", "Keras' other backend"),
}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(as_json) -> None:
    """Say which optional parts are there, and how to get the others."""
    found = {name: _version(name) for name in OPTIONAL}
    data = os.environ.get("TINYSE_DATA")
    if as_json:
        click.echo(json.dumps({"schema": 1, "packages": found, "data": data}, indent=1))
        return
    for name, version in found.items():
        extra, purpose = OPTIONAL[name]
        remedy = "" if version else f"; get it with: pip install 'tinyse[{extra}]'"
        click.echo(f"{'ok' if version else '--':<3} {name} {version or ''}: {purpose}{remedy}")
    where = "not set: only the embedded corpus" if data is None else data
    there = data is not None and (Path(data) / "manifest.csv").is_file()
    click.echo(f"{'ok' if there else '--':<3} TINYSE_DATA {where}")


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
