"""docs/results.md's tables of what one hears, from docs/heard.json: by noise, and three rows each.

python -m docs.generate --heard DIR    score the published sparse models row by row on the
                                       validation list first, and write the rows' sound into DIR

A row's loss is paired with the float network.  What is left of noise and of speech is energy out
over energy in, over the bins of the spectrogram where one is 10 dB above the other, through the
dense int8 file and the sparse one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.generate.models import number
from docs.generate.results import BASELINE, NOTHING, PUBLISHED, table
from tinyse.audio.lists import MixtureList, find_list, render
from tinyse.enhance import open_enhancer
from tinyse.evaluate import evaluate, refuse_used, write_worst
from tinyse.features import stft
from tinyse.files import write_json

JSON = "docs/heard.json"
LIST = "mixtures_valid.csv"
RUNTIME = "native"
HEADLINE = ("-5", "0", "5", "10")
DOMINANT = 10.0  # 10 dB, as a ratio of energies
QUANTILES = {
    "5": "a twentieth loses less than",
    "50": "the median",
    "95": "a twentieth loses more than",
}
SIDES = ("dense", "sparse")


def write_heard(root: Path, data: Path, sound: Path) -> None:
    """Write the JSON that the tables are made from, and the sound of the rows it names."""
    refuse_used(sound)
    mixtures = find_list(Path(LIST), data)
    names = [name for name in PUBLISHED if (root / "models" / name / "metrics.json").exists()]
    found = {name: _heard(name, mixtures) for name in names}
    for name in names:
        rows = [row["id"] for row in found[name]["rows"]]
        for model in (name, BASELINE):
            write_worst(rows, mixtures, model, sound / name / model, RUNTIME)
    listed = {"name": mixtures.name, "sha256": mixtures.sha256}
    write_json(root / JSON, {"schema": 1, "list": listed, "runtime": RUNTIME, "models": found})


def noises_table(root: Path) -> str:
    """What every model loses: quantiles over all rows, and means by the class of the noise."""
    models = _models(root)
    if not models:
        return NOTHING
    found = list(models.values())
    noises = sorted(found[0]["by_noise"], key=lambda noise: -_mean(found, noise))
    lines = [
        [f"of all rows, {name}", *(number(each["quantiles"][key], 2) for each in found)]
        for key, name in QUANTILES.items()
    ]
    for noise in noises:
        lost = [number(each["by_noise"][noise]["sdr_loss"], 2) for each in found]
        lines.append([f"{_said(noise)}, {found[0]['by_noise'][noise]['rows']} rows", *lost])
    return table(["SDR lost, dB", *(f"`{name}`" for name in models)], lines, "l" + "r" * len(found))


def rows_table(root: Path) -> str:
    """The best, the median and the worst row of every model, and what is left in them."""
    lines = []
    for name, found in _models(root).items():
        for row in found["rows"]:
            noise = f"{_said(row['noise_class'])}, {number(row['snr_db'], 0)} dB"
            left = [
                " / ".join(number(row[part][side], 1) for side in SIDES)
                for part in ("noise", "speech")
            ]
            lost = number(row["sdr_loss"], 2)
            lines.append([f"`{name}`", row["which"], f"`{row['id']}`", noise, lost, *left])
    heads = ["model", "row", "id", "noise, SNR", "SDR lost, dB"]
    heads += ["noise left, dense / sparse, dB", "speech left, dense / sparse, dB"]
    return table(heads, lines, "llllrrr") if lines else NOTHING


def _said(noise: str) -> str:
    return noise.replace("_", " ")


def _models(root: Path) -> dict[str, Any]:
    path = root / JSON
    return json.loads(path.read_text("utf-8"))["models"] if path.exists() else {}


def _mean(models: list[dict[str, Any]], noise: str) -> float:
    return float(np.mean([found["by_noise"][noise]["sdr_loss"] for found in models]))


def _heard(name: str, mixtures: MixtureList) -> dict[str, Any]:
    """The facts of one model."""
    result = evaluate(
        name, mixtures, RUNTIME, against=f"{BASELINE}:float", metrics=("sdr",), with_rows=True
    )
    rows = [row for row in result["rows"] if row["condition"] in HEADLINE]
    for row in rows:
        row["sdr_loss"] = row["sdr_against"] - row["sdr_out"]
    rows.sort(key=lambda row: row["sdr_loss"])
    by_noise = defaultdict(list)
    for row in rows:
        by_noise[row["noise_class"]].append(row["sdr_loss"])
    losses = [row["sdr_loss"] for row in rows]
    chosen = {"best": rows[0], "median": rows[len(rows) // 2], "worst": rows[-1]}
    return {
        "quantiles": {key: round(float(np.percentile(losses, int(key))), 4) for key in QUANTILES},
        "by_noise": {
            noise: {"rows": len(lost), "sdr_loss": round(float(np.mean(lost)), 4)}
            for noise, lost in sorted(by_noise.items())
        },
        "rows": [_row(which, row, name, mixtures) for which, row in chosen.items()],
    }


def _row(which: str, row: dict[str, Any], name: str, mixtures: MixtureList) -> dict[str, Any]:
    listed = {each.id: each for each in mixtures.rows}
    mixture = render(mixtures, listed[row["id"]])
    noise = mixture.mixture - mixture.target
    left: dict[str, dict[str, float]] = {"noise": {}, "speech": {}}
    for side, model in zip(SIDES, (BASELINE, name), strict=True):
        out = open_enhancer(model, RUNTIME).whole(mixture.mixture)
        left["noise"][side] = _left(out, noise, mixture.target)
        left["speech"][side] = _left(out, mixture.target, noise)
    keys = ("id", "group", "noise_class", "snr_db")
    facts = {"which": which} | {key: row[key] for key in keys}
    return facts | {"sdr_loss": round(row["sdr_loss"], 4)} | left


def _left(out: NDArray, kept: NDArray, other: NDArray) -> float:
    """Energy of `out` over that of `kept` in dB, where `kept` is 10 dB above `other`."""
    heard, wanted, rest = (np.abs(stft(sound)) ** 2 for sound in (out, kept, other))
    there = wanted > DOMINANT * rest
    return round(float(10 * np.log10(heard[there].sum() / wanted[there].sum())), 2)
