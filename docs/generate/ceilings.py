"""docs/quality.md's table of what a file's bands and bound leave, from docs/ceilings.json.

python -m docs.generate --ceilings    score the masks first, on recordings in TINYSE_DATA
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from docs.generate.models import number
from tinyse.audio.lists import find_list, render
from tinyse.evaluate.lines import best_mask
from tinyse.files import write_json
from tinyse.metrics import Reference, sdr, si_sdr

JSON = "docs/ceilings.json"
LIST = "mixtures_valid.csv"
BOUNDS = (1.0, 2.0)
HEAD = """\
| best mask | bound | SDR gain, dB | SI-SDR gain, dB |
|---|---:|---:|---:|
"""
NOTE = (
    "Mean over the {rows} headline rows of `{list}`, each through the mask that its speech gives."
)


def write_ceilings(root: Path, data: Path) -> None:
    """Write the JSON that the table is made from."""
    mixtures = find_list(Path(LIST), data)
    rows = [row for row in mixtures.rows if row.snr_db in mixtures.headline_db]
    gains: dict[tuple[bool, float], list[tuple[float, float]]] = {}
    for row in rows:
        sides = render(mixtures, row)
        reference = Reference.of(sides.target)
        before = _scores(reference, sides.mixture)
        for bands in (True, False):
            for bound in BOUNDS:
                after = _scores(reference, best_mask(sides.mixture, sides.target, bound, bands))
                gains.setdefault((bands, bound), []).append(tuple(np.subtract(after, before)))
    found = [
        {"bands": bands, "bound": bound, "sdr_gain": means[0], "si_sdr_gain": means[1]}
        for (bands, bound), each in gains.items()
        for means in (np.mean(each, axis=0).tolist(),)
    ]
    write_json(root / JSON, {"schema": 1, "list": LIST, "rows": len(rows), "masks": found})


def _scores(reference: Reference, sound: np.ndarray) -> tuple[float, float]:
    return sdr(reference, sound), si_sdr(reference.samples, sound)


def ceilings_table(root: Path) -> str:
    """A row for each mask."""
    found = json.loads((root / JSON).read_text("utf-8"))
    return HEAD + "\n".join(map(_line, found["masks"])) + f"\n\n{NOTE.format(**found)}"


def _line(mask: dict) -> str:
    gains = (number(mask[key], 2) for key in ("sdr_gain", "si_sdr_gain"))
    cells = ("128 bands" if mask["bands"] else "257 bins", f"{mask['bound']:g}", *gains)
    return f"| {' | '.join(cells)} |"
