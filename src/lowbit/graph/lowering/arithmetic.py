# SPDX-License-Identifier: Apache-2.0
"""Building blocks of several layers: sums, minima, reciprocal roots, lengths, in operations with integer kernels."""

from collections.abc import Sequence

import numpy as np

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import constant
from lowbit.graph.steps import Builder, NoIntegerForm, Operand


def pair(b: Builder, node: Node) -> tuple[Operand, Operand]:
    """The first two arguments of a bare operation."""
    first, second = (b.operand(value) for value in [*node.args, *node.kwargs.values()][:2])
    return first, second


def axes_of(b: Builder, x: Operand, axis: int | Sequence[int] | None) -> list[int]:
    """Positive axes; NoIntegerForm where the batch axis is among them."""
    rank = len(b.shape(x))
    given = range(rank) if axis is None else ([axis] if isinstance(axis, int) else axis)
    axes = sorted(int(one) % rank for one in given)
    if 0 in axes:
        raise NoIntegerForm("a reduction over the batch axis")
    return axes


def size_of(b: Builder, x: Operand, axes: Sequence[int]) -> int:
    sizes = [b.shape(x)[axis] for axis in axes]
    if any(size is None for size in sizes):
        raise NoIntegerForm("a free size (None); give input_shape")
    return int(np.prod([size for size in sizes if size is not None]))


def mean(b: Builder, x: int, axis: int | Sequence[int] | None, keepdims: bool, name: str = "") -> int:
    return _reduced(b, "mean", x, axis, keepdims, name)


def total(b: Builder, x: int, axis: int | Sequence[int] | None, keepdims: bool, name: str = "") -> int:
    """A sum; XNNPACK and the built-in kernel round it once. The reference kernel, for debugging, is wrong."""
    return _reduced(b, "sum", x, axis, keepdims, name)


def _reduced(b: Builder, kind: str, x: int, axis: int | Sequence[int] | None, keepdims: bool, name: str) -> int:
    axes = axes_of(b, x, axis)
    if size_of(b, x, axes) == 1:  # the converter leaves such an op out
        kept = [size for axis, size in enumerate(b.shape(x)) if axis and (keepdims or axis not in axes)]
        return b.primitive("reshape", x, name=name, shape=[-1, *kept])
    return b.primitive(kind, x, name=name, axes=axes, keepdims=bool(keepdims))


def minimum(b: Builder, x: Operand, y: Operand, name: str = "") -> int:
    """x - relu(x - y), as MINIMUM is left float by the quantizer's policy."""
    above = b.primitive("relu", b.primitive("subtract", x, y, name="difference"), name="above")
    return b.primitive("subtract", x, above, name=name)


def normalized(
    b: Builder,
    x: int,
    axes: Sequence[int],
    epsilon: float,
    gamma: Operand | None,
    beta: Operand | None,
    *,
    centred: bool = True,
) -> int:
    """(x - mean) / sqrt(mean of squares + epsilon) x gamma + beta, over `axes` (layer and group normalization)."""
    if centred:
        average = mean(b, x, axes, True, name="mean")
        x = b.primitive("subtract", x, average, name="centred")
    square = b.primitive("multiply", x, x, name="square")
    variance = mean(b, square, axes, True, name="variance")
    shifted = b.primitive("add", variance, constant(epsilon), name="epsilon")
    inverse = b.primitive("rsqrt", shifted, name="rsqrt")
    y = b.primitive("multiply", x, inverse, name="normalized")
    if gamma is not None:
        y = b.primitive("multiply", y, gamma, name="scaled")
    return y if beta is None else b.primitive("add", y, beta, name="shifted")


def normalized_length(b: Builder, x: int, axes: Sequence[int], name: str, epsilon: float = 1e-12) -> int:
    """x / sqrt(sum of squares), where the sum is the mean times its number of elements (unit normalization).

    The number's root is joined with the factor 1 / sqrt(mean of squares), so no integer DIV is needed.
    """
    square = b.primitive("multiply", x, x, name=f"{name}_square")
    average = mean(b, square, axes, True, name=f"{name}_mean")
    floor = b.primitive("add", average, constant(epsilon), name=f"{name}_epsilon")
    inverse = b.primitive("rsqrt", floor, name=f"{name}_rsqrt")
    scaled = b.primitive("multiply", inverse, constant(size_of(b, x, axes) ** -0.5), name=f"{name}_factor")
    return b.primitive("multiply", x, scaled, name=name)
