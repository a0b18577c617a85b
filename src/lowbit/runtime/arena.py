# SPDX-License-Identifier: Apache-2.0
"""The memory that activations need at least when tensors that do not live at once share places, as LiteRT plans it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lowbit.runtime.schema import Graph, StoredTensor

ALIGNMENT = 64  # bytes, LiteRT's kDefaultTensorAlignment
_BYTES = {
    "float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Life:
    """Bytes of a tensor, and the positions of the first and the last op that need it."""

    size: int
    first: int
    last: int


def arena_bytes(graphs: Sequence[Graph]) -> int | None:
    """Bytes of the arena by LiteRT's greedy plan: the largest tensor first, each at the lowest place that is free while
    it lives. None for files with branches or loops, whose bodies have arenas of their own, and for types of unknown
    size. Kernels' scratch memory is not in it.
    """
    if len(graphs) != 1 or any(tensor.dtype not in _BYTES for tensor in _computed(graphs[0])):
        return None
    placed: list[tuple[int, _Life]] = []
    for life in sorted(_lives(graphs[0]), key=lambda one: (-one.size, one.first)):
        taken = sorted((place, other.size) for place, other in placed if _overlap(life, other))
        place = 0
        for start, size in taken:
            if place + life.size <= start:
                break
            place = max(place, _aligned(start + size))
        placed.append((place, life))
    return max((place + life.size for place, life in placed), default=0)


def _lives(graph: Graph) -> Iterable[_Life]:
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = dict.fromkeys([*graph.inputs, *graph.outputs], len(graph.ops))
    for position, op in enumerate(graph.ops):
        for index in op.outputs:
            first.setdefault(index, position)
            last[index] = max(last.get(index, position), position)
        for index in op.inputs:
            if not graph.tensors[index].constant:
                last[index] = max(last.get(index, position), position)
    for index, begin in first.items():
        tensor = graph.tensors[index]
        yield _Life(size=_aligned(tensor.elements * _BYTES[tensor.dtype]), first=begin, last=last[index])


def _computed(graph: Graph) -> Iterable[StoredTensor]:
    return (graph.tensors[index] for index in {*graph.inputs, *(index for op in graph.ops for index in op.outputs)})


def _overlap(one: _Life, other: _Life) -> bool:
    return one.first <= other.last and other.first <= one.last


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
