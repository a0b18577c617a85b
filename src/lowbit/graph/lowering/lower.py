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
SETTING_SHAPES = ("Reshape", "BroadcastTo")
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


def lower(
    graph: FlatGraph, keep_float: Callable[[Node], str | None] = lambda node: None, *, for_float: bool = False
) -> Builder:
    """Write out every node.

    Args:
        keep_float: the reason why a node is to stay float, None where it is not.
        for_float: as of `Builder`.

    Raises:
        UnsupportedError: a layer without integer form that has several outputs in use.
    """
    builder = Builder(graph, for_float=for_float)
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


def keep_whole(builder: Builder, node: Node, reason: str) -> list[int]:
    """The node as it is, in float; its one output that is used stands for all."""
    graph = builder.recorded
    read = {*graph.outputs, *(tensor for other in graph.nodes for tensor in other.inputs)}
    used = [number for number, output in enumerate(node.outputs) if output in read]
    if len(used) > 1:
        raise UnsupportedError(
            received=f"{node.path!r} ({type(node.operation).__name__}) with {len(used)} outputs that are used, "
            f"kept float: {reason}",
            expected="layers without integer form to have one output that is used",
            mend="use one of them, or give the layer's parts as layers of their own",
        )
    pick = used[0] if used else 0
    _require_free_batch(graph, node, pick)
    made = builder.kept_float(
        node.operation,
        builder.tensors(),
        builder.made_shapes()[pick],
        reason,
        arguments=(*_by_position(node), *([pick] if len(node.outputs) > 1 else [])),
        dtype=graph.dtypes[node.outputs[pick]],
    )
    return [made] * len(node.outputs)


def _require_free_batch(graph: FlatGraph, node: Node, pick: int) -> None:
    """A file has one sample: a batch of another size, written into the model, would cut it up or repeat it."""
    shape = graph.shapes[node.outputs[pick]]
    is_set = shape[:1] not in ((), (None,), (1,)) and any(graph.shapes[one][:1] == (None,) for one in node.inputs)
    if is_set and type(node.operation).__name__ in SETTING_SHAPES:
        raise UnsupportedError(
            received=f"{node.path!r} ({type(node.operation).__name__}) to the shape {shape}, a batch of {shape[0]}",
            expected="a batch of any size, as a file computes one sample",
            mend="write -1 for the batch axis, or the data's own size, keras.ops.shape(x)[0]",
        )


def _by_position(node: Node) -> tuple[Any, Any]:
    """The call's arguments with slots numbered by the position among the node's inputs."""
    positions = iter(range(len(node.inputs)))
    args, kwargs = tree.map_structure(
        lambda value: Slot(next(positions)) if isinstance(value, Slot) else value, (node.args, dict(node.kwargs))
    )
    return args, kwargs
