"""`tinyse export`: run or published model -> .tflite and manifest."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="export")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder [SOURCE].")
@click.option(
    "--profile",
    default="fused",
    show_default=True,
    help="fused, fused16x8, step16x8 or step8: width of activations, states inside or outside."
    " What each costs: tinyse bench --profiles.",
)
@click.option(
    "--pack",
    "packing",
    type=click.Choice(["none", "native"]),
    default="none",
    show_default=True,
    help="native: also the blob, the coded blob and the C files of the C runtime.",
)
@click.option(
    "--target",
    type=click.Choice(["m4", "m55", "host"]),
    default="m4",
    show_default=True,
    help="Processor whose kernels the packed weights are laid out for; m4 is m7's too.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and nothing else.")
def command(source, output, profile, packing, target, force, as_json) -> None:
    """Write the int8 .tflite of SOURCE: a run, a published model or a weights.npz.

    Writes model.tflite and manifest.json.  Needs neither data nor TensorFlow, and the same
    weights and name (of the recipe, else the folder) always give the same bytes.
    """
    from tinyse.export import MANIFEST, export_model
    from tinyse.files import read_json
    from tinyse.pack.files import ACCOUNT, native_files

    source, folder = _places(source, output)
    packed = None if packing == "none" else lambda file: native_files(file.network, target)
    path = export_model(source, folder, profile, force, packed=packed)
    manifest = read_json(folder / MANIFEST)
    if as_json:
        click.echo(json.dumps(manifest, indent=1))
        return
    click.echo(path)
    for account, count in manifest["bytes"].items():
        click.echo(f"  {account:<7}{count:>10,} bytes")
    if packing == "native":
        _print_account(read_json(folder / ACCOUNT), manifest["bytes"]["bound"])


def _places(source: Path, output: Path | None) -> tuple[Path, Path]:
    """What is exported, and into which folder; that of a published model's name is ours."""
    from tinyse.errors import InputError
    from tinyse.files import packaged

    if source.suffix == ".tflite":
        remedy = "give its run, or for C files: tinyse firmware copy DIR --model FILE"
        raise InputError("is an exported file", source, remedy)
    published = packaged("models", source.name)
    named = source == Path(source.name) and not source.exists()
    if not (named and published.is_dir()):
        return source, output or (source if source.is_dir() else source.parent)
    if output is None:
        raise InputError("comes with tinyse", source, "name a folder to export into with -o")
    return published, output


def _print_account(account: dict, bound: int) -> None:
    for name, count in account["bytes"].items():
        click.echo(f"  {name:<13}{count:>10,} bytes  (target {account['target']})")
    for owner, parts in account["layers"].items():
        listed = ", ".join(f"{p.removesuffix('_bytes')} {n:,}" for p, n in parts.items())
        click.echo(f"    {owner:<11}{sum(parts.values()):>10,}  {listed}")
    click.echo(f"  bound of the weights alone {bound:,} bytes; arena {account['arena_bytes']:,}")
    if account["slow"]:
        click.echo(f"  slow (docs/firmware.md says why): {', '.join(account['slow'])}")
