"""NPUs and their memories as data: `export/hardware/*.toml` and `export/hardware/systems/*.toml`.

    name, title, family, systems     what it is and which memory systems it can have
    [array]                          the multiply-accumulate array and what blocks it works in
    [output]                         cycles that the output stage takes per element
    [shared_ram] or [rams]           what a block of inputs and outputs must fit in
    [decoder]                        how fast weights are decoded (Ethos-U85)
    [skipping]                       hypothetical: which tiles of zeros cost nothing
    [energy]                         picojoules, as assumptions

Every number has its unit in its key, and every table its source.  A file is checked when it is
loaded: keys, types, ranges, and the systems that it names.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from tinyse.errors import InputError
from tinyse.files import packaged, read_toml

SCHEMA = 1
MEMORIES = ("flash", "sram", "dram")

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
Cycles = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
PerElement = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Hertz = Annotated[float, msgspec.Meta(ge=1e6, le=1e10)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=4096)]
Picojoules = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Size = tuple[Count, Count, Count]  # height, width, channels


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Array(Table, frozen=True):
    source: Text
    macs_per_cycle: Count
    cores: Annotated[int, msgspec.Meta(ge=1, le=16)]
    overlaps_fetch: bool  # weights arrive while others are decoded, in mode `measured`
    overlap_source: Text
    # Outputs that are computed at once: height, width, channels.  Several where there is a choice.
    micro_blocks_outputs: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1)]
    largest_block_outputs: Size


class Output(Table, frozen=True):
    """Cycles per output element of the output stage.  The Ethos-U55 depends on the operation."""

    source: Text
    accumulator_40_cycles_per_element: PerElement | None = None
    multiply_cycles_per_element: PerElement | None = None
    add_cycles_per_element: PerElement | None = None
    max_pool_cycles_per_element: PerElement | None = None
    other_cycles_per_element: PerElement | None = None
    table_cycles_per_element: PerElement | None = None
    relu_cycles_per_element: PerElement | None = None
    output_8_cycles_per_element: PerElement | None = None
    output_16_cycles_per_element: PerElement | None = None
    activation_cycles_per_element: PerElement | None = None


class SharedRam(Table, frozen=True):
    """One RAM for inputs, accumulators and tables, in banks (Ethos-U55 and U65)."""

    source: Text
    banks: Count
    bank_bytes: Count
    output_banks: Cycles
    end_banks: Cycles
    input_8_granule_banks: Count
    input_16_granule_banks: Count
    elementwise_8_granule_banks: Count
    elementwise_16_granule_banks: Count
    accumulator_32_granule_banks: Count
    accumulator_40_granule_banks: Count


class Rams(Table, frozen=True):
    """A RAM for each purpose, and how much each channel can have under way (Ethos-U85)."""

    source: Text
    input_bytes: Count
    accumulator_bytes: Count
    output_bytes: Count
    copy_read_words: Count
    input_stream_read_words: Count
    weight_read_words: Count
    fast_weight_read_words: Count
    input_read_words: Count
    scale_read_words: Count


class Decoder(Table, frozen=True):
    """Weights that a core decodes in a cycle: from `least` up to `most` as zeros grow."""

    source: Text
    least_weights_per_cycle: Count
    most_weights_per_cycle: Count
    least_zeros_share: Share
    most_zeros_share: Share
    two_of_four: bool
    counted_by_estimator: bool  # else it counts in mode `measured` alone


class Skipping(Table, frozen=True):
    """A design that neither fetches nor multiplies a tile of weights that are all zero."""

    source: Text
    tile_outputs: Count
    tile_inputs: Count
    index_bits_per_tile: Annotated[int, msgspec.Meta(ge=0, le=64)]
    index_of_live_tiles_only: bool
    compressed: bool  # live tiles go through the base's encoder; else a byte a weight


class Energy(Table, frozen=True):
    source: Text
    mac_pj: Picojoules
    sram_pj_per_byte: Picojoules


class Memory(Table, frozen=True):
    bytes_per_cycle: Rate
    read_latency_cycles: Cycles
    write_latency_cycles: Cycles
    burst_bytes: Count
    ports: Count
    reads_under_way: Count
    writes_under_way: Cycles


class External(Memory, frozen=True):
    kind: Literal["flash", "dram"]
    read_pj_per_byte: Picojoules
    read_pj_source: Text


class System(Table, frozen=True):
    """Clock and memories around an NPU; bandwidths in bytes per cycle of its clock."""

    source: Text
    schema: Literal[1]
    name: Text
    title: Text
    clock_hz: Hertz
    sram: Memory
    external: External
    # The system that the program was compiled for, where it runs on another one.
    compiled_for: Text | None = None


class Hardware(Table, frozen=True):
    """One NPU."""

    schema: Literal[1]
    name: Text
    title: Text
    family: Literal["ethos-u55", "ethos-u65", "ethos-u85"]
    hypothetical: bool
    systems: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]  # the first is the default
    array: Array
    output: Output
    energy: Energy
    shared_ram: SharedRam | None = None
    rams: Rams | None = None
    decoder: Decoder | None = None
    skipping: Skipping | None = None

    @property
    def is_u85(self) -> bool:
        """Of the generation with chaining, a RAM for each purpose and a decoder curve."""
        return self.family == "ethos-u85"


class Target(msgspec.Struct, frozen=True):
    """What a profile is of: an NPU, the memories around it, and where the weights lie.

    encoded_factor : what if weight streams were so many times as long
    compiled_for : the system that blocks and formats were chosen for, where it is another
    """

    hardware: Hardware
    system: System
    memory: str  # one of MEMORIES
    encoded_factor: float = 1.0
    compiled_for: System | None = None

    @property
    def sram(self) -> Memory:
        """Where feature maps lie."""
        return self.system.sram

    @property
    def weights(self) -> Memory:
        """Where weights, scales, tables and constants lie."""
        return self.system.sram if self.memory == "sram" else self.system.external

    @property
    def planned(self) -> Target:
        """The target that blocks and formats are chosen for."""
        if self.compiled_for is None:
            return self
        return msgspec.structs.replace(self, system=self.compiled_for)


def hardware_folder() -> Path:
    """Where the hardware files lie."""
    return packaged("export", "hardware")


def hardware_names() -> list[str]:
    """The NPUs that have a file: published ones first, each family by size."""
    names = [path.stem for path in hardware_folder().glob("*.toml")]
    return sorted(names, key=lambda name: [int(n) if n.isdigit() else n for n in _parts(name)])


def load_hardware(name: str) -> Hardware:
    """The NPU `name`, or of the file that it names; InputError says which key is wrong."""
    path = _find(name)
    hardware = _parsed(path, Hardware)
    _check_family(hardware, path)
    for system in hardware.systems:
        load_system(system, path.parent, path)
    return hardware


def load_system(name: str, folder: Path | None = None, asked_by: object = "system") -> System:
    """The memory system `name` in the folder `systems` under `folder`, else of the package.

    InputError names `asked_by`, the file that wants it, where there is none.
    """
    folders = [hardware_folder()] if folder is None else [folder, hardware_folder()]
    for place in folders:
        path = place / "systems" / f"{name}.toml"
        if os.path.exists(path):
            return _parsed(path, System)
    known = sorted(path.stem for path in (hardware_folder() / "systems").glob("*.toml"))
    raise InputError(f"unknown memory system {name!r}", asked_by, _suggest(name, known))


def load_systems(npu: str) -> list[System]:
    """The memory systems of the NPU `npu`, a name or a file; the first is the default."""
    return [load_system(name, _find(npu).parent) for name in load_hardware(npu).systems]


def find_target(npu: str, memory: str = "flash", system: str | None = None) -> Target:
    """The target of `--npu`, `--memory` and `--system`.

    Without a system it is the first of the NPU's that has the memory.
    """
    hardware = load_hardware(npu)
    folder = _find(npu).parent
    if memory not in MEMORIES:
        raise InputError(f"unknown memory {memory!r}", "--memory", f"use {', '.join(MEMORIES)}")
    if system is not None and system not in hardware.systems:
        raise InputError(
            f"{hardware.name} has no system {system!r}", "--system",
            f"use {', '.join(hardware.systems)}",
        )  # fmt: skip
    names = hardware.systems if system is None else (system,)
    systems = [load_system(name, folder) for name in names]
    for candidate in systems:
        if memory in ("sram", candidate.external.kind):
            other = candidate.compiled_for
            compiled_for = None if other is None else load_system(other, folder)
            return Target(hardware, candidate, memory, compiled_for=compiled_for)
    kinds = ", ".join(sorted({"sram", *(found.external.kind for found in systems)}))
    raise InputError(f"{hardware.name} has no {memory} here", "--memory", f"use {kinds}")


def default_memory(npu: str) -> str:
    """The memory of the first system of the NPU `npu`, a name or a file."""
    return load_systems(npu)[0].external.kind


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    path = hardware_folder() / f"{name}.toml"
    if not re.fullmatch(r"[\w.-]+", name) or not os.path.exists(path):
        raise InputError("unknown NPU", name, _suggest(name, hardware_names()))
    return path


def _suggest(name: str, known: list[str]) -> str:
    begun = [each for each in known if each.startswith(name)]
    close = begun or difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if len(close) == 1 else f"use {', '.join(close or known)}"


Struct = TypeVar("Struct", bound=Table)


def _parsed(path: Path, kind: type[Struct]) -> Struct:
    document = read_toml(path, "correct the line")
    _check_keys(document, kind, path, "")
    try:
        return msgspec.convert(document, kind, strict=True)
    except msgspec.ValidationError as error:
        what = str(error).replace(" - at `$.", ", at `")
        raise InputError(what, path, "see docs/cost_model.md for the keys") from error


def _check_keys(document: dict[str, Any], kind: type, path: Path, prefix: str) -> None:
    """An unknown key is most often a known one in another unit, so that one is named."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in document.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, 1, 0.5)
            remedy = f"did you mean {prefix}{close[0]}?" if close else "take it out"
            raise InputError(f"unknown key {prefix}{key}", path, remedy)
        inner = next((part for part in _members(fields[key]) if _is_table(part)), None)
        if inner is not None and isinstance(value, dict):
            _check_keys(value, inner, path, f"{prefix}{key}.")


def _members(kind: Any) -> tuple[Any, ...]:
    """The parts of `A | None`, or the type itself."""
    return getattr(kind, "__args__", None) or (kind,)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _check_family(hardware: Hardware, path: Path) -> None:
    """What one generation needs and another does not have."""
    needed = ("rams", "decoder") if hardware.is_u85 else ("shared_ram",)
    missing = [f"`{key}`" for key in needed if getattr(hardware, key) is None]
    u85_keys = ("output_8", "output_16", "activation")
    u55_keys = ("accumulator_40", "multiply", "add", "max_pool", "other", "table", "relu")
    for key in u85_keys if hardware.is_u85 else u55_keys:
        if getattr(hardware.output, f"{key}_cycles_per_element") is None:
            missing.append(f"`output.{key}_cycles_per_element`")
    if missing:
        what = f"a {hardware.family} needs {' and '.join(missing)}"
        raise InputError(what, path, "add what is missing")
    largest = hardware.array.largest_block_outputs
    for micro in hardware.array.micro_blocks_outputs:
        if any(a < b for a, b in zip(largest, micro, strict=True)):
            what = f"`array.largest_block_outputs` {list(largest)} is below a micro-block"
            raise InputError(what, path, f"make it {list(micro)} or more")
    decoder = hardware.decoder
    if decoder is not None and decoder.least_zeros_share >= decoder.most_zeros_share:
        what = "`decoder.least_zeros_share` is not below `decoder.most_zeros_share`"
        raise InputError(what, path, "exchange them")


def _parts(name: str) -> list[str]:
    return [(name.startswith("hypothetical") and "1") or "0", *re.split(r"[-_]", name)]
