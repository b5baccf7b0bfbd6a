"""The files of `tinyse export --pack native`: blob, coded blob, C source, and an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyse.files import json_bytes
from tinyse.pack.c_source import arena_bytes, model_c, model_h, unpacked_bytes
from tinyse.pack.coded import code
from tinyse.pack.format import Layout
from tinyse.pack.native import Blob, pack
from tinyse.quant import IntegerNetwork

LAYOUTS = {"m4": Layout.PAIRS, "m55": Layout.ROWS, "host": Layout.LANES}
BLOB, CODED, ACCOUNT = "model.tsb", "model_coded.tsb", "pack.json"
SOURCES = ("model.c", "model.h")
NATIVE_ACCOUNTS = ("native", "native_coded")
SCHEMA = 1


def native_files(network: IntegerNetwork, target: str, frontend: bool = True) -> dict[str, bytes]:
    """Name -> bytes of a network packed for `target`: m4 (and m7), m55 or host."""
    blob = pack(network, LAYOUTS[target], frontend)
    short = None if blob.layout is Layout.LANES else coded(network, blob)
    files = {
        BLOB: blob.data,
        "model.c": model_c(blob.data).encode(),
        "model.h": model_h(blob.data, network.name, short).encode(),
    }
    if short is not None:
        files[CODED] = short
    return {**files, ACCOUNT: json_bytes(account(blob, target, files))}


def coded(network: IntegerNetwork, blob: Blob) -> bytes:
    """The shorter coded form: of the blob itself, or of the network with every tile stored.

    The latter needs more memory to unpack into; for unstructured sparsity it is far shorter.
    """
    frontend = "front end" in blob.accounts
    return min(code(blob), code(pack(network, blob.layout, frontend, blocks=False)), key=len)


def native_bytes(
    network: IntegerNetwork, accounts: Sequence[str] = NATIVE_ACCOUNTS
) -> dict[str, int]:
    """The accounts `native` and `native_coded`: the blobs for a Cortex-M4, with audio tables."""
    blob = pack(network, LAYOUTS["m4"])
    sizes = {"native": lambda: len(blob.data), "native_coded": lambda: len(coded(network, blob))}
    return {account: sizes[account]() for account in accounts}


def account(blob: Blob, target: str, files: dict[str, bytes]) -> dict:
    """The document pack.json: where every byte of the blob went, and what no fast loop takes."""
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "target": target,
        "layout": blob.layout.name.lower(),
        "bytes": {"native": len(blob.data)},
        "arena_bytes": arena_bytes(blob.data, 8 if blob.layout is Layout.LANES else 4),
        "layers": {
            owner: {f"{part}_bytes": count for part, count in parts.items()}
            for owner, parts in blob.accounts.items()
        },
        "slow": blob.slow,
    }
    if CODED in files:
        found["bytes"]["native_coded"] = len(files[CODED])
        found["bytes"]["native_unpacked"] = unpacked_bytes(files[CODED])
    return found
