"""The parts of the documentation that a command writes: no figure and no help text by hand.

    python -m docs.generate            write them
    python -m docs.generate --check    exit 1 and name those that are out of date
    python -m docs.generate --costs    profile the published models first (half a minute)

    docs/commands.md        the help of every command
    docs/formats.md         the keys of a recipe, from the structures of tinyse/recipe.py
    README.md               the published models, from models/*/metrics.json
    docs/cost_model.md      published models on every NPU, from docs/cost_model.json
    docs/quality.md         the peers on the same rows, from the same files
    THIRD_PARTY.md          every pinned package and its licence, from package metadata

A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; commands.md is generated
whole.
"""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate.commands import commands_page
from docs.generate.cost import cost_table
from docs.generate.models import models_table
from docs.generate.packages import packages_table
from docs.generate.peers import peers_table
from docs.generate.recipe_keys import recipe_keys

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "README.md": ("models", models_table),
    "docs/formats.md": ("recipe keys", recipe_keys),
    "docs/cost_model.md": ("costs", cost_table),
    "docs/quality.md": ("peers", peers_table),
    "THIRD_PARTY.md": ("packages", packages_table),
}


def pages(names: tuple[str, ...] = ("docs/commands.md", *PARTS)) -> dict[Path, str]:
    """What the named files must hold, by path."""
    found = {}
    for name in names:
        path = ROOT / name
        if name in PARTS:
            part, make = PARTS[name]
            found[path] = filled(path.read_text("utf-8"), part, make(ROOT))
        else:
            found[path] = commands_page()
    return found


def filled(text: str, part: str, content: str) -> str:
    """`text` with `content` between the markers of `part`."""
    begin, end = f"<!-- generated: {part} -->", f"<!-- end: {part} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one {begin} .. {end}")
    return pattern.sub(lambda _: f"{begin}\n{content.strip()}\n{end}", text)
