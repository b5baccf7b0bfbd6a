"""The parts of the documentation that a command writes: no figure and no help text by hand.

    python -m docs.generate            write them
    python -m docs.generate --check    exit 1 and name those that are out of date
    python -m docs.generate --costs    profile the published models first (half a minute)
    python -m docs.generate --firmware count and time the C runtime first (a minute)
    python -m docs.generate --profiles         measure every export profile first (minutes), on
                                               recordings in TINYSE_DATA
    python -m docs.generate --ceilings         score the best masks first (minutes), on the same
    python -m docs.generate --collect SWEEP    keep what a finished sweep has measured first
    python -m docs.generate --taught           score the sparse models against the dense one that
                                               went on first (minutes), on the same
    python -m docs.generate --heard DIR        score the sparse models row by row first (minutes),
                                               on recordings in TINYSE_DATA; their sound into DIR

    docs/commands.md        the help of every command
    docs/formats.md         the keys of a recipe, from the structures of tinyse/recipe.py; what an
                            export profile costs, from docs/profiles.json
    README.md               the published models, from models/*/metrics.json
    docs/cost_model.md      published models on every NPU, from docs/cost_model.json
    docs/quality.md         the peers on the same rows, from the same files; what the best mask
                            gains, from docs/ceilings.json; what each choice of training brought,
                            from docs/ablation
    docs/results.md         the published sparse models, from models/*/metrics.json, and the curves
                            from docs/results/*.json; what one hears, from docs/heard.json
    docs/sparsity.md        methods and ways to int8 compared, from docs/results/*.json
    docs/results/*.svg      the README's picture and the curves, from the same
    docs/firmware.md        what the C runtime costs, from docs/firmware.json
    firmware_harness/src/tables.c    sigmoid and tanh, from tinyse/pack/activations.py
    THIRD_PARTY.md          every pinned package and its licence, from package metadata

A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; commands.md, tables.c
and the picture are generated whole.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from docs.generate.ablation import ablation_table
from docs.generate.ceilings import ceilings_table
from docs.generate.commands import commands_page
from docs.generate.cost import cost_table
from docs.generate.curves import curves_svg
from docs.generate.firmware import firmware_tables, front_end_table
from docs.generate.heard import noises_table, rows_table
from docs.generate.models import models_table
from docs.generate.packages import packages_table
from docs.generate.peers import peers_table
from docs.generate.picture import tradeoff_svg
from docs.generate.profiles import profiles_table
from docs.generate.recipe_keys import recipe_keys
from docs.generate.results import (
    cases_table,
    costs_table,
    gates_table,
    headline_table,
    quality_table,
    shapes_table,
    sources_table,
)
from tinyse.pack.activations import tables_c

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "README.md": {"models": models_table},
    "docs/formats.md": {"recipe keys": recipe_keys, "profiles": profiles_table},
    "docs/cost_model.md": {"costs": cost_table},
    "docs/firmware.md": {"firmware": firmware_tables, "front end": front_end_table},
    "docs/results.md": {
        "headline": headline_table,
        "curves": quality_table,
        "costs of the curves": costs_table,
        "shapes": shapes_table,
        "choices": partial(cases_table, name="choices"),
        "int8": partial(cases_table, name="int8"),
        "control": partial(cases_table, name="control"),
        "sources": sources_table,
        "zeros by matrix": gates_table,
        "noises": noises_table,
        "rows heard": rows_table,
    },
    "docs/sparsity.md": {
        "methods": partial(cases_table, name="methods"),
        "joint": partial(cases_table, name="joint"),
    },
    "docs/quality.md": {
        "peers": peers_table,
        "ceilings": ceilings_table,
        "ablation": ablation_table,
    },
    "THIRD_PARTY.md": {"packages": packages_table},
}

WHOLE = {
    "docs/commands.md": commands_page,
    "docs/results/tradeoff.svg": partial(tradeoff_svg, ROOT),
    "docs/results/curves.svg": partial(curves_svg, ROOT),
    "firmware_harness/src/tables.c": tables_c,
}


def pages(names: tuple[str, ...] = (*WHOLE, *PARTS)) -> dict[Path, str]:
    """What the named files must hold, by path."""
    found = {}
    for name in names:
        path = ROOT / name
        if name in PARTS:
            found[path] = path.read_text("utf-8")
            for part, make in PARTS[name].items():
                found[path] = filled(found[path], part, make(ROOT))
        else:
            found[path] = WHOLE[name]()
    return found


def filled(text: str, part: str, content: str) -> str:
    """`text` with `content` between the markers of `part`."""
    begin, end = f"<!-- generated: {part} -->", f"<!-- end: {part} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one {begin} .. {end}")
    return pattern.sub(lambda _: f"{begin}\n{content.strip()}\n{end}", text)
