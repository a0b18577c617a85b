# SPDX-License-Identifier: Apache-2.0
"""The walk over a flat graph that lets each node be written out."""

from collections.abc import Callable
from typing import Any

from keras import layers, tree

from lowbit.errors import UnsupportedError
from lowbit.graph.flatten import FlatGraph, Node, Slot, is_composite
from lowbit.graph.lowering import (  # noqa: F401  (they register what they write out)
    activations,
    arithmetic,
    attention,
    merging,
    moving,
    normalization,
    operations,
    pooling,
    weighted,
)
from lowbit.graph.lowering.registry import find
from lowbit.graph.steps import Builder, NoIntegerForm

OPENED = (layers.MultiHeadAttention, layers.GroupQueryAttention, layers.Attention)
"""Layers of Keras itself that are made of others."""


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
    for node in graph.nodes:
        builder.begin(node)
        outputs = _written_out(builder, node, keep_float(node))
        made = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        builder.bound.update(zip(node.outputs, made, strict=True))
    return builder


def _written_out(builder: Builder, node: Node, reason: str | None) -> Any:
    lowering = find(node.operation)
    if reason is None and lowering is None:
        reason = f"no integer form of {type(node.operation).__name__}"
    if reason is None and lowering is not None:
        before = len(builder.steps)
        try:
            return lowering(builder, node)
        except NoIntegerForm as error:
            del builder.steps[before:]
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
    recorded, (output,) = builder.recorded, node.outputs
    return builder.kept_float(
        node.operation,
        builder.tensors(),
        recorded.shapes[output],
        reason,
        arguments=_by_position(node),
        dtype=recorded.dtypes[output],
    )


def _by_position(node: Node) -> Any:
    """The call's arguments with slots numbered by the position among the node's inputs."""
    positions = iter(range(len(node.inputs)))
    return tree.map_structure(
        lambda value: Slot(next(positions)) if isinstance(value, Slot) else value, (node.args, dict(node.kwargs))
    )
