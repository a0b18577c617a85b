# SPDX-License-Identifier: Apache-2.0
"""A model written out in operations that the integer runtime has: the steps, and the builder that lowerings use."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from lowbit.graph.flatten import FlatGraph, Node, Shape, Slot
from lowbit.graph.primitives import PRIMITIVES, SAME_AS_INPUT, moves_nothing


class NoIntegerForm(Exception):
    """Raised by a lowering: the layer stays float, for this reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Parameter:
    """A trained variable or a constant as an operand: its array, transposed by `axes`, then reshaped to `shape`."""

    source: Any
    axes: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None

    def array(self) -> np.ndarray:
        values = np.asarray(ops.convert_to_numpy(self.source), dtype="float32")
        values = values if self.axes is None else values.transpose(self.axes)
        return values if self.shape is None else values.reshape(self.shape)

    @property
    def trainable(self) -> bool:
        return isinstance(self.source, keras.Variable) and bool(self.source.trainable)


Operand = int | Parameter


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation of the file, before fusion.

    `kind` is a primitive's name, or one of: conv2d, depthwise, transposed_conv, dense, batch_norm, embedding (these
    hold weights in `layer`, a Keras layer of our own whose variables take the values of `weights`), identity, float
    (these wrap `operation`, the model's own). `owner` tells steps that share weights.
    """

    kind: str
    name: str
    inputs: tuple[Operand, ...]
    output: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    layer: Any = None
    weights: tuple[Parameter, ...] = ()
    owner: tuple[Any, ...] | None = None
    activation: str = "linear"
    batch_norm: "Step | None" = None
    node: Node | None = None
    reason: str = ""

    @property
    def tensors(self) -> tuple[int, ...]:
        return tuple(operand for operand in self.inputs if isinstance(operand, int))


class Builder:
    """Appends steps; tensors are numbers, `shape` and `dtype` tell about them (batch axis first, None).

    `for_float`: operations in the form that is fastest in float, for a file without integers.
    """

    def __init__(self, graph: FlatGraph, *, for_float: bool = False) -> None:
        self.for_float = for_float
        self.steps: list[Step] = []
        self.shapes: dict[int, Shape] = {tensor: graph.shapes[tensor] for tensor in graph.inputs}
        self.dtypes: dict[int, str] = {tensor: graph.dtypes[tensor] for tensor in graph.inputs}
        self.recorded = graph
        self.bound: dict[int, int] = {tensor: tensor for tensor in graph.inputs}
        self._node_names = frozenset(node.name for node in graph.nodes)
        self._taken: dict[str, None] = {}
        self._owners: dict[tuple[Any, ...], None] = {}
        self._next = max(graph.shapes) + 1
        self._node: Node | None = None

    def begin(self, node: Node) -> None:
        """Steps appended from now on belong to `node`."""
        self._node = node

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Within it, NoIntegerForm leaves the builder as it was at the start; it is raised on."""
        # Entries are only ever added, so the last ones are those of the attempt.
        grown: tuple[dict[Any, Any], ...] = (self.shapes, self.dtypes, self.bound, self._taken, self._owners)
        sizes, steps, following = [len(one) for one in grown], len(self.steps), self._next
        try:
            yield
        except NoIntegerForm:
            del self.steps[steps:]
            self._next = following
            for entries, size in zip(grown, sizes, strict=True):
                while len(entries) > size:
                    entries.popitem()
            raise

    @property
    def node(self) -> Node:
        if self._node is None:
            raise RuntimeError("no node has begun")
        return self._node

    def shape(self, operand: Operand) -> Shape:
        return self.shapes[operand] if isinstance(operand, int) else self._parameter_shape(operand)

    def _parameter_shape(self, parameter: Parameter) -> Shape:
        if parameter.shape is not None:
            return parameter.shape
        shape = tuple(parameter.source.shape)
        return shape if parameter.axes is None else tuple(shape[axis] for axis in parameter.axes)

    def only_input(self) -> int:
        """The one tensor the node takes; NoIntegerForm when it takes others."""
        if len(self.node.inputs) != 1:
            raise NoIntegerForm(f"{type(self.node.operation).__name__} called with several tensors")
        return self.bound[self.node.inputs[0]]

    def tensors(self) -> list[int]:
        return [self.bound[tensor] for tensor in self.node.inputs]

    def operand(self, value: Any) -> Operand:
        """An argument of the node's call: one of our tensors, or a parameter."""
        if isinstance(value, Slot):
            return self.bound[value.tensor]
        if isinstance(value, keras.Variable):
            return Parameter(source=value)
        array = np.asarray(ops.convert_to_numpy(value), dtype="float32")
        return Parameter(source=array)

    def primitive(self, kind: str, *inputs: Operand, name: str = "", **settings: Any) -> int:
        """Append a primitive; `name` tells it from the other steps of its node."""
        self._require_own_batch_axis(inputs)
        made = PRIMITIVES[kind](*(self._symbol(operand) for operand in inputs), **settings)
        if kind in SAME_AS_INPUT and moves_nothing(kind, self.shape(inputs[0]), tuple(made.shape), settings):
            return self.append("identity", inputs, tuple(made.shape), name=name)
        return self.append(kind, inputs, tuple(made.shape), name=name, settings=settings)

    def _require_own_batch_axis(self, inputs: Sequence[Operand]) -> None:
        """NoIntegerForm where broadcasting would lay an operand along the batch axis of another."""
        ranks = [len(self.shape(operand)) for operand in inputs]
        tensor_ranks = {rank for rank, operand in zip(ranks, inputs, strict=True) if isinstance(operand, int)}
        for rank, operand in zip(ranks, inputs, strict=True):
            is_along = (
                rank == max(ranks) and isinstance(operand, Parameter) and self.shape(operand)[:1] not in ((1,), ())
            )
            if len(tensor_ranks) > 1 or rank > max(tensor_ranks) or (is_along and rank == max(tensor_ranks)):
                raise NoIntegerForm("an operand that lies along the batch axis of another")

    def made_shapes(self) -> list[Shape]:
        """Shapes that the node's call makes of its inputs, whose sizes may be better known than in the model."""
        node = self.node
        recorded = [self.recorded.shapes[output] for output in node.outputs]
        if recorded and not any(None in shape[1:] for shape in recorded):
            return recorded

        def symbol(value: Any) -> Any:
            return self._symbol(self.bound[value.tensor]) if isinstance(value, Slot) else value

        args, kwargs = tree.map_structure(symbol, (node.args, dict(node.kwargs)))
        made = output_spec(node.operation, *args, **kwargs)
        return [tuple(tensor.shape) for tensor in tree.flatten(made)]

    def weighted(
        self,
        kind: str,
        x: int,
        make: Callable[[], Any],
        weights: Sequence[Parameter],
        shape: Shape,
        name: str = "",
    ) -> int:
        """Append a step that holds weights in a Keras layer made by `make` (unbuilt, without activation)."""
        return self.append(kind, (x,), shape, name=name, layer=make, weights=tuple(weights))

    def kept_float(
        self,
        operation: Any,
        inputs: Sequence[int],
        shape: Shape,
        reason: str,
        *,
        arguments: Any = None,
        name: str = "",
        dtype: str = "float32",
    ) -> int:
        """Append a layer or bare operation as it is; `arguments` (args, kwargs) hold a Slot for each input."""
        called = ((Slot(0),), {}) if arguments is None else arguments
        rest = {"layer": operation, "settings": {"arguments": called}, "reason": reason}
        return self.append("float", inputs, shape, name=name, dtype=dtype, **rest)

    def append(
        self, kind: str, inputs: Sequence[Operand], shape: Shape, *, name: str = "", dtype: str = "float32", **rest: Any
    ) -> int:
        node, output = self.node, self._next
        self._next += 1
        self.shapes[output], self.dtypes[output] = shape, dtype
        owner = self._owner(kind, inputs, rest)
        is_used_again = owner in self._owners
        if owner is not None:
            self._owners[owner] = None
        self.steps.append(
            Step(
                kind=kind,
                name=node.name if is_used_again else self._unique(f"{node.name}_{name}" if name else node.name),
                inputs=tuple(inputs),
                output=output,
                members=(node.path,),
                owner=owner,
                node=node,
                **rest,
            )
        )
        return output

    def _owner(self, kind: str, inputs: Sequence[Operand], rest: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Tells steps that compute with the same trained variables in the same way, so that they stay one."""
        if kind == "float":
            return (kind, id(rest["layer"]))
        parameters = [*rest.get("weights", ()), *(i for i in inputs if isinstance(i, Parameter))]
        variables = [parameter for parameter in parameters if isinstance(parameter.source, keras.Variable)]
        if not variables:
            return None
        views = tuple((id(parameter.source), parameter.axes, parameter.shape) for parameter in variables)
        return (kind, repr(rest.get("settings")), views)

    def _unique(self, wanted: str) -> str:
        """Each node's own name is kept for one of its steps."""
        name, number = wanted, 0
        while name in self._taken or (number and name in self._node_names):
            number += 1
            name = f"{wanted}_{number}"
        self._taken[name] = None
        return name

    def _symbol(self, operand: Operand) -> Any:
        dtype = self.dtypes[operand] if isinstance(operand, int) else "float32"
        return keras.KerasTensor(self.shape(operand), dtype=dtype)


def output_spec(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """What a call makes of symbolic tensors; traced where a layer of Keras itself names no sizes, as EinsumDense."""
    made = operation.compute_output_spec(*args, **kwargs)
    is_of_keras = type(operation).__module__.startswith("keras.src.")
    if is_of_keras and any(None in tensor.shape[1:] for tensor in tree.flatten(made)):
        made = keras.Operation.compute_output_spec(operation, *args, **kwargs)
    return made
