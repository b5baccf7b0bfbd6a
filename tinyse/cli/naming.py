"""What an argument names: the same words for a model in every command."""

from __future__ import annotations

from pathlib import Path


def exported_file(model: Path) -> Path:
    """The `.tflite` of a file, a run's or published model's folder, or a published model's name."""
    if model.suffix == ".tflite" or model.is_file():
        return model  # its reader says what is wrong with it
    from tinyse.enhance import find_model

    return find_model(model).file_for()
