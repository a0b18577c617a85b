# SPDX-License-Identifier: Apache-2.0
"""Layers that join several tensors."""

from collections.abc import Callable

from keras import layers

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import constant
from lowbit.graph.lowering.arithmetic import minimum, normalized_length, total
from lowbit.graph.lowering.moving import reshape
from lowbit.graph.lowering.products import contract
from lowbit.graph.lowering.registry import layer
from lowbit.graph.steps import Builder, NoIntegerForm


def _aligned(b: Builder) -> list[int]:
    """Inputs of one rank: a lower rank gets axes of size 1 after the batch axis, as Keras's merging layers do."""
    tensors = b.tensors()
    rank = max(len(b.shape(tensor)) for tensor in tensors)
    aligned = []
    for position, tensor in enumerate(tensors):
        shape = b.shape(tensor)
        missing = rank - len(shape)
        wanted = [1] * missing + list(shape[1:])
        aligned.append(reshape(b, tensor, wanted, name=f"aligned_{position}") if missing else tensor)
    return aligned


def _chained(b: Builder, join: Callable[[int, int, str], int]) -> int:
    """`join` over all inputs from the left; the last one carries the layer's name."""
    first, *rest = _aligned(b)
    if not rest:
        return b.append("identity", (first,), b.shape(first))
    for position, tensor in enumerate(rest):
        is_last = position == len(rest) - 1
        first = join(first, tensor, "" if is_last else f"partial_{position}")
    return first


_PAIRWISE = {
    layers.Add: "add",
    layers.Subtract: "subtract",
    layers.Multiply: "multiply",
    layers.Maximum: "maximum",
}


@layer(*_PAIRWISE)
def _pairwise(b: Builder, node: Node) -> int:
    kind = _PAIRWISE[type(node.operation)]
    return _chained(b, lambda x, y, name: b.primitive(kind, x, y, name=name))


@layer(layers.Minimum)
def _minimum(b: Builder, node: Node) -> int:
    return _chained(b, lambda x, y, name: minimum(b, x, y, name))


@layer(layers.Average)
def _average(b: Builder, node: Node) -> int:
    count = len(node.inputs)
    summed = _chained(b, lambda x, y, name: b.primitive("add", x, y, name=name or "sum"))
    return b.primitive("multiply", summed, constant(1 / count))


@layer(layers.Concatenate)
def _concatenate(b: Builder, node: Node) -> int:
    return concatenate(b, b.tensors(), node.operation.axis)


def concatenate(b: Builder, tensors: list[int], axis: int) -> int:
    axis = axis % len(b.shape(tensors[0]))
    if axis == 0:
        raise NoIntegerForm("a concatenation along the batch axis")
    if len(tensors) == 1:
        return b.append("identity", tensors, b.shape(tensors[0]))
    return b.primitive("concatenate", *tensors, axis=axis)


@layer(layers.Dot)
def _dot(b: Builder, node: Node) -> int:
    """Of (batch, length) tensors: MUL and SUM. Of higher ranks: BATCH_MATMUL where its axes are the inner ones."""
    x, y = b.tensors()
    axes = node.operation.axes
    left, right = (axes, axes) if isinstance(axes, int) else axes
    ranks = len(b.shape(x)), len(b.shape(y))
    left, right = left % ranks[0], right % ranks[1]
    if node.operation.normalize:
        x, y = normalized_length(b, x, [left], "left"), normalized_length(b, y, [right], "right")
    if ranks == (2, 2):
        return total(b, b.primitive("multiply", x, y, name="product"), 1, True)
    rows = ["b", *(f"x{axis}" for axis in range(1, ranks[0]))]
    columns = ["b", *(f"y{axis}" for axis in range(1, ranks[1]))]
    rows[left] = columns[right] = "summed"
    made = ["b", *(one for one in (*rows[1:], *columns[1:]) if one != "summed")]
    return contract(b, x, y, rows, columns, made)
