# SPDX-License-Identifier: Apache-2.0
"""The walk over a flat graph that lets each node be written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers, tree

from lowbit.errors import UnsupportedError
from lowbit.graph.flatten import FlatGraph, Node, Slot, is_composite
from lowbit.graph.lowering import (  # noqa: F401  (they register what they write out)
    activations,
    attention,
    merging,
    moving,
    normalization,
    operations,
    operations_moving,
    pooling,
    products,
    weighted,
    wrapping,
)
from lowbit.graph.lowering.registry import find
from lowbit.graph.steps import Builder, NoIntegerForm

OPENED = (layers.MultiHeadAttention, layers.GroupQueryAttention, layers.Attention)
"""Layers of Keras itself that are made of others."""


WIDE = "values of a mask, so large that they leave the others no codes"
LARGE = 9999.0
MASKING = ("Add", "Subtract", "Multiply", "Where")
BOUNDING = ("Softmax", "Sigmoid", "Tanh", "DotProductAttention")


def makes_wide(node: Node) -> bool:
    """Whether a bare operation brings in a number such as -1e9, as masks do: no 8-bit grid holds it and the rest."""
    if type(node.operation).__name__ not in MASKING or isinstance(node.operation, layers.Layer):
        return False
    return any(
        isinstance(value, (int, float, np.ndarray, np.generic))
        and np.asarray(value).dtype.kind in "iuf"
        and bool(np.abs(np.asarray(value, "float64")).max(initial=0) >= LARGE)
        for value in tree.flatten((node.args, dict(node.kwargs)))
    )


def is_leaf(operation: Any) -> bool:
    """Whether a layer or operation is written out or kept whole, rather than opened by tracing."""
    if find(operation) is not None:
        return True
    return not (isinstance(operation, OPENED) or is_composite(operation))


def lower(graph: FlatGraph, keep_float: Callable[[Node], str | None] = lambda node: None) -> Builder:
    """Write out every node.

    Args:
        keep_float: the reason why a node is to stay float, None where it is not.

    Raises:
        UnsupportedError: a layer without integer form that has several outputs in use.
    """
    builder = Builder(graph)
    wide: set[int] = set()
    for node in graph.nodes:
        builder.begin(node)
        reason = keep_float(node)
        if makes_wide(node) or not wide.isdisjoint(node.inputs):
            reason = reason or WIDE
            wide.update(() if type(node.operation).__name__ in BOUNDING else node.outputs)
        outputs = _written_out(builder, node, reason)
        made = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        builder.bound.update(zip(node.outputs, made, strict=True))
    return builder


def _written_out(builder: Builder, node: Node, reason: str | None) -> Any:
    lowering = find(node.operation)
    if reason is None and node.unopened:
        reason = node.unopened
    if reason is None and lowering is None:
        reason = f"no integer form of {type(node.operation).__name__}"
    if reason is None and lowering is not None:
        try:
            with builder.attempt():
                return lowering(builder, node)
        except NoIntegerForm as error:
            reason = str(error)
    return keep_whole(builder, node, reason or "")


def keep_whole(builder: Builder, node: Node, reason: str) -> int:
    """The node as it is, in float."""
    if len(node.outputs) != 1:
        raise UnsupportedError(
            received=f"{node.path!r} ({type(node.operation).__name__}) with {len(node.outputs)} outputs, "
            f"kept float: {reason}",
            expected="layers without integer form to have one output",
            mend="return one of them, or give the layer's parts as layers of their own",
        )
    (shape,) = builder.made_shapes()
    return builder.kept_float(
        node.operation,
        builder.tensors(),
        shape,
        reason,
        arguments=_by_position(node),
        dtype=builder.recorded.dtypes[node.outputs[0]],
    )


def _by_position(node: Node) -> Any:
    """The call's arguments with slots numbered by the position among the node's inputs."""
    positions = iter(range(len(node.inputs)))
    return tree.map_structure(
        lambda value: Slot(next(positions)) if isinstance(value, Slot) else value, (node.args, dict(node.kwargs))
    )
