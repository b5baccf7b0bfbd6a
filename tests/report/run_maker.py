"""Run folders with made-up figures, as `train`, `compress`, `evaluate` and others leave them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

RECIPE = """name = "{name}"
schema = 1

[network]
lstm = [16, 16]
dense = [8]

[train]
seed = {seed}
"""
COMPRESS = """
[compress]
structure = "{structure}"
method = "magnitude"
levels = {levels}
steps = 100
"""
GATES = 4


def make_weights(folder: Path, sparsity: float = 0.0, units: int = 16, seed: int = 0) -> Path:
    """A weights.npz whose matrices lack a share of their 4 x 4 blocks, in every gate."""
    random = np.random.default_rng(seed)
    arrays, width = {}, 128
    for k in range(2):
        for part, inputs in (("kernel", width), ("recurrent", units)):
            blocks = random.random((inputs // 4, GATES * units // 4)) >= sparsity
            mask = np.kron(blocks, np.ones((4, 4)))
            values = random.standard_normal((inputs, GATES * units)) * mask
            arrays[f"lstm_{k}/{part}"] = values.astype(np.float32)
        arrays[f"lstm_{k}/bias"] = np.zeros(GATES * units, np.float32)
        width = units
    arrays["mask/kernel"] = random.standard_normal((units, 128)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "weights.npz", **arrays)
    return folder / "weights.npz"


def evaluation(loss: float) -> dict:
    """What `evaluate --json --against float` prints, for a loss in dB."""
    gains = {"-5": 9.6 - loss, "0": 8.5 - loss, "5": 7.2 - loss}
    mean = sum(gains.values()) / 3
    return {
        "schema": 1, "model": "m", "runtime": "tflm", "runtime_version": "tflite-micro 1",
        "list": {"name": "l.csv", "sha256": "cd" * 32, "rows": 90},
        "quality": {
            "rows": 90, "sdr_gain": mean, "si_sdr_gain": mean - 0.5,
            "by_snr": {k: {"rows": 30, "sdr_gain": g, "sdr_in": float(k)} for k, g in gains.items()}
            | {"clean": {"rows": 5, "sdr_out": 40.0}},
            "ci95": {"sdr_gain": [mean - 0.4, mean + 0.4]},
            "bootstrap": {"groups": 31, "draws": 10_000, "seed": 1},
        },
        "against": {"sdr_loss": loss, "sdr_loss_ci95": [loss - 0.02, loss + 0.02]},
    }  # fmt: skip


def inspection(sparsity: float) -> dict:
    """What `inspect --json` prints, as far as a report reads it."""
    dense = 4000

    def layer(name: str) -> dict:
        kept = round(dense * (1 - sparsity) / 2)
        macs = {"dense": dense // 2, "nonzero": kept, "live": kept}
        return {"name": name, "bytes": {"dense": dense // 2, "bound": kept}, "macs": macs}

    kept = round(dense * (1 - sparsity))
    return {
        "schema": 1,
        "bytes": {"tflite": 9000, "dense": dense, "bound": kept, "native": kept + 300},
        "macs": {"block": "4x4", "dense": dense, "nonzero": kept, "live": kept},
        "layers": [layer("lstm_0"), layer("lstm_1")],
    }


def make_run(
    folder: Path,
    sparsity: float = 0.0,
    loss: float | None = 0.01,
    structure: str = "block:4x4",
    seed: int = 1,
    units: int = 16,
) -> Path:
    """A run's folder; with a sparsity, of `compress`, with its one level in levels/."""
    make_weights(folder, sparsity, units, seed)
    text = RECIPE.format(name=folder.name, seed=seed)
    inner = folder
    if sparsity:
        text += COMPRESS.format(structure=structure, levels=[sparsity])
        inner = folder / "levels" / f"{sparsity:g}"
        make_weights(inner, sparsity, units, seed)
        (inner / "recipe.toml").write_text(text)
        (inner / "run.json").write_text(json.dumps({"valid_si_sdr_gain": 7.0 - (loss or 0)}))
    (folder / "recipe.toml").write_text(text)
    lines = [
        {"level": sparsity, "step": 10 * n, "loss": -n / 4, "valid_si_sdr_gain": 7 - 5 / (n + 1)}
        for n in range(40)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = {"schema": 1, "recipe": folder.name, "seed": seed, "valid_si_sdr_gain": 7.0}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "inspect.json").write_text(json.dumps(inspection(sparsity)))
    if loss is not None:
        (folder / "evaluate.json").write_text(json.dumps(evaluation(loss)))
    return folder


def make_clips(folder: Path, gains: dict[str, float], seconds: float = 1.0) -> Path:
    """Noisy, enhanced and clean sounds, the enhanced one so many dB nearer to the clean."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    for name, gain in gains.items():
        clean = 0.1 * random.standard_normal(round(16_000 * seconds))
        noise = 0.1 * random.standard_normal(len(clean))
        sounds = {"noisy": clean + noise, "enhanced": clean + noise * 10 ** (-gain / 20)}
        for side, sound in (sounds | {"clean": clean}).items():
            soundfile.write(folder / f"{name}_{side}.wav", sound, 16_000, subtype="FLOAT")
    return folder
