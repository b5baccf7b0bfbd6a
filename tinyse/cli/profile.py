"""`tinyse profile F.tflite`: what a file costs on a microNPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click


@click.command(name="profile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--npu", default="ethos-u55-128", show_default=True, help="Name or hardware file.")
@click.option("--memory", help="Where weights lie: flash, sram or dram [the NPU's first].")
@click.option("--system", help="Memory system [the NPU's first with that memory].")
@click.option("--mode", default="vela", show_default=True, help="vela or measured.")
@click.option("--what-if", "what_if", default="", help="Overrides: key=value,key=value.")
@click.option("--all", "rank", is_flag=True, help="Rank every hardware file.")
@click.option("--advise", is_flag=True, help="Say what would pay, with the --what-if of each line.")
@click.option("--against", help="Compare with another estimator: vela.")
@click.option("--operations", is_flag=True, help="Show every NPU operation, not only layers.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write a page here.")
@click.option("--force", is_flag=True, help="Replace the page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    model,
    npu,
    memory,
    system,
    mode,
    what_if,
    rank,
    advise,
    against,
    operations,
    html,
    force,
    as_json,
) -> None:
    """Cycles, bytes and energy of MODEL on an Arm Ethos-U, from the exported file alone.

    MODEL is a .tflite, a run or a published model.

    --what-if takes clock, MEMORY.bandwidth, MEMORY.latency, tile, encoded, sparsity,
    LAYER.sparsity, block, levels and limit; docs/cost_model.md says in what units.
    """
    from tinyse.cli.naming import exported_file
    from tinyse.npu import (
        MODES,
        changed_target,
        compare,
        default_memory,
        find_target,
        hardware_names,
        parse_what_if,
        profile,
        ranking,
    )
    from tinyse.npu import advise as advice

    file = exported_file(model)
    _check_choices(mode, MODES, against, rank, advise, system)
    _check_page(html, file, rank or advise, force)
    asked = parse_what_if(what_if)
    memory = memory or default_memory(npu)
    target = find_target(npu, memory, system)
    if rank:
        names = [*hardware_names(), *([npu] if npu not in hardware_names() else [])]
        targets = [find_target(name, memory) for name in names if _has(name, memory)]
        found: Any = {
            "schema": 1,
            "file": file.name,
            "ranking": ranking(file, targets, mode, asked),
        }
        show: Callable[..., None] = _print_ranking
    elif advise:
        found = {"schema": 1, "file": file.name, "npu": target.hardware.name,
                 "advice": advice(file, target, mode, what_if)}  # fmt: skip
        show = _print_advice
    else:
        found = profile(file, target, mode, asked)
        if against:
            found = compare(file, changed_target(target, asked), found)
        show = _print_profile
    if html:
        from tinyse.files import write_text
        from tinyse.report.profile_page import profile_page

        write_text(html, profile_page(found))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif show is _print_profile:
        _print_profile(found, operations)
    else:
        show(found)


def _check_choices(mode, modes, against, rank, advise, system) -> None:
    from tinyse.errors import InputError

    if mode not in modes:
        raise InputError(f"unknown mode {mode!r}", "--mode", f"use {' or '.join(modes)}")
    if against not in (None, "vela"):
        raise InputError(f"unknown estimator {against!r}", "--against", "use vela")
    if sum(map(bool, (rank, advise, against))) > 1:
        raise InputError("--all, --advise and --against are three questions", "profile", "ask one")
    if rank and system:
        raise InputError("is one NPU's, and --all ranks every one", "--system", "give --memory")
    if against and mode != "vela":
        raise InputError("Vela agrees with --mode vela alone", "--mode", "leave it out")


def _check_page(html, file, asks_more, force) -> None:
    from tinyse.errors import InputError
    from tinyse.files import refuse_same

    if html is None:
        return
    refuse_same(html, file)
    if asks_more:
        raise InputError("is a page of one profile", "--html", "leave out --all and --advise")
    if html.exists() and not force:
        raise InputError("already exists", html, "give --force to replace it")


def _has(name: str, memory: str) -> bool:
    from tinyse.npu import load_systems

    return memory == "sram" or memory in {system.external.kind for system in load_systems(name)}


def _table(*columns: str, names: int = 1) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        is_name = index < names
        justify: Literal["left", "right"] = "left" if is_name else "right"
        table.add_column(column, justify=justify, no_wrap=not is_name, overflow="fold")
    return table


def _print_profile(found: dict[str, Any], operations: bool) -> None:
    from tinyse.cli.console import console

    out = console(highlight=False, soft_wrap=True)
    total, memory = found["total"], found["memory"]
    note = " (hypothetical)" if found["hypothetical"] else ""
    out.print(
        f"{found['file']} on {found['npu']}{note}, {found['system']}, weights in {memory},"
        f" {found['clock_hz'] / 1e6:g} MHz, mode {found['mode']}"
    )
    rows = found["layers"]
    if operations:
        rows = [{**row, "name": f"{row['kind']} {row['name']}"} for row in found["operations"]]
    rows = [*rows, {**total, "name": "total"}]
    out.print(_cycles(rows, memory, "vela" in found and operations))
    out.print(_weights(rows))
    out.print(_totals(total))
    if "vela" in found:
        out.print(_vela(found["vela"]))
    energy, why = total["energy_uj"], found["assumptions"]
    out.print(
        f"energy {energy['all']:g} uJ a call: weights {energy['weights']:g},"
        f" SRAM {energy['sram']:g}, multiply-accumulates {energy['macs']:g}"
    )
    out.print(
        f"  assuming {why['weights_pj_per_byte']:g} pJ a byte of weights,"
        f" {why['sram_pj_per_byte']:g} of SRAM, {why['mac_pj']:g} pJ a multiply-accumulate;"
        " no part was measured"
    )


def _cycles(rows: list[dict], memory: str, with_vela: bool) -> Any:
    columns = ("cycles", *(("Vela",) if with_vela else ()), "NPU", "array", "decode", memory)
    table = _table("layer", "waits for", *columns, names=2)
    keys = ("npu_cycles", "array_cycles", "decode_cycles", "weight_memory_cycles")
    for row in rows:
        vela = (str(row.get("vela_cycles", "")),) if with_vela else ()
        numbers = (f"{row[key]:,}" for key in keys)
        table.add_row(row["name"], row["binds"], f"{row['cycles']:,}", *vela, *numbers)
    return table


def _weights(rows: list[dict]) -> Any:
    table = _table("layer", "macs", "non-zero", "in live tiles", "live", "tiles", "encoded B",
                   "scales B")  # fmt: skip
    keys = ("macs_dense", "macs_nonzero", "macs_live", "tiles_live", "tiles", "encoded_bytes",
            "scale_bytes")  # fmt: skip
    for row in rows:
        if row["weights"]:
            table.add_row(row["name"], *(f"{row[key]:,}" for key in keys))
    return table


def _totals(total: dict[str, Any]) -> str:
    return (
        f"latency {total['latency_ms']:.3f} ms, {total['frame_share']:.2%} of a frame of 16 ms\n"
        f"flash {total['flash_bytes']:,} bytes, SRAM at most {total['sram_peak_bytes']:,}\n"
        f"traffic {total['weight_traffic_bytes']:,} bytes of weights,"
        f" {total['sram_traffic_bytes']:,} of SRAM"
    )


def _vela(vela: dict[str, Any]) -> Any:
    table = _table(f"against Vela {vela['version']}", "Vela", "difference")
    for key, row in vela["total"].items():
        table.add_row(key, f"{row['vela']:,}", f"{row['difference']:+.3%}")
    return table


def _print_ranking(found: dict[str, Any]) -> None:
    from tinyse.cli.console import console

    table = _table("npu", "waits for", "ms", "frame", "cycles", "flash B", "uJ", names=2)
    for row in found["ranking"]:
        mark = " *" if row["hypothetical"] else ""
        table.add_row(
            row["npu"] + mark, row["binds"], f"{row['latency_ms']:.3f}",
            f"{row['frame_share']:.2%}", f"{row['cycles']:,}", f"{row['flash_bytes']:,}",
            f"{row['energy_uj']:.1f}",
        )  # fmt: skip
    out = console(highlight=False)
    out.print(table)
    out.print("* hypothetical")


def _print_advice(found: dict[str, Any]) -> None:
    for line in found["advice"]:
        click.echo(f"{line['subject']}: {line['says']}")
        again = f"  --what-if {line['what_if']}" if line["what_if"] else ""
        click.echo(f"    {line['cycles']:,} cycles, {line['speed_up']:.2f}x{again}")
