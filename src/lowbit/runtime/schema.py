# SPDX-License-Identifier: Apache-2.0
"""What the flatbuffer of a `.tflite` says about tensors and ops, read without running it.

The interpreter shows int4 as int8 and float16 constants as they come; the flatbuffer knows what is stored.
"""

import os
import struct
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as flatbuffer

from lowbit.runtime.interpreter import not_readable


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPS = _names(flatbuffer.BuiltinOperator)
_TYPES = {value: name.lower() for value, name in _names(flatbuffer.TensorType).items()}


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """`shape` as stored; `elements` is its product; `dtype` such as float32, int8, int4; `scale` of all its codes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    quantized: bool
    scale: float | None = None  # None for float tensors, and for those with scales by channel

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, kw_only=True)
class StoredOp:
    """Tensors by index into the graph's tensors; optional inputs that were left out are not listed."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One subgraph; `inputs` and `outputs` by tensor index."""

    tensors: tuple[StoredTensor, ...]
    ops: tuple[StoredOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graphs(content: bytes, source: str | os.PathLike[str]) -> tuple[Graph, ...]:
    """All subgraphs of the file's bytes; raises FileFormatError naming `source` when they are damaged."""
    try:
        model = flatbuffer.Model.GetRootAs(content, 0)
        codes = [_op_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
        stored = [_is_stored(model, i) for i in range(model.BuffersLength())]
        return tuple(_graph(model.Subgraphs(i), codes, stored) for i in range(model.SubgraphsLength()))
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise not_readable(source, f"damaged contents ({error})") from error


def _op_name(code: flatbuffer.OperatorCode) -> str:
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == flatbuffer.BuiltinOperator.CUSTOM and code.CustomCode() is not None:
        return str(code.CustomCode().decode())
    return _OPS.get(builtin, f"OP_{builtin}")


def _is_stored(model: flatbuffer.Model, index: int) -> bool:
    """Whether a buffer holds data, inside the flatbuffer or behind it (large files)."""
    buffer = model.Buffers(index)
    return buffer.DataLength() > 0 or buffer.Offset() > 1


def _graph(graph: flatbuffer.SubGraph, codes: list[str], stored: list[bool]) -> Graph:
    return Graph(
        tensors=tuple(_tensor(graph.Tensors(i), stored) for i in range(graph.TensorsLength())),
        ops=tuple(_op(graph.Operators(i), codes) for i in range(graph.OperatorsLength())),
        inputs=tuple(graph.Inputs(i) for i in range(graph.InputsLength())),
        outputs=tuple(graph.Outputs(i) for i in range(graph.OutputsLength())),
    )


def _op(op: flatbuffer.Operator, codes: list[str]) -> StoredOp:
    inputs = (op.Inputs(i) for i in range(op.InputsLength()))
    return StoredOp(
        name=codes[op.OpcodeIndex()],
        inputs=tuple(index for index in inputs if index >= 0),
        outputs=tuple(op.Outputs(i) for i in range(op.OutputsLength())),
    )


def _tensor(tensor: flatbuffer.Tensor, stored: list[bool]) -> StoredTensor:
    quantization = tensor.Quantization()
    scales = 0 if quantization is None else quantization.ScaleLength()
    return StoredTensor(
        name=(tensor.Name() or b"").decode(),
        shape=tuple(tensor.Shape(i) for i in range(tensor.ShapeLength())),
        dtype=_TYPES.get(tensor.Type(), f"type_{tensor.Type()}"),
        constant=stored[tensor.Buffer()],
        quantized=scales > 0,
        scale=float(quantization.Scale(0)) if scales == 1 else None,
    )
