"""`tinyse export`: run or published model -> .tflite and manifest."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="export")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder [SOURCE].")
@click.option("--profile", default="fused", show_default=True, help="Form of the exported graph.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and nothing else.")
def command(source: Path, output: Path | None, profile: str, force: bool, as_json: bool) -> None:
    """Write the int8 .tflite of SOURCE: a run, a published model's folder or a weights.npz.

    Writes model.tflite and manifest.json.  Needs neither data nor TensorFlow, and the same
    weights always give the same bytes.
    """
    from tinyse.export import MANIFEST, export_model
    from tinyse.files import read_json

    folder = output or (source if source.is_dir() else source.parent)
    path = export_model(source, folder, profile, force)
    manifest = read_json(folder / MANIFEST)
    if as_json:
        click.echo(json.dumps(manifest, indent=1))
        return
    click.echo(path)
    for account, count in manifest["bytes"].items():
        click.echo(f"  {account:<7}{count:>10,} bytes")
