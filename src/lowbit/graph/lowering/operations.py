# SPDX-License-Identifier: Apache-2.0
"""Bare `keras.ops` and operators (`x * 2`, `x[:, 0]`, `ops.mean(x, axis=1)`)."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lowbit.graph.flatten import Node, Slot
from lowbit.graph.lowering.activations import constant
from lowbit.graph.lowering.arithmetic import axes_of, mean, minimum, normalized_length, total
from lowbit.graph.lowering.merging import concatenate
from lowbit.graph.lowering.moving import reshape, static
from lowbit.graph.lowering.registry import operation
from lowbit.graph.steps import Builder, NoIntegerForm, Operand, Parameter


def _pair(b: Builder, node: Node) -> tuple[Operand, Operand]:
    values = [*node.args, *node.kwargs.values()]
    first, second = (b.operand(value) for value in values[:2])
    return first, second


@operation("Add", "Subtract", "Multiply", "Maximum")
def _binary(b: Builder, node: Node) -> int:
    first, second = _pair(b, node)
    kind = type(node.operation).__name__.lower()
    if kind == "subtract" and isinstance(first, Parameter) and isinstance(second, int):
        return b.primitive("add", b.primitive("multiply", second, constant(-1.0), name="negative"), first)
    if isinstance(first, Parameter):
        first, second = second, first
    if not isinstance(first, int):
        raise NoIntegerForm("an operation on constants alone")
    if kind == "maximum" and isinstance(second, Parameter):
        return _maximum_with(b, first, second)
    return b.primitive(kind, first, second)


def _maximum_with(b: Builder, x: int, limit: Parameter) -> int:
    """max(x, c) = relu(x - c) + c."""
    if not limit.array().any():
        return b.primitive("relu", x)
    return b.primitive("add", b.primitive("relu", b.primitive("subtract", x, limit, name="above"), name="clip"), limit)


@operation("Minimum")
def _minimum(b: Builder, node: Node) -> int:
    return minimum(b, *_pair(b, node))


@operation("Clip")
def _clip(b: Builder, node: Node) -> int:
    low, high = (float(value) for value in (node.operation.x_min, node.operation.x_max))
    x = b.only_input()
    if low == 0:
        return b.primitive("relu", x, maximum=high)
    above = b.primitive("subtract", x, constant(low), name="above")
    clipped = b.primitive("relu", above, name="clip", maximum=high - low)
    return b.primitive("add", clipped, constant(low))


@operation("Divide", "TrueDivide")
def _divide(b: Builder, node: Node) -> int:
    """By a constant: MUL with its reciprocal. The integer DIV fails when a divisor's code is its zero point."""
    first, second = _pair(b, node)
    if not isinstance(first, int) or not isinstance(second, Parameter) or isinstance(second.source, keras.Variable):
        raise NoIntegerForm("a division by something else than a constant")
    return b.primitive("multiply", first, Parameter(source=1 / second.array()))


@operation("Negative")
def _negative(b: Builder, node: Node) -> int:
    return b.primitive("multiply", b.only_input(), constant(-1.0))


@operation("Absolute", "Abs")
def _absolute(b: Builder, node: Node) -> int:
    """relu(x) + relu(-x)."""
    x = b.only_input()
    below = b.primitive("relu", b.primitive("multiply", x, constant(-1.0), name="negative"), name="below")
    return b.primitive("add", b.primitive("relu", x, name="above"), below)


@operation("Square")
def _square(b: Builder, node: Node) -> int:
    x = b.only_input()
    return b.primitive("multiply", x, x)


@operation("Power")
def _power(b: Builder, node: Node) -> int:
    base, exponent = _pair(b, node)
    value = exponent.array() if isinstance(exponent, Parameter) else np.zeros(2)
    if not isinstance(base, int) or value.size != 1 or float(value.reshape(-1)[0]) not in (0.5, 2.0, -0.5):
        raise NoIntegerForm("a power other than 2, 0.5 and -0.5")
    power = float(value.reshape(-1)[0])
    if power == 2.0:
        return b.primitive("multiply", base, base)
    return b.primitive("sqrt" if power == 0.5 else "rsqrt", base)


@operation("Sqrt", "Rsqrt")
def _root(b: Builder, node: Node) -> int:
    return b.primitive(type(node.operation).__name__.lower(), b.only_input())


@operation("Mean")
def _mean(b: Builder, node: Node) -> int:
    return mean(b, b.only_input(), node.operation.axis, node.operation.keepdims)


@operation("Sum")
def _sum(b: Builder, node: Node) -> int:
    return total(b, b.only_input(), node.operation.axis, node.operation.keepdims)


@operation("Var", "Std")
def _variance(b: Builder, node: Node) -> int:
    x, keep = b.only_input(), node.operation.keepdims
    axes = axes_of(b, x, node.operation.axis)
    centred = b.primitive("subtract", x, mean(b, x, axes, True, name="mean"), name="centred")
    square = b.primitive("multiply", centred, centred, name="square")
    is_root = type(node.operation).__name__ == "Std"
    variance = mean(b, square, axes, keep, name="variance" if is_root else "")
    return b.primitive("sqrt", variance) if is_root else variance


@operation("Normalize")
def _normalize(b: Builder, node: Node) -> int:
    if node.operation.order != 2:
        raise NoIntegerForm("a norm other than the Euclidean one")
    x = b.only_input()
    return normalized_length(b, x, axes_of(b, x, node.operation.axis), "")


@operation("Matmul", "Dot")
def _matmul(b: Builder, node: Node) -> int:
    first, second = _pair(b, node)
    if not isinstance(first, int):
        raise NoIntegerForm("a matrix product with a constant on the left")
    if isinstance(second, int):
        if len(b.shape(first)) < 3 or len(b.shape(first)) != len(b.shape(second)):
            raise NoIntegerForm("a matrix product over the batch axis")
        return b.primitive("matmul", first, second)
    if len(b.shape(second)) != 2:
        raise NoIntegerForm("a matrix product with a constant of more than two axes")
    units = int(b.shape(second)[1] or 0)
    config = {"units": units, "use_bias": False, "name": node.name}
    return b.weighted("dense", first, lambda: layers.Dense(**config), [second], (*b.shape(first)[:-1], units))


@operation("Conv")
def _conv(b: Builder, node: Node) -> int:
    x, kernel = _pair(b, node)
    conv = node.operation
    if not isinstance(x, int) or isinstance(kernel, int) or len(b.shape(kernel)) != 4:
        raise NoIntegerForm("a convolution that is not over an image with a kernel of its own")
    if conv.data_format == "channels_first":
        raise NoIntegerForm("channels first")
    height, width, _, filters = (int(size or 0) for size in b.shape(kernel))
    config = {
        "filters": filters,
        "kernel_size": (height, width),
        "strides": conv.strides,
        "padding": conv.padding,
        "dilation_rate": conv.dilation_rate,
        "use_bias": False,
        "name": node.name,
    }
    shape = tuple(b.recorded.shapes[node.outputs[0]])
    return b.weighted("conv2d", x, lambda: layers.Conv2D(**config), [kernel], shape)


@operation("Concatenate")
def _concatenate(b: Builder, node: Node) -> int:
    values = node.args[0] if node.args else node.kwargs["xs"]
    if any(not isinstance(value, Slot) for value in values):
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
    made = b.recorded.shapes[node.outputs[0]]
    if not made or made[0] is not None:
        raise NoIntegerForm("a reshape that gives up the batch axis")
    return reshape(b, x, made[1:]) if None not in b.shape(x)[1:] else _free(b)


def _free(b: Builder) -> int:
    raise NoIntegerForm("a reshape of a free size (None); give input_shape")


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
    widths = [b.recorded.shapes[output] for output in node.outputs]
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
    if not str(node.operation.dtype).startswith("float") or not b.dtypes[x].startswith("float"):
        raise NoIntegerForm(f"a cast to {node.operation.dtype}")
    return b.append("identity", (x,), b.shape(x))
