"""Ways to make a good file bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.tflite.edited import edited, operator, valid_file

Damage = Callable[[Path], object]


def removed(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def of_text(path: Path) -> None:
    path.write_text("this is neither sound nor a network\n" * 40)


def of_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(4096))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def an_array(path: Path) -> None:
    """One array of NumPy's, where a zip of them is expected."""
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def with_value(value: float) -> Damage:
    """A WAV of floats with one sample that is no number."""

    def damage(path: Path) -> None:
        samples, rate = soundfile.read(path, dtype="float32")
        samples[100] = value
        soundfile.write(path, samples, rate, subtype="FLOAT", format="WAV")

    return damage


def with_while(path: Path) -> None:
    """A `.tflite` whose first operator is a WHILE."""

    def change(model):
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 119

    path.write_bytes(edited(change))


def of_float(path: Path) -> None:
    """A `.tflite` that takes float32."""
    path.write_bytes(edited(lambda model: setattr(model.subgraphs[0].tensors[0], "type", 0)))


def of_two_frames(path: Path) -> None:
    """A `.tflite` that takes two frames a call."""

    def change(model):
        features = model.subgraphs[0].tensors[operator(model, 0).inputs[0]]
        features.shape = np.array([1, 2, 11], np.int32)

    path.write_bytes(edited(change))


def of_eleven_bands(path: Path) -> None:
    """A sound `.tflite` of another width than a frame has."""
    path.write_bytes(valid_file())


def replaced(old: str, new: str) -> Damage:
    """A text file with the first `old` replaced."""

    def damage(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def with_cell(row: int, column: str, cell: str) -> Damage:
    """A CSV file with one cell changed; rows count from 1 behind the header."""

    def damage(path: Path) -> None:
        lines = [line.split(",") for line in path.read_text().splitlines()]
        lines[row][lines[0].index(column)] = cell
        path.write_text("".join(",".join(line) + "\n" for line in lines))

    return damage


def without_column(column: str) -> Damage:
    """A CSV file without a column."""

    def damage(path: Path) -> None:
        lines = [line.split(",") for line in path.read_text().splitlines()]
        at = lines[0].index(column)
        path.write_text("".join(",".join(line[:at] + line[at + 1 :]) + "\n" for line in lines))

    return damage
