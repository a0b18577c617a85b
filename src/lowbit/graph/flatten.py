# SPDX-License-Identifier: Apache-2.0
"""A functional or sequential model, nested to any depth -> one flat list of nodes.

The only place that reads Keras's graph internals. The caller's layers are referred to, never
called and never changed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from lowbit.errors import UnsupportedError


@dataclass(frozen=True, kw_only=True)
class Node:
    """One call of one layer. Tensors are named by integers, unique in their graph."""

    name: str
    layer: Any
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, kw_only=True)
class FlatGraph:
    """Nodes in an order in which every input is made before it is used.

    `input_names` and `input_shapes` (without the batch axis) belong to `inputs`; `shapes` gives
    the shape of every tensor without its batch axis.
    """

    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    outputs: tuple[int, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    shapes: dict[int, tuple[int | None, ...]]

    def consumers(self, tensor: int) -> list[Node]:
        return [node for node in self.nodes if tensor in node.inputs]

    @property
    def input_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        return tuple(self.shapes[tensor] for tensor in self.inputs)


def flatten(model: keras.Model) -> FlatGraph:
    """Flatten `model`; its nested models disappear, their layers stay.

    Raises:
        UnsupportedError: a subclassed or unbuilt model, a layer used twice, a layer that takes
            something else than tensors.
    """
    functional = _functional(model, model.name)
    flattener = _Flattener()
    inputs = [flattener.tensor(tensor) for tensor in functional.inputs]
    outputs = flattener.walk(functional, dict(zip(map(id, functional.inputs), inputs, strict=True)))
    nodes = _with_unique_names(flattener.nodes)
    makers = {node.output: node.name for node in nodes}
    return FlatGraph(
        inputs=tuple(inputs),
        input_names=tuple(tensor.name for tensor in functional.inputs),
        outputs=tuple(outputs),
        output_names=tuple(makers.get(tensor, f"output_{tensor}") for tensor in outputs),
        nodes=nodes,
        shapes=flattener.shapes,
    )


def _functional(model: Any, name: str) -> Any:
    inner = getattr(model, "_functional", model) if isinstance(model, keras.Sequential) else model
    if inner is None or not hasattr(inner, "_nodes_by_depth"):
        raise UnsupportedError(
            received=f"model {name!r} of type {type(model).__name__}",
            expected="a built functional or sequential model",
            mend="build it with keras.Input, or call it once; subclassed models are not flattened yet",
        )
    return inner


class _Flattener:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[int, tuple[int | None, ...]] = {}
        self.used: set[int] = set()

    def tensor(self, keras_tensor: Any) -> int:
        number = len(self.shapes)
        self.shapes[number] = tuple(keras_tensor.shape[1:])
        return number

    def walk(self, functional: Any, known: dict[int, int]) -> list[int]:
        """Append the nodes of one (nested) model; `known` maps id(KerasTensor) to our tensors."""
        for node in _ordered(functional):
            inputs = [known[id(tensor)] for tensor in node.input_tensors]
            layer = node.operation
            if isinstance(layer, keras.Model):
                inner = _functional(layer, layer.name)
                bound = dict(zip(map(id, inner.inputs), inputs, strict=True))
                outputs = self.walk(inner, bound)
            else:
                outputs = [self._append(layer, inputs, node)]
            known.update(zip(map(id, node.output_tensors), outputs, strict=True))
        return [known[id(tensor)] for tensor in functional.outputs]

    def _append(self, layer: Any, inputs: Sequence[int], node: Any) -> int:
        if id(layer) in self.used:
            raise UnsupportedError(
                received=f"layer {layer.name!r} used more than once",
                expected="every layer used once",
                mend="give each use a layer of its own; shared layers are not quantized yet",
            )
        if not isinstance(layer, keras.layers.Layer) or len(node.output_tensors) != 1:
            raise UnsupportedError(
                received=f"operation {layer.name!r} ({type(layer).__name__})",
                expected="layers with one output",
                mend="replace it by a Keras layer; bare operations are not quantized yet",
            )
        first = node.arguments.args[0] if node.arguments.args else None
        taken = len(first) if isinstance(first, (list, tuple)) else 1
        if taken != len(node.input_tensors) or isinstance(first, dict):
            raise UnsupportedError(
                received=f"layer {layer.name!r} ({type(layer).__name__}) called with several arguments",
                expected="layers called with one tensor or one list of tensors",
                mend="use another layer; such calls (attention, masks) are not quantized yet",
            )
        self.used.add(id(layer))
        output = self.tensor(node.output_tensors[0])
        self.nodes.append(Node(name=layer.name, layer=layer, inputs=tuple(inputs), output=output))
        return output


def _ordered(functional: Any) -> Iterator[Any]:
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def _with_unique_names(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Layers of different nested models may share a name: later ones get a number."""
    taken = Counter(node.name for node in nodes)
    seen: set[str] = set()
    renamed = []
    for node in nodes:
        name, number = node.name, 0
        while name in seen or (number and name in taken):
            number += 1
            name = f"{node.name}_{number}"
        seen.add(name)
        renamed.append(replace(node, name=name))
    return tuple(renamed)
