"""`tinyse doctor`: what is installed, what is missing, and the command that gets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from shutil import which

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
    "tensorflow-model-optimization": ("train", "the schedules of magnitude pruning"),
    "pyroomacoustics": ("rooms", "simulated rooms in training and in lists"),
    "jax": ("jax", "Keras' other backend"),
    "ethos-u-vela": ("npu", "profile --against vela"),
    "vl-convert-python": ("report", "the charts of tinyse report"),
    "optuna": ("sweep", "the strategies of tinyse sweep"),
    "ray": ("ray", "sweeps on a Ray cluster"),
    "websockets": ("live", "the page of tinyse live"),
    "pyrnnoise": ("peers", "RNNoise beside us in evaluate --peers"),
}

# Program -> the Debian package that brings it and what it is for.
PROGRAMS = {
    "cc": ("gcc", "the native runtime"),
    "arm-none-eabi-gcc": ("gcc-arm-none-eabi libnewlib-arm-none-eabi", "Cortex-M builds"),
    "qemu-system-arm": ("qemu-system-arm", "instructions on emulated Cortex-M"),
}
# Program -> others that do as well.
INSTEAD = {"cc": ("gcc", "clang")}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(as_json) -> None:
    """Say which optional parts are there, and how to get the others."""
    found = {name: _version(name) for name in OPTIONAL}
    programs = {name: any(map(which, (name, *INSTEAD.get(name, ())))) for name in PROGRAMS}
    data = os.environ.get("TINYSE_DATA") or None
    if as_json:
        document = {"schema": 1, "packages": found, "programs": programs, "data": data}
        click.echo(json.dumps(document, indent=1))
        return
    for name, version in found.items():
        extra, purpose = OPTIONAL[name]
        remedy = "" if version else f"; get it with: pip install 'tinyse[{extra}]'"
        click.echo(f"{'ok' if version else '--':<3} {name} {version or ''}: {purpose}{remedy}")
    for name, there in programs.items():
        package, purpose = PROGRAMS[name]
        remedy = "" if there else f"; get it with: apt-get install {package}"
        click.echo(f"{'ok' if there else '--':<3} {name}: {purpose}{remedy}")
    where = "not set: only the embedded corpus" if data is None else data
    there = data is not None and (Path(data) / "manifest.csv").is_file()
    click.echo(f"{'ok' if there else '--':<3} TINYSE_DATA {where}")


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
