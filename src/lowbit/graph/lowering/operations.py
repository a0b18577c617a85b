# SPDX-License-Identifier: Apache-2.0
"""Bare `keras.ops` and operators (`x * 2`, `x[:, 0]`, `ops.mean(x, axis=1)`)."""

import keras
import numpy as np

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import constant
from lowbit.graph.lowering.arithmetic import axes_of, mean, minimum, normalized_length, pair, total
from lowbit.graph.lowering.registry import operation
from lowbit.graph.steps import Builder, NoIntegerForm, Parameter


@operation("Add", "Subtract", "Multiply", "Maximum")
def _binary(b: Builder, node: Node) -> int:
    first, second = pair(b, node)
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
    return minimum(b, *pair(b, node))


@operation("Clip")
def _clip(b: Builder, node: Node) -> int:
    x, clip = b.only_input(), node.operation
    bounds = [
        Parameter(source=np.asarray(keras.ops.convert_to_numpy(bound), "float32")) for bound in (clip.x_min, clip.x_max)
    ]
    if any(bound.array().size != 1 for bound in bounds):
        return minimum(b, _maximum_with(b, x, bounds[0]), bounds[1])
    low, high = (float(bound.array().reshape(())) for bound in bounds)
    if low == 0:
        return b.primitive("relu", x, maximum=high)
    above = b.primitive("subtract", x, constant(low), name="above")
    clipped = b.primitive("relu", above, name="clip", maximum=high - low)
    return b.primitive("add", clipped, constant(low))


@operation("Divide", "TrueDivide")
def _divide(b: Builder, node: Node) -> int:
    """By a constant: MUL with its reciprocal. The integer DIV fails when a divisor's code is its zero point."""
    first, second = pair(b, node)
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
    base, exponent = pair(b, node)
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
