"""Run or published model -> `model.tflite` and `manifest.json`; and the golden vectors of a file.

Only `weights.npz` and a name enter: no data, no Keras, no converter.  The same of both give the
same bytes on every machine, and the manifest holds no time of day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse import __version__
from tinyse.audit import byte_accounts, interface
from tinyse.errors import InputError
from tinyse.files import (
    atomic_file,
    clear,
    json_bytes,
    read_json,
    read_toml,
    sha256,
    write_together,
)
from tinyse.quant import quantise_for, read_weights
from tinyse.quant.weights import find_weights
from tinyse.tflite.check import CheckedFile, check_bytes, load
from tinyse.tflite.schema import schema_module, schema_version
from tinyse.tflite.write import serialise

SCHEMA = 1
MODEL, MANIFEST = "model.tflite", "manifest.json"


def export_model(
    source: Path | str,
    out_dir: Path | str,
    profile: str = "fused",
    force: bool = False,
    name: str | None = None,
    packed: Callable[[CheckedFile], dict[str, bytes]] | None = None,
) -> Path:
    """Writes model.tflite and manifest.json into `out_dir` and returns the former's path.

    `packed` makes other files of the checked one, name -> bytes, that are written with it.
    `source` is a run, a published model's folder or a weights.npz; `name`, which the file will
    carry, is the recipe's unless given.  Raises InputError, and writes nothing, for weights that
    cannot be used or an output that exists.  With `force` an earlier export goes whole.
    """
    weights, out_dir = find_weights(source), Path(out_dir)
    if not force:
        _refuse_existing(out_dir, (MODEL, MANIFEST))
    network = quantise_for(read_weights(weights), name or _model_name(weights), profile)
    data = serialise(network, profile)
    checked = check_bytes(data, weights)  # what does not pass is the weights' fault
    files = {MODEL: data, **(packed(checked) if packed else {})}
    if not force:
        _refuse_existing(out_dir, files)
    manifest = json_bytes(_manifest(checked, files, weights, profile))
    before = _exported(out_dir)
    write_together(
        {out_dir / name: content for name, content in (*files.items(), (MANIFEST, manifest))}
    )
    clear(out_dir, *(before - files.keys()))
    return out_dir / MODEL


def golden(model: Path | str, features: NDArray[np.float32], path: Path | str) -> Path:
    """Writes golden.npz: what the file `model` makes of feature frames [T, n], from its reset.

    features float32 [T, n], features_q [T, n], mask_q [T, m], and after each frame h_<layer> and
    c_<layer> [T, units], in the types of the file: int8, a fused cell state int16.
    """
    from tinyse.runtimes.interface import trace
    from tinyse.runtimes.oracle import Oracle

    network = load(model).network
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] != network.layers[0].width or not len(features):
        expected = f"expected [T, {network.layers[0].width}]"
        raise InputError(f"{expected}, got {list(features.shape)}", "features")
    features = features.astype(np.float32)
    frames = network.input.quantise(features)
    traced = trace(Oracle(network), frames)
    arrays = {"features": features, "features_q": frames, "mask_q": traced.pop("mask"), **traced}
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # none is allow_pickle
    return Path(path)


def _refuse_existing(out_dir: Path, names: Iterable[str]) -> None:
    for name in names:
        if (out_dir / name).exists():
            raise InputError("already exists", out_dir / name, "give --force to replace it")


def _exported(out_dir: Path) -> set[str]:
    """Names of files that an earlier export left in `out_dir` and nobody has changed since."""
    try:
        manifest = read_json(out_dir / MANIFEST)
    except InputError:
        return set()  # there was none, or nobody can tell
    listed = manifest.get("files") if isinstance(manifest, dict) else None
    return {
        name
        for name, said in (listed if isinstance(listed, dict) else {}).items()
        if Path(name).name == name and (out_dir / name).is_file()  # a manifest may say anything
        if isinstance(said, dict) and said.get("sha256") == sha256(out_dir / name)
    }


def _model_name(weights: Path) -> str:
    """The recipe's name where a recipe lies beside the weights, else that of the folder."""
    recipe = weights.parent / "recipe.toml"
    if not recipe.exists():
        folder = weights.resolve().parent
        try:
            folder.name.encode()
        except UnicodeEncodeError as error:
            what = "names the model, and is not UTF-8"
            raise InputError(what, folder, "rename the folder") from error
        return folder.name
    name = read_toml(recipe).get("name")
    if not isinstance(name, str):
        raise InputError("name is missing", recipe, "see docs/formats.md")
    return name


def _manifest(
    file: CheckedFile, files: dict[str, bytes], weights: Path, profile: str
) -> dict[str, Any]:
    beside = {
        key: sha256(weights.parent / name)
        for key, name in (("recipe", "recipe.toml"), ("run", "run.json"))
        if (weights.parent / name).exists()
    }
    return {
        "schema": SCHEMA,
        "model": file.network.name,
        "profile": profile,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in files.items()
        },
        "source": {"weights": sha256(weights), **beside},
        "versions": {
            "tinyse": __version__,
            "numpy": np.__version__,
            "schema": schema_version(schema_module()),
        },
        **interface(file),
        "bytes": byte_accounts(file),
    }
