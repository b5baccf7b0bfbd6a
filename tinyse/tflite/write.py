"""Integer network -> the bytes of a `.tflite` file, by profile, deterministic."""

from __future__ import annotations

from types import ModuleType

from tinyse.errors import InputError
from tinyse.quant import IntegerDense, IntegerGRU, IntegerNetwork, find_profile
from tinyse.tflite.builder import Builder
from tinyse.tflite.fused import build_fused
from tinyse.tflite.schema import schema_module
from tinyse.tflite.step import build_step

FORMS = {"fused": build_fused, "step": build_step}


def serialise(
    network: IntegerNetwork, profile: str = "fused", schema: ModuleType | None = None
) -> bytes:
    """The file of `network` in `profile`.

    Raises InputError for a profile that is not there, or one of other widths than the network's.
    """
    wanted = find_profile(profile)
    for layer in network.layers:
        if wanted.form == "fused" and isinstance(layer, IntegerGRU):
            remedy = "export it with --profile step16x8"
            raise InputError("there is no fused operator for a GRU", layer.name, remedy)
        gate_bits = wanted.gate_bits if isinstance(layer, IntegerDense) else layer.gate_bits
        if layer.input.bits != wanted.bits or gate_bits != wanted.gate_bits:
            what = f"is quantised in {layer.input.bits} and {gate_bits} bits, not as {profile}"
            raise InputError(what, layer.name, "quantise the network for this profile")
    return FORMS[wanted.form](network, Builder(schema or schema_module()))
