# SPDX-License-Identifier: Apache-2.0
"""Bare `keras.ops` that move values without computing (`x[:, 0]`, `ops.stack`, `ops.transpose`)."""

from typing import Any

import numpy as np
from keras import ops, tree

from lowbit.graph.flatten import Node, Slot
from lowbit.graph.lowering.merging import concatenate
from lowbit.graph.lowering.moving import reshape, static
from lowbit.graph.lowering.registry import operation
from lowbit.graph.steps import Builder, NoIntegerForm


@operation("Concatenate", "Append")
def _concatenate(b: Builder, node: Node) -> int:
    values = tree.flatten((node.args, dict(node.kwargs)))
    if any(not isinstance(value, Slot) for value in values) or node.operation.axis is None:
        raise NoIntegerForm("a concatenation with constants")
    return concatenate(b, b.tensors(), node.operation.axis)


@operation("Stack")
def _stack(b: Builder, node: Node) -> int:
    tensors = b.tensors()
    axis = node.operation.axis % (len(b.shape(tensors[0])) + 1)
    rows = []
    for position, tensor in enumerate(tensors):
        shape = list(b.shape(tensor))
        shape.insert(axis, 1)
        rows.append(reshape(b, tensor, shape[1:], name=f"row_{position}"))
    return concatenate(b, rows, axis)


@operation("Reshape", "ExpandDims", "Squeeze", "Ravel")
def _reshape(b: Builder, node: Node) -> int:
    x = b.only_input()
    made = b.made_shapes()[0]
    if not made or made[0] is not None:
        raise NoIntegerForm("a reshape that gives up the batch axis")
    return reshape(b, x, made[1:])


@operation("Transpose", "Swapaxes", "Moveaxis")
def _transpose(b: Builder, node: Node) -> int:
    x = b.only_input()
    rank = len(b.shape(x))
    probe = np.zeros(tuple(range(1, rank + 1)), dtype="int8")
    moved = ops.convert_to_numpy(node.operation.call(ops.convert_to_tensor(probe)))
    order = [size - 1 for size in moved.shape]
    if order[0] != 0:
        raise NoIntegerForm("a transpose that moves the batch axis")
    return b.primitive("transpose", x, axes=[int(axis) for axis in order])


@operation("GetItem")
def _get_item(b: Builder, node: Node) -> int:
    key = node.args[1] if len(node.args) > 1 else node.kwargs["key"]
    x = b.only_input()
    return _picked(b, x, key if isinstance(key, tuple) else (key,))


def _picked(b: Builder, x: int, key: tuple[Any, ...]) -> int:
    """Slices and single positions; NoIntegerForm for anything else, such as lists of positions."""
    sizes = static(b.shape(x)[1:])
    if Ellipsis in key:
        at = key.index(Ellipsis)
        missing = len(sizes) + 1 - (len(key) - 1 - sum(one is None for one in key))
        key = (*key[:at], *([slice(None)] * missing), *key[at + 1 :])
    batch, *rest = key
    if batch != slice(None) or any(one is not None and not isinstance(one, (int, slice)) for one in rest):
        raise NoIntegerForm("an index that is no slice or position behind the batch axis")
    starts, stops, steps, shape = [], [], [], []
    axes = iter(sizes)
    for one in rest:
        if one is None:
            shape.append(1)
            continue
        size = next(axes)
        span = range(size)[one] if isinstance(one, slice) else range(size)[one : one + 1 or None]
        if span.step < 0:
            raise NoIntegerForm("a slice that runs backwards")
        starts.append(span.start)
        stops.append(span.stop)
        steps.append(span.step)
        shape.extend([len(span)] if isinstance(one, slice) else [])
    for size in axes:
        starts.append(0)
        stops.append(size)
        steps.append(1)
        shape.append(size)
    whole = starts == [0] * len(sizes) and stops == sizes and set(steps) <= {1}
    y = x if whole else b.primitive("slice", x, name="sliced", starts=starts, stops=stops, steps=steps)
    return y if list(b.shape(y)[1:]) == shape and y != x else reshape(b, y, shape)


@operation("Split", "Unstack")
def _split(b: Builder, node: Node) -> list[int]:
    x, axis = b.only_input(), node.operation.axis % len(b.shape(b.only_input()))
    sizes = static(b.shape(x)[1:])
    if axis == 0:
        raise NoIntegerForm("a split of the batch axis")
    widths = b.made_shapes()
    parts, start = [], 0
    for position, made in enumerate(widths):
        width = 1 if type(node.operation).__name__ == "Unstack" else int(made[axis] or 0)
        starts, stops = [0] * len(sizes), list(sizes)
        starts[axis - 1], stops[axis - 1] = start, start + width
        start += width
        part = b.primitive("slice", x, name=f"part_{position}", starts=starts, stops=stops, steps=[1] * len(sizes))
        parts.append(reshape(b, part, made[1:], name=f"row_{position}") if len(made) != len(sizes) + 1 else part)
    return parts


@operation("Pad")
def _pad(b: Builder, node: Node) -> int:
    pad = node.operation
    value = (node.args[1] if len(node.args) > 1 else None) or node.kwargs.get("constant_values")
    if pad.mode != "constant" or value:
        raise NoIntegerForm("padding with something else than zeros")
    widths = [list(map(int, width)) for width in pad._process_pad_width(pad.pad_width)]
    widths = widths * len(b.shape(b.only_input())) if len(widths) == 1 else widths
    if widths[0] != [0, 0]:
        raise NoIntegerForm("padding of the batch axis")
    return b.primitive("pad", b.only_input(), widths=widths[1:])


@operation("Repeat")
def _repeat(b: Builder, node: Node) -> int:
    """Each position along an axis several times: an axis of its own, broadcast, and merged."""
    x = b.only_input()
    times, axis = node.operation.repeats, node.operation.axis
    if not isinstance(times, int) or axis is None or axis % len(b.shape(x)) == 0:
        raise NoIntegerForm("a repetition that is not the same for one axis behind the batch axis")
    axis = axis % len(b.shape(x))
    sizes = static(b.shape(x)[1:])
    apart = reshape(b, x, [*sizes[:axis], 1, *sizes[axis:]], name="apart")
    wide = b.primitive("broadcast", apart, name="repeated", shape=[*sizes[:axis], times, *sizes[axis:]])
    return reshape(b, wide, [*sizes[: axis - 1], sizes[axis - 1] * times, *sizes[axis:]])


@operation("Cast")
def _cast(b: Builder, node: Node) -> int:
    x = b.only_input()
    if not all(dtype.startswith(("float", "bfloat")) for dtype in (str(node.operation.dtype), b.dtypes[x])):
        raise NoIntegerForm(f"a cast to {node.operation.dtype}")
    return b.append("identity", (x,), b.shape(x))
