# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a `.tflite` are, and the least that it could have."""

import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as flatbuffer

from lowbit.results import SizeParts
from lowbit.runtime.interpreter import not_readable


def size_parts(content: bytes, source: str | os.PathLike[str]) -> SizeParts:
    """The parts of a file's bytes; raises FileFormatError naming `source` when they are damaged."""
    try:
        model = flatbuffer.Model.GetRootAs(content, 0)
        tensors = list(_tensors(model))
        stored = {tensor.Buffer() for tensor in tensors if _stored_bytes(model.Buffers(tensor.Buffer()))}
        own = [tensor.Quantization() for tensor in tensors]
        scales = [None if one is None or not one.ScaleLength() else one.ScaleAsNumpy() for one in own]
        zeros = [None if one is None or not one.ZeroPointLength() else one.ZeroPointAsNumpy() for one in own]
        constants = _constants(model, stored)
        needed = [one for one, tensor in zip(scales, tensors, strict=True) if tensor.Buffer() in stored]
        names = sum(len(name) for name in {tensor.Name() or b"" for tensor in tensors})
    except (struct.error, IndexError, ValueError, TypeError, AttributeError) as error:
        raise not_readable(source, f"damaged contents ({error})") from error
    parts = {"constants": constants, "scales": _once(scales), "zero_points": _once(zeros), "names": names}
    return SizeParts(
        **parts,
        structure=len(content) - sum(parts.values()),
        floor=constants + sum(one.nbytes for one in needed if one is not None),
    )


def _tensors(model: Any) -> Iterator[Any]:
    for graph in (model.Subgraphs(number) for number in range(model.SubgraphsLength())):
        yield from (graph.Tensors(number) for number in range(graph.TensorsLength()))


def _stored_bytes(buffer: Any) -> int:
    """Inside the flatbuffer, or behind it (large files)."""
    return int(buffer.DataLength() or (buffer.Size() if buffer.Offset() > 1 else 0))


def _constants(model: Any, stored: set[int]) -> int:
    inside = [model.Buffers(number) for number in stored]
    behind = sum(_stored_bytes(buffer) for buffer in inside if not buffer.DataLength())
    return behind + _once([buffer.DataAsNumpy() for buffer in inside if buffer.DataLength()])


def _once(vectors: list[np.ndarray | None]) -> int:
    """Bytes of vectors that are views of the file, each place counted once."""
    return sum({one.__array_interface__["data"][0]: one.nbytes for one in vectors if one is not None}.values())
