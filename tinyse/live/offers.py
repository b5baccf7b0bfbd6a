"""The models and runtimes that a page can switch between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tinyse.enhance import ModelFiles, find_model, open_enhancer
from tinyse.errors import InputError, TinySEError
from tinyse.files import packaged
from tinyse.pack.files import native_bytes
from tinyse.tflite.check import load

# Those that run a frame in real time on a desktop, fastest first.
RUNTIMES = ("native", "litert", "oracle", "tflm")
MODEL = "model.tflite"


class Offer(msgspec.Struct, frozen=True):
    """A model: what the page calls it, where it lies, bytes it takes in flash.

    Those are of the C runtime's blob, which leaves zeros out; of the file where no kernel takes it.
    """

    name: str
    path: str
    flash_bytes: int


class Offers(msgspec.Struct, frozen=True):
    """Everything there is to switch to.

    missing : runtime -> why it is not there
    """

    models: tuple[Offer, ...]
    runtimes: tuple[str, ...]
    missing: dict[str, str]


def find_offers(models: Sequence[Path | str] = (), runtimes: Sequence[str] = RUNTIMES) -> Offers:
    """Those of `models`, or all published ones, on those of `runtimes` that are installed.

    A runtime counts as installed where it opens one of the models.  Raises InputError for a model
    that is none and where nothing is left: of the models or names, if no runtime's absence is to
    blame.
    """
    offers = _named([find_model(model) for model in models or _published()])
    if not offers:
        raise InputError("no model is published here", "live", "name one: tinyse live MODEL")
    errors: dict[str, TinySEError] = {}
    for runtime in dict.fromkeys(runtimes):
        try:
            _open_any(offers, runtime)
        except TinySEError as error:
            errors[runtime] = error
    missing = {runtime: str(error) for runtime, error in errors.items()}
    there = tuple(runtime for runtime in dict.fromkeys(runtimes) if runtime not in missing)
    if not there:
        if all(isinstance(error, InputError) for error in errors.values()):
            raise next(iter(errors.values()))
        reasons = ", ".join(f"{name} ({reason})" for name, reason in missing.items())
        raise InputError(
            f"no runtime opens a model: {reasons}", "live", "install one: tinyse doctor"
        )
    return Offers(offers, there, missing)


def _published() -> list[Path]:
    return sorted(path.parent for path in packaged("models").glob(f"*/{MODEL}"))


def _flash_bytes(file: Path) -> int:
    try:
        return native_bytes(load(file).network, ("native",))["native"]
    except InputError:
        return file.stat().st_size


def _named(found: Sequence[ModelFiles]) -> tuple[Offer, ...]:
    """An offer for each; the second of one name gets a number."""
    offers: dict[str, Offer] = {}
    for model in found:
        path = model.exported or model.weights
        assert path is not None  # `find_model` refuses a folder with neither
        name, number = model.name, 2
        while name in offers:
            name, number = f"{model.name} ({number})", number + 1
        size = _flash_bytes(model.exported) if model.exported else 0
        where = path if model.exported else path.parent
        offers[name] = Offer(name, str(where), size)
    return tuple(offers.values())


def _open_any(offers: Sequence[Offer], runtime: str) -> None:
    for number, offer in enumerate(offers, 1):
        try:
            open_enhancer(offer.path, runtime)
            return
        except InputError:
            if number == len(offers):
                raise
