"""`tinyse show [NPU]`: one hardware file."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command(name="show")
@click.argument("npu", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(npu: str | None, as_json: bool) -> None:
    """Print the hardware file of NPU with its memory systems, or the names of all."""
    import msgspec

    from tinyse.npu import hardware_names, load_hardware, load_systems

    if npu is None:
        rows = [load_hardware(name) for name in hardware_names()]
        listed = [{"name": h.name, "title": h.title, "systems": list(h.systems)} for h in rows]
        if as_json:
            click.echo(json.dumps({"schema": 1, "hardware": listed}, indent=1))
        else:
            for row in listed:
                click.echo(f"{row['name']:36} {row['title']}")
        return
    hardware = load_hardware(npu)
    found: dict[str, Any] = {
        "schema": 1,
        "hardware": _without_absent(msgspec.to_builtins(hardware)),
        "systems": [_without_absent(msgspec.to_builtins(system)) for system in load_systems(npu)],
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _print(found["hardware"], "")
    for system in found["systems"]:
        click.echo(f"\nsystem {system['name']}")
        _print({key: value for key, value in system.items() if key != "name"}, "  ")


def _without_absent(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_absent(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def _print(table: dict[str, Any], indent: str) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{key}")
            _print(value, indent + "  ")
        else:
            click.echo(f"{indent}{key} = {json.dumps(value, ensure_ascii=False)}")
