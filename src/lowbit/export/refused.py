# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow's converter and litert-quantizer refuse, in the words of the model: their own name no layer."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lowbit.errors import ExportError
from lowbit.runtime import flatbuffer

_PLACE = re.compile(r"\S+:\d+:\d+: (?:error: )?")
"""Where the caller's script was when the op was traced."""

_OP = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_MOST_AXES = 5


def conversion(error: BaseException, function: Any, made: Sequence[tuple[str, int]]) -> ExportError:
    """The converter's refusal with op and layer.

    Args:
        function: the traced graph.
        made: layers in running order, each with how many operations the graph had after it.
    """
    begin = "TensorFlow's converter refused the model with LiteRT's built-in operations: "
    found = _OP.search(str(error))
    if found is None:
        line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return ExportError(f"{begin}{without_place(line)[:300]}")
    layer = _layer_of(found[1], function, made)
    return ExportError(
        f"{begin}{f'layer {layer!r}' if layer else 'it'} computes {found[1]}, which LiteRT has not; write it in other "
        "operations, or leave it out of the model and compute it outside of the file"
    )


def without_place(line: str) -> str:
    return _PLACE.sub("", line).strip()


def _layer_of(op: str, function: Any, made: Sequence[tuple[str, int]]) -> str | None:
    """The layer that computes `op`, also inside of its loops and branches."""
    operations, begin = function.graph.get_operations(), 0
    for name, end in made:
        if any(operation.type == op for operation in operations[begin:end]):
            return name
        begin = end
    return None


def merging(entries: Sequence[Any], points: Sequence[str], index: Mapping[str, int] | None = None) -> ExportError:
    """The converter's merging of tensors with a quantizer each.

    Args:
        entries: the outputs of its signature, each by the name of a point.
        index: the tensor of each point, where that is not the entry's own.
    """
    by_tensor: dict[int, list[str]] = {}
    for entry in entries:
        name = flatbuffer.text(entry.name)
        by_tensor.setdefault(int(entry.tensorIndex) if index is None else index[name], []).append(name)
    merged = next((sorted(names) for names in by_tensor.values() if len(names) > 1), None)
    if merged is None:
        return ExportError(f"the converter kept {len(by_tensor)} of {len(points)} quantized tensors apart")
    return ExportError(
        f"layers {merged[0]!r} and {merged[1]!r} compute the same from the same tensors, and the converter makes one "
        "tensor of them; expected tensors that are quantized apart; compute it once in the model and use it twice"
    )


def quantization(error: BaseException, content: bytes, known: Collection[str]) -> ExportError:
    """litert-quantizer's refusal; where it is one of ranks, with the first of our `known` tensors of too many axes."""
    shapes = {
        flatbuffer.text(tensor.name): tuple(int(size) for size in tensor.shape)
        for tensor in flatbuffer.read(content).subgraphs[0].tensors
        if tensor.shape is not None
    }
    wide = [name for name in known if len(shapes.get(name, ())) > _MOST_AXES]
    if "rank" not in str(error).lower() or not wide:
        return ExportError(f"litert-quantizer refused the file: {error}")
    return ExportError(
        f"tensor {wide[0]!r} has {len(shapes[wide[0]])} axes, {shapes[wide[0]]}; expected at most {_MOST_AXES}, as "
        "litert-quantizer refuses more; merge some with a Reshape, or keep the layer float with a rule"
    )
