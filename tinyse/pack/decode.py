"""Pruned weights in TFLM's own DECODE form: a bitmap and the values that are not zero.

    weights int8 [out, in]  ->  bitmap    uint8, a bit per weight, row by row, highest bit first
                                values    uint8, a header of 16 bytes, then the non-zero weights
    one operator TFLM_DECODE before each consumer: (bitmap, values) per matrix -> the matrices

TFLM has the operator built in but no writer for it; LiteRT and Vela do not know it.  The operator
writes the whole matrix into the arena before every use, so the file shrinks and RAM and time grow.
One operator per consumer, with all of its matrices: each DECODE starts at offset 0 of an
alternate decompression memory, and would overwrite what another one has written there for the
same consumer.

Sources: `kernels/decode.cc`, `kernels/decode_state.h` and `kernels/decode_state_prune.cc` under
`tensorflow/lite/micro/`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.tflite.check import CheckedFile, check
from tinyse.tflite.layout import CUSTOM
from tinyse.tflite.read import REMEDY, Model, Operator, Tensor, parse_model
from tinyse.tflite.schema import schema_module

NAME = "TFLM_DECODE"
PRUNE, VERSION = 2, 1  # decode type, version of header and form
HEADER_BYTES = 16
BOOKKEEPING_BYTES = 192  # two more tensors with names, shapes and buffers; 181 on average
UINT8 = 3  # TensorType


@dataclass(frozen=True)
class Packed:
    """A file in the DECODE form and what it costs.

    scratch_bytes : arena that the decoded matrices of one consumer take, at most
    left : weight tensor -> why it stays as it was
    """

    data: bytes
    scratch_bytes: int
    left: dict[str, str]


def write_decode(file: CheckedFile, schema: ModuleType | None = None) -> Packed:
    """`file` with its pruned matrices in the DECODE form; every other byte of it means the same.

    A matrix of which fewer weights are zero than pay for the bitmap and its bookkeeping stays, and
    so does a file that is in this form already.
    Raises MissingExtra without a package that holds the schema.
    """
    left: dict[str, str] = {}
    chosen: dict[int, list[int]] = {}
    scratch = 0
    for number, operator in enumerate(file.model.operators):
        matrices = dict(_matrices(file.model, operator))
        reasons = {i: _reason_to_leave(file.model, i, data) for i, data in matrices.items()}
        left |= {file.model.tensors[i].name: why for i, why in reasons.items() if why}
        chosen[number] = [index for index in matrices if not reasons[index]]
        scratch = max(scratch, sum(matrices[index].size for index in chosen[number]))
    if not scratch or is_decode(parse_model(file.data, file.path)):
        return Packed(file.data, scratch, left)
    return Packed(_rewritten(file, chosen, schema or schema_module()), scratch, left)


def encode(weights: NDArray[np.int8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(bitmap, header and values) of a matrix."""
    flat = np.ascontiguousarray(weights).reshape(-1)
    header = np.zeros(HEADER_BYTES, np.uint8)
    header[[0, 1, 4]] = PRUNE, VERSION, VERSION
    return np.packbits(flat != 0), np.concatenate([header, flat[flat != 0].view(np.uint8)])


def encoded_size(weights: NDArray[np.int8]) -> int:
    """Bytes of a matrix in a file of this form, bookkeeping not counted."""
    zeros, overhead = _gain_and_cost(weights)
    encoded = weights.size - zeros + overhead - BOOKKEEPING_BYTES
    return encoded if zeros > overhead else weights.size


def decode(
    bitmap: NDArray[np.uint8], values: NDArray[np.uint8], shape: tuple[int, ...]
) -> NDArray[np.int8]:
    """The matrix of a bitmap and its values; ValueError says what is wrong with them."""
    size = int(np.prod(shape))
    if len(values) < HEADER_BYTES or list(values[[0, 1, 4]]) != [PRUNE, VERSION, VERSION]:
        raise ValueError("is not the pruned form, version 1")
    if len(bitmap) != -(-size // 8):
        raise ValueError(f"{len(bitmap)} bytes of bitmap for {size} weights")
    bits = np.unpackbits(bitmap)
    if bits[size:].any() or int(bits.sum()) != len(values) - HEADER_BYTES:
        raise ValueError(f"{len(values) - HEADER_BYTES} values for {int(bits.sum())} bits")
    matrix = np.zeros(size, np.int8)
    matrix[bits[:size] != 0] = values[HEADER_BYTES:].view(np.int8)
    return matrix.reshape(shape)


def is_decode(model: Model) -> bool:
    """Whether a model holds weights in this form."""
    return any(_is_decode(operator) for operator in model.operators)


def check_decode(data: bytes, path: Path | None = None) -> CheckedFile:
    """A file in this form, whose bytes may come from `path`: they as they are, its network decoded.

    Whoever runs the bytes (TFLM) gets the checked file; whoever counts weights finds them all.
    InputError says what is wrong with it.
    """
    model = decoded(parse_model(data, path))
    return CheckedFile(path, data, model, check(model))


def decoded(model: Model) -> Model:
    """The model with every weight in its place and no DECODE operator.

    Each DECODE must stand right before the one operator that reads what it puts out: before it,
    the arena holds something else, and two of them for one operator may overwrite each other.
    """
    tensors, operators = list(model.tensors), []
    for number, operator in enumerate(model.operators):
        if not _is_decode(operator):
            operators.append(operator)
            continue
        outputs = operator.outputs
        if operator.version != VERSION or len(operator.inputs) != 2 * len(outputs) or not outputs:
            counts = f"{len(operator.inputs)} inputs, {len(outputs)} outputs"
            _refuse(model, f"{NAME}, version {operator.version}: {counts}")
        consumer = model.operators[number + 1 : number + 2]
        if any(_is_decode(other) for other in consumer):
            _refuse(model, f"{NAME}: two in a row")
        pairs = zip(operator.inputs[::2], operator.inputs[1::2], outputs, strict=True)
        for bitmap, values, output in pairs:
            tensors[output] = _decoded_tensor(model, bitmap, values, output)
            readers = [other for other in model.operators if output in other.inputs]
            if readers != list(consumer):
                _refuse(model, f"{tensors[output].name}: not read by the operator behind {NAME}")
    return dataclasses.replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _decoded_tensor(model: Model, bitmap: int, values: int, output: int) -> Tensor:
    if min(bitmap, values, output) < 0:
        _refuse(model, f"{NAME}: a tensor is absent")
    target = model.tensors[output]
    name = target.name or f"tensor {output}"
    bits, kept = (_constant_bytes(model.tensors[index]) for index in (bitmap, values))
    if bits is None or kept is None:
        _refuse(model, f"{name}: its encoded tensors are not constant uint8 vectors")
    if target.type != "int8" or target.data is not None or target.zero_points.any():
        _refuse(model, f"{name}: cannot be what {NAME} puts out")
    if sum(operator.outputs.count(output) for operator in model.operators) > 1:
        _refuse(model, f"{name}: two operators put it out")
    try:
        data = decode(bits, kept, target.shape)
    except ValueError as error:
        raise InputError(f"{name}: {error}", model.path or "model", REMEDY) from error
    return dataclasses.replace(target, data=data)


def _constant_bytes(tensor: Tensor) -> NDArray[np.uint8] | None:
    """What a constant vector of bytes holds, None where a tensor is not one."""
    is_vector = tensor.type == "uint8" and len(tensor.shape) == 1
    return tensor.data if is_vector and not tensor.is_variable else None


def _refuse(model: Model, what: str) -> NoReturn:
    raise InputError(what, model.path or "model", REMEDY)


def _is_decode(operator: Operator) -> bool:
    return operator.code == CUSTOM and operator.name == f"CUSTOM {NAME}"


def _matrices(model: Model, operator: Operator) -> Iterator[tuple[int, NDArray[np.int8]]]:
    """(number, weights) of the constant matrices that an operator reads."""
    for index in dict.fromkeys(operator.inputs):
        if index >= 0:
            tensor = model.tensors[index]
            if tensor.data is not None and tensor.type == "int8" and len(tensor.shape) == 2:
                yield index, tensor.data


def _reason_to_leave(model: Model, index: int, weights: NDArray[np.int8]) -> str | None:
    tensor = model.tensors[index]
    if sum(operator.inputs.count(index) for operator in model.operators) > 1:
        return "more than one operator reads it"
    if len(tensor.scales) > 1 and tensor.axis not in (0, len(tensor.shape) - 1):
        return f"scales along axis {tensor.axis}"
    zeros, overhead = _gain_and_cost(weights)
    if zeros <= overhead:
        return f"{zeros} zeros do not pay for {overhead} bytes of bitmap and bookkeeping"
    return None


def _gain_and_cost(weights: NDArray[np.int8]) -> tuple[int, int]:
    """Bytes that the form saves and adds."""
    zeros = weights.size - int(np.count_nonzero(weights))
    return zeros, -(-weights.size // 8) + HEADER_BYTES + BOOKKEEPING_BYTES


def _rewritten(file: CheckedFile, chosen: dict[int, list[int]], schema: ModuleType) -> bytes:
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(file.data, 0)
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = CUSTOM
    code.customCode, code.version = NAME, VERSION
    model.operatorCodes.append(code)
    operators = []
    for number, operator in enumerate(graph.operators):
        if chosen[number]:
            entry = schema.OperatorT()
            entry.opcodeIndex = len(model.operatorCodes) - 1
            entry.outputs = np.array(chosen[number], np.int32)
            inputs = [i for index in chosen[number] for i in _encoded(schema, model, index)]
            entry.inputs = np.array(inputs, np.int32)
            operators.append(entry)
        operators.append(operator)
    graph.operators = operators
    _drop_unread_buffers(schema, model)
    builder = flatbuffers.Builder(len(file.data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _encoded(schema: ModuleType, model: Any, index: int) -> tuple[int, int]:
    """Adds the two encoded tensors of a matrix, which loses its buffer; their numbers."""
    tensors = model.subgraphs[0].tensors
    tensor = tensors[index]
    matrix = model.buffers[tensor.buffer].data.view(np.int8)
    name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name or "weights"
    for part, data in zip(("bitmap", "values"), encode(matrix), strict=True):
        buffer = schema.BufferT()
        buffer.data = data
        model.buffers.append(buffer)
        added = schema.TensorT()
        added.name, added.type = f"{name}/{part}", UINT8
        added.shape = np.array([len(data)], np.int32)
        added.buffer = len(model.buffers) - 1
        tensors.append(added)
    tensor.buffer = 0
    return len(tensors) - 2, len(tensors) - 1


def _drop_unread_buffers(schema: ModuleType, model: Any) -> None:
    """Empties the buffers that no tensor and no metadata has any longer; numbers stay."""
    read = {tensor.buffer for tensor in model.subgraphs[0].tensors}
    read |= {entry.buffer for entry in model.metadata or []}
    for number in range(len(model.buffers)):
        if number not in read:
            model.buffers[number] = schema.BufferT()
