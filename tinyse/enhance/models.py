"""What a user calls a model: a run's folder, a published model's folder or name, or a `.tflite`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tinyse.enhance.enhancer import Enhancer
from tinyse.errors import InputError
from tinyse.features import BANDS, Normalisation
from tinyse.files import packaged, read_json, sha256
from tinyse.runtimes import RUNTIMES, open_runtime

FLOAT_RUNTIME = "keras_model"
MODEL, WEIGHTS, MANIFEST = "model.tflite", "weights.npz", "manifest.json"


@dataclass(frozen=True)
class ModelFiles:
    """Where a model lies: its name, the exported file and the float weights, None where absent."""

    name: str
    exported: Path | None
    weights: Path | None

    def file_for(self, runtime: str | None = None) -> Path:
        """The file that `runtime` opens; without a runtime, the exported one.

        InputError where there is none, or an outdated one.
        """
        if runtime is not None and runtime not in RUNTIMES:
            what = f"unknown runtime {runtime!r}"
            raise InputError(what, "runtime", f"use {', '.join(RUNTIMES)}")
        if runtime == FLOAT_RUNTIME:
            found, needed, remedy = self.weights, WEIGHTS, "give a folder that holds one"
        else:
            found, needed, remedy = self.exported, MODEL, "run tinyse export on it"
        if found is None:
            runs = f", which {runtime} runs" if runtime else ""
            raise InputError(f"has no {needed}{runs}", self.name, remedy)
        if found == self.exported and self.weights is not None:
            _refuse_other_weights(found, self.weights)
        return found


@dataclass(frozen=True)
class Source:
    """What is opened: a runtime and the file it runs.  `digest` tells a file that has changed."""

    runtime: str
    path: str
    weights: str | None
    digest: str

    @classmethod
    def of(cls, files: ModelFiles, runtime: str) -> Source:
        """The source of a model on a runtime."""
        path = files.file_for(runtime)
        return cls(runtime, str(path), str(files.weights) if files.weights else None, sha256(path))


def find_model(model: Path | str) -> ModelFiles:
    """The files of a run, a published model (its folder or name) or a `.tflite`.

    A file is a `.tflite` whatever its name: its reader says where it is none.
    """
    from tinyse.tflite.weights import weights_beside

    path = Path(model)
    if path.suffix.lower() == ".tflite" or path.is_file():
        if not path.is_file():
            raise InputError("there is no such file", path, "check the path")
        return ModelFiles(path.stem, path, weights_beside(path))
    folder = path if path.is_dir() else packaged("models", str(model))
    if not folder.is_dir():
        raise InputError("there is no such model", str(model), _models_there_are())
    exported, weights = _if_there(folder / MODEL), _if_there(folder / WEIGHTS)
    if exported is None and weights is None:
        raise InputError(f"holds neither {MODEL} nor {WEIGHTS}", folder, "give a run or a model")
    return ModelFiles(folder.resolve().name, exported, weights)


def _refuse_other_weights(exported: Path, weights: Path) -> None:
    """A run that went on would be told of by what its earlier weights do."""
    beside = exported.parent / MANIFEST
    manifest = read_json(beside) if exported.name == MODEL and beside.is_file() else None
    source = manifest.get("source") if isinstance(manifest, dict) else None
    if isinstance(source, dict) and source.get("weights") not in (None, sha256(weights)):
        remedy = f"run tinyse export --force {weights.parent}"
        raise InputError(f"was exported from other weights than {WEIGHTS}", exported, remedy)


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _models_there_are() -> str:
    published = packaged("models")
    names = sorted(file.parent.name for file in published.glob("*/metrics.json"))
    return f"give a run, a .tflite or a published model ({', '.join(names) or 'none here'})"


def open_enhancer(model: Path | str, runtime: str = "tflm") -> Enhancer:
    """The enhancer of a model on a runtime; InputError or MissingExtra say what is in the way."""
    return open_source(Source.of(find_model(model), runtime))


@lru_cache(maxsize=16)  # a run of several levels is scored in one pass
def open_source(source: Source) -> Enhancer:
    """The enhancer of `source`, opened once a process."""
    path = Path(source.path)
    weights = Path(source.weights) if source.weights else None
    return Enhancer(open_runtime(source.runtime, path), read_normalisation(path, weights))


def read_normalisation(path: Path, weights: Path | None = None) -> Normalisation:
    """Feature statistics of a `.tflite`, or where it carries none, or is them, of `weights`."""
    from tinyse.quant import read_weights
    from tinyse.tflite.check import load

    statistics = None if path == weights else load(path).network.normalisation
    if statistics is None:
        if weights is None:
            what = "carries no feature statistics (metadata tinyse.features)"
            raise InputError(what, path, f"keep {WEIGHTS} beside it, or export it again")
        network = read_weights(weights)
        mean, std = network.mean, network.std
    else:
        mean, std = statistics
    if len(mean) != BANDS or not (np.isfinite(mean).all() and np.isfinite(std).all()):
        what = f"expected finite statistics of {BANDS} bands, got {len(mean)}"
        raise InputError(what, path, "export it again")
    return Normalisation(np.asarray(mean, np.float32), np.asarray(std, np.float32))
