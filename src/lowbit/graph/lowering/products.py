# SPDX-License-Identifier: Apache-2.0
"""Products of matrices and convolutions as bare operations: BATCH_MATMUL of two tensors, FULLY_CONNECTED of weights."""

from collections.abc import Sequence

import numpy as np
from keras import layers

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import LARGEST_RANK
from lowbit.graph.lowering.arithmetic import pair
from lowbit.graph.lowering.moving import reshape, static
from lowbit.graph.lowering.registry import operation
from lowbit.graph.lowering.weighted import einsum_product
from lowbit.graph.steps import Builder, NoIntegerForm, Parameter


@operation("Matmul", "Dot")
def _matmul(b: Builder, node: Node) -> int:
    first, second = pair(b, node)
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
    x, kernel = pair(b, node)
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
    shape = b.made_shapes()[0]
    return b.weighted("conv2d", x, lambda: layers.Conv2D(**config), [kernel], shape)


@operation("Einsum")
def _einsum(b: Builder, node: Node) -> int:
    equation = node.operation.subscripts.replace(" ", "")
    operands = [b.operand(value) for value in node.args]
    if "..." in equation or "->" not in equation or len(operands) != 2:
        raise NoIntegerForm(f"the product {equation!r}")
    first, second = operands
    if not isinstance(first, int):
        raise NoIntegerForm("a product with a constant on the left")
    if isinstance(second, Parameter):
        return einsum_product(b, first, equation, second, None, {})
    taken, made = equation.split("->")
    left, right = taken.split(",")
    return contract(b, first, second, left, right, made)


def contract(b: Builder, x: int, y: int, left: Sequence[str], right: Sequence[str], made: Sequence[str]) -> int:
    """A sum of products as one BATCH_MATMUL: `left`, `right` and `made` name the axes, the batch axis first.

    Axes of both that stay are batches of the product, those that do not are summed over.
    """
    batch = [axis for axis in left if axis in right and axis in made]
    summed = [axis for axis in left if axis in right and axis not in made]
    rows = [axis for axis in left if axis not in right]
    columns = [axis for axis in right if axis not in left]
    is_plain = len(set(left)) == len(left) and len(set(right)) == len(right) and len(set(made)) == len(made)
    if not is_plain or not summed or not left[0] == right[0] == made[0] or {*batch, *rows, *columns} != set(made):
        raise NoIntegerForm(f"the product {''.join(left)!r} by {''.join(right)!r} to {''.join(made)!r}")
    if max(len(left), len(right), len(made)) > LARGEST_RANK:
        raise NoIntegerForm(f"a sum of products of more than {LARGEST_RANK} axes")
    if [axis for axis in made if axis in rows + columns] == [*columns, *rows] and rows and columns:
        return contract(b, y, x, right, left, made)
    sizes = dict(zip(right, b.shape(y), strict=True)) | dict(zip(left, b.shape(x), strict=True))
    if any(sizes[axis] != b.shape(y)[right.index(axis)] for axis in [*batch, *summed]):
        raise NoIntegerForm("a sum of products that broadcasts")
    whole = dict(zip(sizes, [1, *static(list(sizes.values())[1:])], strict=True))
    count = {name: int(np.prod([whole[one] for one in axes])) for name, axes in _named(rows, columns, summed)}
    lead = [whole[axis] for axis in batch[1:]]
    merged = lead if len(lead) < 2 else [int(np.prod(lead))]
    is_upright = list(right) == [*batch, *summed, *columns]
    inner = [*summed, *columns] if is_upright else [*columns, *summed]
    height_width = (count["summed"], count["columns"]) if is_upright else (count["columns"], count["summed"])
    x = _arranged(b, x, left, [*batch, *rows, *summed], [*merged, count["rows"], count["summed"]], "left")
    y = _arranged(b, y, right, [*batch, *inner], [*merged, *height_width], "right")
    product = b.primitive("matmul", x, y, name="product", transpose_y=not is_upright)
    order = [*batch, *rows, *columns]
    apart = [whole[axis] for axis in order[1:]]
    product = product if list(b.shape(product)[1:]) == apart else reshape(b, product, apart, "apart")
    axes = [order.index(axis) for axis in made]
    return product if axes == sorted(axes) else b.primitive("transpose", product, axes=axes)


def _named(rows: list[str], columns: list[str], summed: list[str]) -> list[tuple[str, list[str]]]:
    return [("rows", rows), ("columns", columns), ("summed", summed)]


def _arranged(b: Builder, x: int, axes: Sequence[str], order: list[str], shape: list[int], name: str) -> int:
    """Axes in another order, then merged to `shape` (without batch axis)."""
    places = [list(axes).index(axis) for axis in order]
    x = x if places == sorted(places) else b.primitive("transpose", x, name=f"{name}_moved", axes=places)
    return x if list(b.shape(x)[1:]) == shape else reshape(b, x, shape, f"{name}_merged")
