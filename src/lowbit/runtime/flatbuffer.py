# SPDX-License-Identifier: Apache-2.0
"""Reading, editing and writing LiteRT flatbuffers, with the schema that ships with the runtime."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Model = Any

_CONSTANT_ALIGNMENT = 16
_LONGEST_SHARED = 1 << 16
"""Bytes of the longest vector that is looked for among those written: all zero points, hardly a kernel."""

_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def read(content: bytes) -> Model:
    """The mutable object form of a file's content; data stored behind the flatbuffer is taken in."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, "uint8", buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def write(model: Model) -> bytes:
    """The file's bytes; the same model always gives the same bytes."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal vectors and strings once, and constants at multiples of 16 bytes, as the schema asks for.

    A file of scales for each channel has many equal vectors: LiteRT wants a zero point of 8 bytes for each scale, and
    all of those are 0.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        if x.nbytes > _LONGEST_SHARED:
            return self._vector(x)
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = self._vector(x)
        return self._written[key]

    def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:
        key = ("text", s if isinstance(s, bytes) else s.encode(encoding, errors))
        if key not in self._written:
            self._written[key] = super().CreateString(key[1])
        return self._written[key]

    def _vector(self, x: np.ndarray) -> int:
        if x.dtype == np.uint8:
            self.Prep(_CONSTANT_ALIGNMENT, x.nbytes)
        return int(super().CreateNumpyVector(x))


def op_name(model: Model, operator: Any) -> str:
    """For example "CONV_2D"."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def constant(model: Model, tensor: Any, dtype: str = "float32") -> np.ndarray | None:
    """A tensor's stored values as a flat array; None for a tensor computed at run time."""
    data = model.buffers[tensor.buffer].data
    return None if data is None or len(data) == 0 else np.frombuffer(np.asarray(data, "uint8").tobytes(), dtype)


def set_constant(model: Model, tensor: Any, values: np.ndarray) -> None:
    """Replace a tensor's stored values by the bytes of `values`."""
    model.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype="uint8")


def remove_dead_operators(model: Model) -> None:
    """Drop operators whose outputs nobody reads; a quantized file with one ends the process that opens it."""
    graph = model.subgraphs[0]
    while True:
        read = {int(i) for operator in graph.operators for i in operator.inputs} | {int(i) for i in graph.outputs}
        alive = [operator for operator in graph.operators if any(int(i) in read for i in operator.outputs)]
        if len(alive) == len(graph.operators):
            return
        graph.operators = alive


def remove_unused(model: Model) -> None:
    """Drop tensors of the main graph, buffers and operator codes that nothing refers to; renumber the rest."""
    graph = model.subgraphs[0]
    used = sorted(
        {int(i) for op in graph.operators for i in [*op.inputs, *op.outputs] if i >= 0}
        | {int(i) for i in [*graph.inputs, *graph.outputs]}
    )
    number = {old: new for new, old in enumerate(used)} | {-1: -1}
    graph.tensors = [graph.tensors[old] for old in used]
    for operator in graph.operators:
        operator.inputs = np.array([number[int(i)] for i in operator.inputs], dtype="int32")
        operator.outputs = np.array([number[int(i)] for i in operator.outputs], dtype="int32")
    graph.inputs = np.array([number[int(i)] for i in graph.inputs], dtype="int32")
    graph.outputs = np.array([number[int(i)] for i in graph.outputs], dtype="int32")
    for signature in model.signatureDefs or []:
        for entry in [*signature.inputs, *signature.outputs]:
            entry.tensorIndex = number[int(entry.tensorIndex)]
    _remove_unused_buffers(model)
    _remove_unused_codes(model)


def _remove_unused_buffers(model: Model) -> None:
    """Buffer 0 stays empty, as the schema wants; every computed tensor points to it."""
    empty = schema.BufferT()
    kept = [empty]
    number: dict[int, int] = {}
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is None or len(data) == 0:
            tensor.buffer = 0
            continue
        if tensor.buffer not in number:
            number[tensor.buffer] = len(kept)
            kept.append(model.buffers[tensor.buffer])
        tensor.buffer = number[tensor.buffer]
    model.buffers = kept
    model.metadata = None
    model.metadataBuffer = None


def _remove_unused_codes(model: Model) -> None:
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    used = sorted({operator.opcodeIndex for operator in operators})
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)


def number_inner_graphs(model: Any) -> None:
    """Names inside branches and loops count up with all that the process traced before; the file must not tell."""
    for number, graph in enumerate(model.subgraphs[1:], start=1):
        graph.name = f"graph_{number}"
        for position, tensor in enumerate(graph.tensors):
            tensor.name = f"{graph.name}/{position}"
