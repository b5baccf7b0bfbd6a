"""THIRD_PARTY.md's table: every package of constraints.txt, its licence, and who asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# In this order: a package stands with the first that needs it.
EXTRAS = (
    "tflm",
    "litert",
    "synth",
    "report",
    "eval",
    "pesq",
    "rooms",
    "train",
    "npu",
    "live",
    "sweep",
    "jax",
    "test",
)
# What the metadata leaves out or says at such length that it is no name.
STATED = {
    "absl-py": "Apache-2.0",
    "charset-normalizer": "MIT",
    "espeakng-loader": "not stated; holds espeak-ng: GPL-3.0-or-later",
    "namex": "Apache-2.0 (licence file)",
    "pyroomacoustics": "MIT (licence file)",
    "scipy": "BSD-3-Clause",
    "tflite-micro": "Apache-2.0 (source repository)",
}


def packages_table(root: Path) -> str:
    """A row for each pinned package under `root`."""
    wanted = _wanted_by()
    rows = ["| package | version | licence | needed by |", "|---|---|---|---|"]
    for name, version in pinned(root).items():
        asker = wanted.get(canonicalize_name(name), "-")
        rows.append(f"| {name} | {version} | {_licence(name)} | {asker} |")
    return "\n".join(rows)


def pinned(root: Path) -> dict[str, str]:
    """name -> version of constraints.txt, in its order."""
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def _licence(name: str) -> str:
    if canonicalize_name(name) in STATED:
        return STATED[canonicalize_name(name)]
    metadata = distribution(name).metadata
    classifiers = [c for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    text = metadata.get("License-Expression") or metadata.get("License") or ""
    if not text or len(text) > 60 or "\n" in text:
        text = classifiers[0].rpartition(" :: ")[2] if classifiers else ""
    if not text:
        raise ValueError(f"{name}: no licence in the metadata; add it to STATED")
    return text


def _wanted_by() -> dict[str, str]:
    wanted: dict[str, str] = {}
    for extra in ("", *EXTRAS):
        for name in _closure("tinyse", (extra,), set()):
            wanted.setdefault(name, f"`{extra}`" if extra else "core")
    return wanted


def _closure(
    name: str, extras: tuple[str, ...], seen: set[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:
        return  # for another platform or an older Python
    yield canonicalize_name(name)
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield from _closure(requirement.name, tuple(requirement.extras), seen)


def licence_rows(text: str) -> dict[str, str]:
    """name -> version of the table in THIRD_PARTY.md."""
    return dict(re.findall(r"^\| ([\w.-]+) \| ([\d][\w.]*) \|", text, re.MULTILINE))
