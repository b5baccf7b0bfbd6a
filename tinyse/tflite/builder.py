"""Puts a `.tflite` file together: tensors, operators and metadata in, bytes out.

The order of calls is the order in the file, and nothing else enters, so equal networks give
equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinyse.quant import Quantisation
from tinyse.tflite.layout import TYPES

NUMBERS = {name: number for number, name in TYPES.items()}


class Builder:
    """One file under construction, in the objects of a generated schema."""

    def __init__(self, schema: ModuleType) -> None:
        self.schema = schema
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = "tinyse"
        self._model.operatorCodes = []
        self._model.buffers = [schema.BufferT()]  # buffer 0 is the empty one
        self._model.metadata = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[int, int], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        quantisation: Quantisation | NDArray | None = None,
        data: NDArray | None = None,
        is_variable: bool = False,
    ) -> int:
        """Adds a tensor and returns its number; an array of scales means zero points of 0."""
        tensor = self.schema.TensorT()
        tensor.name, tensor.type = name, NUMBERS[kind]
        tensor.shape = np.array(shape, dtype=np.int32)
        tensor.isVariable = is_variable
        if data is not None:
            tensor.buffer = self._buffer(data.astype(np.dtype(kind).newbyteorder("<")))
        if quantisation is not None:
            tensor.quantization = self._quantisation(quantisation)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def activation(self, name: str, width: int, quantisation: Quantisation) -> int:
        """Adds a frame [1, 1, width] in the type of its quantisation."""
        return self.tensor(name, (1, 1, width), quantisation.dtype.name, quantisation)

    def constant(self, name: str, data: NDArray, scales: NDArray | Sequence[float]) -> int:
        """Adds a tensor of weights or biases, in the type of `data`, with zero points of 0."""
        return self.tensor(name, data.shape, data.dtype.name, np.array(scales), data)

    def bound(self, name: str, steps: int, quantisation: Quantisation) -> int:
        """Adds a constant [1, 1, 1] that is compared with frames of that quantisation."""
        data = np.full((1, 1, 1), steps, quantisation.dtype)
        return self.tensor(name, data.shape, quantisation.dtype.name, quantisation, data)

    def operator(
        self,
        code: int,
        version: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        intermediates: Sequence[int] = (),
    ) -> None:
        """Adds an operator; `options` is an object of the schema."""
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self._code(code, version)
        operator.inputs = np.array(inputs, dtype=np.int32)
        operator.outputs = np.array(outputs, dtype=np.int32)
        if intermediates:
            operator.intermediates = np.array(intermediates, dtype=np.int32)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self._graph.operators.append(operator)

    def metadata(self, name: str, data: bytes) -> None:
        """Adds a named piece of metadata."""
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, self._buffer(np.frombuffer(data, np.uint8))
        self._model.metadata.append(entry)

    def signature(self, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """Names the tensors of these numbers for whoever asks the file by name."""
        entry = self.schema.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = "serving_default", 0
        entry.inputs, entry.outputs = self._names(inputs), self._names(outputs)
        self._model.signatureDefs = [entry]

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file with these inputs and outputs of the graph."""
        self._graph.inputs = np.array(inputs, dtype=np.int32)
        self._graph.outputs = np.array(outputs, dtype=np.int32)
        flat = flatbuffers.Builder(1 << 20)
        flat.Finish(self._model.Pack(flat), b"TFL3")
        return bytes(flat.Output())

    def _buffer(self, data: NDArray) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _names(self, tensors: dict[str, int]) -> list:
        found = []
        for name, number in tensors.items():
            entry = self.schema.TensorMapT()
            entry.name, entry.tensorIndex = name, number
            found.append(entry)
        return found

    def _code(self, code: int, version: int) -> int:
        if (code, version) not in self._codes:
            entry = self.schema.OperatorCodeT()
            entry.builtinCode, entry.version = code, version
            entry.deprecatedBuiltinCode = min(code, 127)
            self._codes[code, version] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        return self._codes[code, version]

    def _quantisation(self, quantisation: Quantisation | NDArray) -> Any:
        scales: ArrayLike
        zero_points: ArrayLike
        if isinstance(quantisation, Quantisation):
            scales, zero_points = [quantisation.scale], [quantisation.zero_point]
        else:
            scales, zero_points = quantisation, np.zeros(len(quantisation))
        entry = self.schema.QuantizationParametersT()
        entry.scale = np.array(scales, dtype=np.float32)
        entry.zeroPoint = np.array(zero_points, dtype=np.int64)
        return entry
