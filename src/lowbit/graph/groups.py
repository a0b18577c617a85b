# SPDX-License-Identifier: Apache-2.0
"""Which layers LiteRT runs as one op: convolution or dense, then batch norm, then ReLU."""

from dataclasses import dataclass
from typing import Any

from keras import layers

from lowbit.graph.flatten import FlatGraph, Node

WEIGHTED = {layers.Conv2D: "conv2d", layers.DepthwiseConv2D: "depthwise", layers.Dense: "dense"}
IDENTITY = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
    layers.RandomFlip,
    layers.RandomRotation,
    layers.RandomTranslation,
    layers.RandomZoom,
    layers.RandomContrast,
    layers.RandomBrightness,
)
SAME_SCALE = (layers.MaxPooling2D, layers.ZeroPadding2D, layers.Flatten, layers.Reshape, layers.Permute)
FIXED_RANGE = ("softmax", "sigmoid", "tanh")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Nodes that become one quantized operation, with one output tensor.

    `kind` is one of: conv2d, depthwise, dense, add, mean, average_pool, same_scale, identity,
    affine, relu, softmax, sigmoid, tanh, float. `activation` is "linear", "relu" or "relu6", fused.
    `reason` says why a float group stays float.
    """

    kind: str
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    output: int
    activation: str = "linear"
    batch_norm: Any = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.nodes[0].name

    @property
    def layer(self) -> Any:
        return self.nodes[0].layer


def group_operations(graph: FlatGraph) -> list[Group]:
    """Groups in running order; every node of the graph is in exactly one."""
    taken: set[int] = set()
    groups = []
    for node in graph.nodes:
        if node.output in taken:
            continue
        group = _group(graph, node)
        taken.update(member.output for member in group.nodes)
        groups.append(group)
    return groups


def _group(graph: FlatGraph, node: Node) -> Group:
    kind, reason = _kind(graph, node)
    members, batch_norm, activation = [node], None, "linear"
    if kind in ("conv2d", "depthwise", "dense"):
        activation = activation_name(node.layer)
        after = _only_consumer(graph, members[-1])
        if activation == "linear" and after is not None and _is_foldable(graph, after):
            members.append(after)
            batch_norm = after.layer
    if kind in ("conv2d", "depthwise", "dense", "add") and activation == "linear":
        after = _only_consumer(graph, members[-1])
        if after is not None and _activation_of(graph, after) in ("relu", "relu6"):
            members.append(after)
            activation = _activation_of(graph, after)
    return Group(
        kind=kind,
        nodes=tuple(members),
        inputs=node.inputs,
        output=members[-1].output,
        activation=activation,
        batch_norm=batch_norm,
        reason=reason,
    )


def _kind(graph: FlatGraph, node: Node) -> tuple[str, str]:
    layer = node.layer
    for keras_class, kind in WEIGHTED.items():
        if type(layer) is keras_class:
            problem = _unfit(layer, graph, node)
            return ("float", problem) if problem else (kind, "")
    if isinstance(layer, IDENTITY):
        return "identity", ""
    if type(layer) in SAME_SCALE:
        return "same_scale", ""
    if type(layer) is layers.AveragePooling2D:
        return "average_pool", ""
    if type(layer) is layers.GlobalAveragePooling2D:
        return "mean", ""
    if type(layer) is layers.Add and len(node.inputs) == 2:
        shapes = [graph.shapes[tensor] for tensor in node.inputs]
        return ("add", "") if shapes[0] == shapes[1] else ("float", "an addition that broadcasts")
    if type(layer) in (layers.Rescaling, layers.BatchNormalization):
        return ("affine", "") if _axis_is_last(graph, node) else ("float", "batch norm over another axis than the last")
    activation = _activation_of(graph, node)
    if activation == "linear":
        return "identity", ""
    if activation in ("relu", *FIXED_RANGE):
        return activation, ""
    if activation == "relu6":
        return "float", "a ReLU6 that follows no convolution, dense layer or addition"
    return "float", f"no integer form of {type(layer).__name__} yet"


def _unfit(layer: Any, graph: FlatGraph, node: Node) -> str:
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return "channels first"
    if any(step != 1 for step in getattr(layer, "dilation_rate", (1,))):
        return "a dilated convolution, which the quantizer's policy leaves float"
    if getattr(layer, "groups", 1) != 1:
        return "a grouped convolution"
    if activation_name(layer) not in ("linear", "relu", "relu6", *FIXED_RANGE):
        return f"activation {activation_name(layer)!r} has no integer form yet"
    if isinstance(layer, layers.Dense) and len(graph.shapes[node.inputs[0]]) != 1:
        return "a dense layer over more than one axis"
    return ""


def activation_name(layer: Any) -> str:
    """The name of a layer's `activation` attribute; "linear" when it has none."""
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", type(activation).__name__)


def _activation_of(graph: FlatGraph, node: Node) -> str:
    """The function that an activation layer computes, "" for any other layer."""
    layer = node.layer
    if type(layer) is layers.Activation:
        return activation_name(layer)
    if type(layer) is layers.Softmax:
        return "softmax" if _axis_is_last(graph, node) else "softmax over another axis"
    if type(layer) is layers.ReLU and not layer.negative_slope and not layer.threshold:
        return {None: "relu", 6.0: "relu6"}.get(layer.max_value, "relu with another maximum")
    return ""


def _axis_is_last(graph: FlatGraph, node: Node) -> bool:
    """Whether a layer's `axis`, where it has one, is the channel axis."""
    rank_with_batch = len(graph.shapes[node.inputs[0]]) + 1
    return getattr(node.layer, "axis", -1) in (-1, rank_with_batch - 1)


def _is_foldable(graph: FlatGraph, node: Node) -> bool:
    return type(node.layer) is layers.BatchNormalization and _axis_is_last(graph, node)


def _only_consumer(graph: FlatGraph, node: Node) -> Node | None:
    consumers = graph.consumers(node.output)
    return consumers[0] if len(consumers) == 1 and node.output not in graph.outputs else None
