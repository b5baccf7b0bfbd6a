"""The float weights beside a `.tflite`, where they are those that it was exported from."""

from __future__ import annotations

from pathlib import Path

from tinyse.errors import InputError
from tinyse.quant import quantise_for, read_weights, same
from tinyse.tflite.check import load


def weights_beside(path: Path) -> Path | None:
    """The weights.npz in the folder of the `.tflite` `path`; None where that is another network's.

    A manifest says so of a model.tflite; a file of another name may have come from anywhere.
    """
    weights = path.parent / "weights.npz"
    if not weights.is_file():
        return None
    if path.name == "model.tflite":
        return weights
    try:
        file = load(path)
        exported = quantise_for(read_weights(weights), file.network.name, file.profile)
    except InputError:
        return None  # what is wrong with either is said by whoever opens it
    return weights if same(exported, file.network) else None
