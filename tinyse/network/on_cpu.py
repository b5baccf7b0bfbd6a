"""Products and LSTM loops of training in C++ on x86 processors, called by XLA, on JAX.

XLA's products on a CPU run at a fraction of what the processor can do, and its loop over time packs
the recurrent kernel anew in every step.  `cpu/` holds the code, which is compiled on first use: for
the tile unit (AMX), for dot products of pairs (AVX-512 with BF16), else for fused multiply-adds
(AVX-512 or AVX2).  Operands of products are rounded to bfloat16, sums and everything element-wise
stay float32: the usual mixed precision of training.

Functions and shapes are those of `layers`; `build.fitted` brings a network to widths they take.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from tinyse import features
from tinyse.compiled import DoesNotCompile, build, load_library
from tinyse.errors import InputError, TinySEError
from tinyse.network.integers import Multiplier
from tinyse.network.tensors import Tensor, Tensors

_SOURCES = Path(__file__).parent / "cpu"
_CALLS = (
    "tinyse_lstm_forward",
    "tinyse_lstm_backward",
    "tinyse_product",
    "tinyse_batched_product",
    "tinyse_quantised_forward",
    "tinyse_hear",
    "tinyse_negative_snr",
)
UNITS = 64  # a layer's width must be a multiple of it
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread", "-w")
# What the compiler is told of a processor that has a flag; the first that it has is the fastest.
MACHINES = {
    "amx_bf16": ("-march=sapphirerapids",),
    "avx512_bf16": ("-march=x86-64-v4", "-mavx512bf16"),
    "avx512bw": ("-march=x86-64-v4",),
    "avx2": ("-march=x86-64-v3",),
}

_Shape = tuple[int, ...]

# What JAX itself leaves without types.
_capsule: Callable[[Any], object] = jax.ffi.pycapsule
_result: Callable[[_Shape, type[np.generic]], jax.ShapeDtypeStruct] = jax.ShapeDtypeStruct


def load() -> ctypes.CDLL:
    """Compile and register the calls; InputError where the machine cannot run them."""
    return _loaded()[1]


def machine() -> str:
    """The flag of MACHINES that the calls are compiled for: sums of another differ."""
    return _loaded()[0]


@cache
def _loaded() -> tuple[str, ctypes.CDLL]:
    flag, library = _built()
    for name in _CALLS:
        capsule = _capsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, capsule, platform="cpu")
    return flag, library


def _built() -> tuple[str, ctypes.CDLL]:
    """The first build that can be made and that runs here.

    A processor that has a flag may still not do it: compilers of before it do not know it, and a
    sandbox may refuse the tile unit.
    """
    key = "train.precision"
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise InputError("bfloat16 needs a C++ compiler", key, "apt-get install g++")
    refused: TinySEError = InputError(
        "bfloat16 needs an x86 processor with AVX2", key, "train with precision float32"
    )
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise refused
    # JAX's headers have the same path in every version, and what is built goes by the command.
    of_jax = f"-I{jax.ffi.include_dir()}", f'-DTINYSE_JAX="{jax.__version__}"'
    for flag in (flag for flag in MACHINES if flag in processor()):
        command = (compiler, *_FLAGS, *MACHINES[flag], *of_jax)
        try:
            path = build(command, [_SOURCES / "calls.cc"], ".so", _SOURCES)
        except DoesNotCompile as error:
            refused = error
            continue
        library = load_library(path)
        if library.tinyse_available():
            return flag, library
    raise refused


def processor() -> str:
    """What Linux says of it; elsewhere the least flag, and `tinyse_available` decides."""
    cpu = Path("/proc/cpuinfo")
    return cpu.read_text("utf-8") if cpu.exists() else "avx2"


def _call(
    name: str,
    shapes: _Shape | tuple[_Shape, ...] | tuple[jax.ShapeDtypeStruct, ...],
    *arrays: Tensor,
    **attributes: np.generic | bool,
) -> Tensor:
    """One call; `shapes` of its float32 results, or what `jax.ffi.ffi_call` takes."""
    load()
    results: jax.ShapeDtypeStruct | tuple[jax.ShapeDtypeStruct, ...] = jax.tree.map(
        _float32, shapes, is_leaf=_is_shape
    )
    return jax.ffi.ffi_call(name, results)(*arrays, **attributes)


def _float32(shape: Any) -> jax.ShapeDtypeStruct:
    return _result(shape, np.float32) if _is_shape(shape) else shape


def _is_shape(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)


def _product(
    left: Tensor, right: Tensor, left_transposed: bool = False, right_transposed: bool = False
) -> Tensor:
    shape = (left.shape[int(left_transposed)], right.shape[int(not right_transposed)])
    sides = {"left_transposed": left_transposed, "right_transposed": right_transposed}
    return _call("tinyse_product", shape, left, right, **sides)


@jax.custom_vjp
def product(left: Tensor, right: Tensor) -> Tensor:
    """left [n, k] @ right [k, m], and gradients that are such products themselves."""
    return _product(left, right)


def _product_gradient(operands: tuple[Tensor, Tensor], upstream: Tensor) -> Tensors:
    left, right = operands
    return _product(upstream, right, right_transposed=True), _product(left, upstream, True)


product.defvjp(lambda left, right: (_product(left, right), (left, right)), _product_gradient)


def batched_product(left: Tensor, right: Tensor) -> Tensor:
    """left [b, n, k] @ right [b, k, m]; without a gradient."""
    shape = (*left.shape[:2], right.shape[2])
    return _call("tinyse_batched_product", shape, left, right)


def takes(units: int) -> bool:
    """Whether an LSTM of that width can run here."""
    return units % UNITS == 0


def lstm_states(projected: Tensor, recurrent: Tensor, cell_clip: float = 0.0) -> Tensors:
    """Hidden, cell [T, B, H] and gates [T, B, 4H] from a zero state."""
    narrow = (*projected.shape[:2], projected.shape[2] // 4)
    shapes = narrow, narrow, projected.shape
    clip = np.float32(cell_clip)
    return _call("tinyse_lstm_forward", shapes, projected, recurrent, clip=clip)


def lstm_gradient(
    upstream: Tensor,
    recurrent: Tensor,
    hidden: Tensor,
    cell: Tensor,
    gates: Tensor,
    cell_clip: float,
    scale: Tensor | None = None,
) -> Tensors:
    """Gradients of `projected`, times `scale` [4H], and of `recurrent`."""
    call = partial(_call, "tinyse_lstm_backward", clip=np.float32(cell_clip))
    d_projected = call(gates.shape, upstream, recurrent, cell, gates)
    units, width = recurrent.shape
    before = hidden[:-1].reshape(-1, units)  # the first step started from zeros
    d_recurrent = _product(before, d_projected[1:].reshape(-1, width), left_transposed=True)
    return d_projected if scale is None else d_projected * scale, d_recurrent


def quantised_states(
    sums: Tensor,
    recurrent: Tensor,
    by_input: Multiplier,
    by_hidden: Multiplier,
    tables: NDArray[np.integer],
    cell: Mapping[str, int],
) -> Tensors:
    """What `quantised._states` returns of accumulators [T, B, 4H] and int8 steps [H, 4H].

    by_input, by_hidden : `integers.Multiplier` of every column
    tables : int16 [3, 65536], sigmoid, tanh, tanh at the cell's scale
    cell : enter, leave (shifts) and clip (steps, 0 for none)
    """
    narrow = (*sums.shape[:2], sums.shape[2] // 4)
    results = (
        _result(narrow, np.float32),
        _result(narrow, np.int16),
        _result(sums.shape, np.int16),
    )
    # A gather reads 32 bits, so also one value behind the last.
    tables = np.pad(tables, ((0, 0), (0, 1))).astype(np.int16)
    multipliers = [jax.numpy.stack(by) for by in (by_input, by_hidden)]
    settings = {key: np.int32(value) for key, value in cell.items()}
    arrays = sums, recurrent, *multipliers, tables
    return _call("tinyse_quantised_forward", results, *arrays, **settings)


class Heard(NamedTuple):
    """A batch, mixed.

    spectrum : [B, blocks, 257, 2, lanes], a frame a lane; what it holds is for `negative_snr`
    target : [B, (T - 1) * 256], features : [B, T, 128], level : mean square of the mixture [B]
    """

    spectrum: jax.Array
    target: jax.Array
    features: jax.Array
    level: jax.Array


def heard(
    batch: Mapping[str, Tensor], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> Heard:
    """What `losses.mixed` and `features_in_graph.feature_frames` make of a batch."""
    rows, samples = batch["speech"].shape
    frames, lanes = samples // features.HOP - 1, load().tinyse_lanes()
    shapes = (
        (rows, -(-frames // lanes), features.BINS, 2, lanes),
        (rows, (frames - 1) * features.HOP),
        (rows, frames, features.BANDS),
        (rows,),
    )
    drawn = [batch[key] for key in ("speech", "noise", "equaliser", "snr_db", "level_dbfs")]
    settings = {
        "floor": np.float32(features.POWER_FLOOR),
        "clip": np.float32(features.FEATURE_CLIP),
    }
    constants = features.averaging_bank(), mean, std
    fixed = [np.asarray(value, np.float32) for value in constants]
    return Heard(*_call("tinyse_hear", shapes, *drawn, *fixed, **settings))


def negative_snr(heard: Heard, mask: Tensor, cap_db: float, least: float) -> Tensor:
    """`losses.negative_snr` of the mixture under a mask [B, T, 128].

    least : share of the mixture's level below which a target counts as that loud
    """
    settings = {"cap": np.float32(10 ** (-cap_db / 10)), "least": np.float32(least)}
    warp = features.warp_bank().astype(np.float32)
    rows = mask.shape[0]

    @jax.custom_vjp
    def loss(mask: Tensor) -> Tensor:
        return forward(mask)[0]

    def forward(mask: Tensor) -> tuple[Tensor, Tensor]:
        arrays = heard.spectrum, heard.target, heard.level, mask, warp
        values, slope = _call("tinyse_negative_snr", ((rows,), mask.shape), *arrays, **settings)
        return values.mean(), slope

    loss.defvjp(forward, lambda slope, upstream: (slope * (upstream / rows),))
    return loss(mask)
