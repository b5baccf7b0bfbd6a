"""Integer network -> the bytes of a `.tflite` file, by profile, deterministic."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from tinyse.errors import InputError
from tinyse.quant import IntegerNetwork
from tinyse.tflite.builder import Builder
from tinyse.tflite.fused import build_fused
from tinyse.tflite.schema import schema_module

PROFILES: dict[str, Callable[[IntegerNetwork, Builder], bytes]] = {"fused": build_fused}


def serialise(
    network: IntegerNetwork, profile: str = "fused", schema: ModuleType | None = None
) -> bytes:
    """The file of `network` in `profile`; InputError for a profile that is not there."""
    if profile not in PROFILES:
        raise InputError(f"unknown profile {profile!r}", "profile", f"use {', '.join(PROFILES)}")
    return PROFILES[profile](network, Builder(schema or schema_module()))
