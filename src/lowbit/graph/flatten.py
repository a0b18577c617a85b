# SPDX-License-Identifier: Apache-2.0
"""Any Keras model -> one flat list of calls of layers and bare operations.

Functional and sequential models are read; everything else that is made of layers and `keras.ops` (subclassed models,
custom layers, attention, Lambda) is opened by tracing (see `graph.opening`). The caller's model is never changed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
from keras import tree

from lowbit.errors import UnsupportedError
from lowbit.graph.opening import Opened, TracingError, check_takes_values, opened, without_training
from lowbit.graph.refusing import check_call

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Slot:
    """The place of a tensor among the arguments of a call."""

    tensor: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """One call of one layer or bare operation. Tensors are named by integers, unique in their graph.

    `args` and `kwargs` are those of the call, with a `Slot` in place of each tensor. `path` says which models and
    layers it lies in, joined by slashes, its own name last. `use` counts the calls of one layer from 0. `unopened` says
    why a layer made of others could not be opened.
    """

    name: str
    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[int, ...]
    path: str = ""
    use: int = 0
    unopened: str = ""

    @property
    def inputs(self) -> tuple[int, ...]:
        flat = tree.flatten((self.args, dict(self.kwargs)))
        return tuple(value.tensor for value in flat if isinstance(value, Slot))


@dataclass(frozen=True, kw_only=True)
class FlatGraph:
    """Nodes in an order in which every input is made before it is used.

    `shapes` (batch axis first, None) and `dtypes` belong to every tensor. `input_structure` and `output_structure`
    are the model's own nesting (a list, a dict, ...) with tensor numbers as leaves.
    """

    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]
    shapes: dict[int, Shape]
    dtypes: dict[int, str]
    input_structure: Any
    output_structure: Any


def flatten(model: keras.Model, *, input_shape: Any = None, is_leaf: Callable[[Any], bool] | None = None) -> FlatGraph:
    """Flatten `model`; its nested models and composite layers disappear, their parts stay.

    Args:
        input_shape: shape without the batch axis, or a dict of them by input name, in place of the model's own, for a
            model whose sizes are free (None).
        is_leaf: says of a layer or operation that it is not to be opened. Without it, Keras's own layers stay whole.

    Raises:
        UnsupportedError: a model that was never built or cannot be traced, and why.
    """
    flattener = _Flattener(is_leaf or (lambda operation: not is_composite(operation)))
    top = _top(model, input_shape)
    inputs = [flattener.tensor(tensor) for tensor in top.inputs]
    known = dict(zip(map(id, top.inputs), inputs, strict=True))
    flattener.walk(top, known, scope="")
    outputs = [known[id(tensor)] for tensor in top.outputs]
    return FlatGraph(
        inputs=tuple(inputs),
        input_names=tuple(top.input_names),
        outputs=tuple(outputs),
        nodes=_with_unique_names(flattener.nodes),
        shapes=flattener.shapes,
        dtypes=flattener.dtypes,
        input_structure=tree.map_structure(lambda tensor: known[id(tensor)], top.input_structure),
        output_structure=tree.map_structure(lambda tensor: known[id(tensor)], top.output_structure),
    )


def is_composite(operation: Any) -> bool:
    """Whether a layer is worth opening: a user's own, or one of Keras's that is made of others."""
    if isinstance(operation, (keras.Model, keras.layers.Lambda)):
        return True
    if not isinstance(operation, keras.layers.Layer):
        return False
    return not type(operation).__module__.startswith("keras.src.layers.")


def _top(model: keras.Model, input_shape: Any) -> Opened:
    graph = functional_graph(model)
    try:
        # a fixed batch may be written into arguments of the model's operations: traced anew, with a free one
        if input_shape is not None or graph is None or any(one.shape[0] not in (None, 1) for one in graph.inputs):
            return opened(model, input_shape)
        nodes = ordered(graph)
        check_takes_values(model, nodes)
        names = [tensor.name for tensor in graph.inputs]
        return Opened(graph.inputs, names, graph.outputs, graph._inputs_struct, graph._outputs_struct, nodes)
    except TracingError as error:
        elsewhere = "" if keras.backend.backend() == "tensorflow" else ", with KERAS_BACKEND=tensorflow"
        raise UnsupportedError(
            received=f"model {model.name!r} of type {type(model).__name__}, which cannot be traced: {error}",
            expected="a built model whose call is made of layers and keras.ops, without Python control flow on values",
            mend="call it once on a batch or give input_shape, replace other operations by keras.ops, or build it with "
            "keras.Input; "
            f"its float32, float16, dynamic-w8 and weight-w8 files can be made as it is{elsewhere}",
        ) from error


def functional_graph(model: Any) -> Any:
    """The functional graph of a functional or built sequential model, None for any other."""
    inner = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    is_functional = inner is not None and hasattr(inner, "_nodes_by_depth") and hasattr(inner, "_outputs_struct")
    own_call = type(model).call not in (keras.Sequential.call, _FUNCTIONAL.call)
    return inner if is_functional and not own_call else None


_FUNCTIONAL: Any = type(keras.Model(probe := keras.Input((1,)), probe))


def ordered(functional: Any) -> list[Any]:
    """A functional model's calls in running order."""
    nodes = functional._nodes_by_depth
    return [node for depth in sorted(nodes, reverse=True) for node in nodes[depth] if not node.is_input]


class _Flattener:
    def __init__(self, is_leaf: Callable[[Any], bool]) -> None:
        self.is_leaf = is_leaf
        self.nodes: list[Node] = []
        self.shapes: dict[int, Shape] = {}
        self.dtypes: dict[int, str] = {}
        self.uses: Counter[int] = Counter()

    def tensor(self, keras_tensor: Any) -> int:
        number = len(self.shapes)
        self.shapes[number] = tuple(keras_tensor.shape)
        self.dtypes[number] = str(keras_tensor.dtype)
        return number

    def walk(self, graph: Opened, known: dict[int, int], scope: str) -> None:
        """Append the nodes of one (nested) graph; `known` maps id(KerasTensor) to our tensors, and grows."""
        for node in graph.nodes:
            operation = node.operation
            check_call(operation, node)
            inner = "" if self.is_leaf(operation) else self._inner(operation, node)
            if isinstance(inner, str):
                self._append(operation, node, known, scope, inner)
                continue
            bound = {}
            for theirs, ours in zip(inner.inputs, node.input_tensors, strict=True):
                bound[id(theirs)] = known[id(ours)]
            self.walk(inner, bound, f"{scope}{operation.name}/")
            for made, wanted in zip(inner.outputs, node.output_tensors, strict=True):
                known[id(wanted)] = bound[id(made)]

    def _inner(self, operation: Any, node: Any) -> Opened | str:
        """The graph inside a composite layer; the reason where it cannot be opened, so it stays whole."""
        graph = functional_graph(operation)
        if graph is not None and len(graph.inputs) == len(node.input_tensors):
            names = [tensor.name for tensor in graph.inputs]
            return Opened(graph.inputs, names, graph.outputs, None, None, ordered(graph))
        try:
            return opened(operation, None, node.arguments)
        except TracingError as error:
            return f"it cannot be traced: {error}"

    def _append(self, operation: Any, node: Any, known: dict[int, int], scope: str, unopened: str) -> None:
        def slot(value: Any) -> Any:
            return Slot(known[id(value)]) if isinstance(value, keras.KerasTensor) else value

        args, kwargs = node.arguments.convert(slot)
        kwargs = without_training(operation, kwargs)
        outputs = tuple(self.tensor(tensor) for tensor in node.output_tensors)
        known.update(zip(map(id, node.output_tensors), outputs, strict=True))
        use = self.uses[id(operation)]
        self.uses[id(operation)] += 1
        name, path = operation.name, f"{scope}{operation.name}"
        self.nodes.append(
            Node(
                name=name,
                operation=operation,
                args=args,
                kwargs=kwargs,
                outputs=outputs,
                path=path,
                use=use,
                unopened=unopened,
            )
        )


def _with_unique_names(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Layers of different nested models may share a name: later ones get a number. Uses of one layer do not."""
    taken = {node.name for node in nodes}
    owners: dict[str, int] = {}
    names: dict[int, str] = {}
    renamed = []
    for node in nodes:
        key = id(node.operation)
        if key not in names:
            name, number = node.name, 0
            while name in owners or (number and name in taken):
                number += 1
                name = f"{node.name}_{number}"
            owners[name] = key
            names[key] = name
        renamed.append(replace(node, name=names[key]))
    return tuple(renamed)
