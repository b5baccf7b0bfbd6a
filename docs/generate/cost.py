"""docs/cost_model.md's table: published models on every hardware file, from docs/cost_model.json.

python -m docs.generate --costs    profile every published model and write the JSON first
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyse.files import write_json
from tinyse.npu import default_memory, find_target, hardware_names, parse_what_if
from tinyse.npu.document import profile

JSON = "docs/cost_model.json"
BASELINE = "lstm_256"
TILES = ("4x4", "8x8", "8x32")
# A published model as it is, and what 90 % of blocks pruned by size would make of the baseline.
VARIANTS = {"": "", "90 % of 4x4 blocks": "sparsity=0.9,block=4x4"}
HEAD = """\
| network | NPU | waits for | ms | of a frame | speed-up | skipping 4x4 | 8x8 | 8x32 |
|---|---|---|---:|---:|---:|---:|---:|---:|
"""
NOTE = """\
Speed-up is over the dense int8 baseline `{baseline}` on the same NPU and memory, each NPU with its
first memory system. The last three columns skip tiles of zeros of that shape, a design that is
hypothetical on every NPU (`--what-if tile=..`). *90 % of 4x4 blocks* has the weakest blocks of the
published weights taken out and nothing trained again: it says what a mask costs, not what it does
to speech."""


def write_costs(root: Path) -> None:
    """Write the JSON that the table is made from."""
    write_json(root / JSON, measured(root))


def measured(root: Path) -> dict[str, Any]:
    """The profiles behind the table, of every model under `root`."""
    rows = []
    for path in sorted((root / "models").glob("*/model.tflite")):
        for label, text in VARIANTS.items():
            if label and path.parent.name != BASELINE:
                continue
            rows += [_row(path, label, text, npu) for npu in hardware_names()]
    return {"schema": 1, "baseline": BASELINE, "rows": rows}


def _row(path: Path, label: str, text: str, npu: str) -> dict[str, Any]:
    target = find_target(npu, default_memory(npu))
    total = profile(path, target, asked=parse_what_if(text))["total"]
    tiles = {}
    for tile in TILES if target.hardware.skipping is None else ():
        asked = parse_what_if(f"{text},tile={tile}")
        tiles[tile] = profile(path, target, asked=asked)["total"]["cycles"]
    return {
        "model": path.parent.name,
        "variant": label,
        "npu": npu,
        "hypothetical": target.hardware.hypothetical,
        "memory": target.memory,
        "system": target.system.name,
        **{key: total[key] for key in ("cycles", "latency_ms", "frame_share", "binds")},
        "cycles_skipping": tiles,
    }


def cost_table(root: Path) -> str:
    """A row for each network and NPU."""
    found = json.loads((root / JSON).read_text("utf-8"))
    dense = {
        row["npu"]: row["cycles"]
        for row in found["rows"]
        if row["model"] == found["baseline"] and not row["variant"]
    }
    rows = "\n".join(_line(row, dense[row["npu"]]) for row in found["rows"])
    return f"{HEAD}{rows}\n\n{NOTE.format(baseline=found['baseline'])}"


def _line(row: dict[str, Any], dense: int) -> str:
    network = row["model"] + (f", {row['variant']}" if row["variant"] else "")
    npu = row["npu"] + (" *" if row["hypothetical"] else "")
    cells = (
        network,
        npu,
        row["binds"],
        f"{row['latency_ms']:.3f}",
        f"{row['frame_share']:.1%}",
        f"{dense / row['cycles']:.2f}",
        *(_speed_up(dense, row["cycles_skipping"].get(tile)) for tile in TILES),
    )
    return f"| {' | '.join(cells)} |"


def _speed_up(dense: int, cycles: int | None) -> str:
    return "" if cycles is None else f"{dense / cycles:.2f}"
