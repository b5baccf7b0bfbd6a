"""What the sparse models lose to the dense network that went on learning, in docs/taught.json.

python -m docs.generate --taught    score them first (minutes), on recordings in TINYSE_DATA

Their cards count losses from the network that they began with.  A dense network that was trained on
as they were is the harder one to come near.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docs.generate.models import with_interval
from tinyse.audio.lists import find_list
from tinyse.evaluate import evaluate_each
from tinyse.files import read_json, write_json

JSON = "docs/taught.json"
LIST, RUNTIME = "mixtures_test.csv", "native"  # which computes the bytes of TensorFlow Lite Micro
KEPT = ("rows", "sdr_loss", "sdr_loss_ci95", "si_sdr_loss", "si_sdr_loss_ci95")


def write_taught(root: Path, data: Path, models: list[str], dense: str, first: str) -> None:
    """Score the sparse `models` against `dense`, and that against the one it began with."""
    mixtures = find_list(Path(LIST), data)
    found = _lost(models, mixtures, dense) | _lost([dense], mixtures, first)
    digest = mixtures.sha256
    write_json(root / JSON, {"schema": 1, "list": LIST, "list_sha256": digest, "models": found})


def _lost(models: list[str], mixtures: Any, other: str) -> dict[str, dict[str, Any]]:
    results = evaluate_each(
        models, mixtures, RUNTIME, against=f"{other}:float", metrics=("si_sdr",)
    )
    return {
        name: {"against": other} | {key: result["against"][key] for key in KEPT}
        for name, result in zip(models, results, strict=True)
    }


def taught_cell(root: Path, model: str) -> str:
    """SDR lost to the dense network that went on, with its interval; empty where not measured."""
    path = root / JSON
    found = read_json(path)["models"].get(model) if path.exists() else None
    return with_interval(found["sdr_loss"], found["sdr_loss_ci95"], 2) if found else ""
