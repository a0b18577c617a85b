# SPDX-License-Identifier: Apache-2.0
"""Opening a layer: its `call` on symbolic tensors shows the layers and operations it is made of.

Calling layers symbolically adds entries to their lists of calls; they are taken out again, so the caller's model is
afterwards as it was.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from lowbit.errors import UnsupportedError
from lowbit.graph.remembering import changes_refused

_COLOURS = re.compile("\x1b\\[[0-9;]*m")
_KERAS_HEADING = "Exception encountered when calling"
"""Keras says first where an error was, then what it was."""


class TracingError(Exception):
    """A call that symbolic tensors cannot run through, with the reason."""


class Opened(NamedTuple):
    """A graph of calls: symbolic inputs and outputs, their nesting, and the calls in running order."""

    inputs: Sequence[Any]
    input_names: Sequence[str]
    outputs: Sequence[Any]
    input_structure: Any
    output_structure: Any
    nodes: Sequence[Any]


def opened(layer: Any, input_shape: Any = None, arguments: Any = None) -> Opened:
    """Trace one call of a layer or model, one level deep.

    Args:
        input_shape: see `graph.flatten`; used when there are no `arguments`.
        arguments: those of an earlier symbolic call; without them the shapes the model was built with.

    Raises:
        TracingError: the call fails on symbolic tensors, or returns something else than tensors made from its inputs.
        UnsupportedError: the call changes variables, as one that draws random numbers does.
    """
    args, kwargs, names = _fresh_arguments(layer, arguments) if arguments else _built_arguments(layer, input_shape)
    inputs = [value for value in tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
    with _calls_forgotten(layer), _variables_first():
        try:
            with changes_refused(layer):
                outputs = layer.call(*args, **_with_inference(layer, kwargs))
        except UnsupportedError:
            raise
        except Exception as error:
            # The call is the user's own code, on symbols it was not written for: it may raise anything, in the words
            # of any backend. The error's type and words go into the reason, so a mistake of its own is told as one.
            raise TracingError(_reason(layer, error)) from error
        flat = tree.flatten(outputs)
        if any(not isinstance(tensor, keras.KerasTensor) for tensor in flat):
            raise TracingError(f"{layer.name!r} returns something else than tensors made from its inputs")
        nodes = _ordered(flat, {id(tensor) for tensor in inputs}, layer)
        check_takes_values(layer, nodes)
    structure = args[0] if len(args) == 1 and not kwargs else list(inputs)
    return Opened(inputs, names or [tensor.name for tensor in inputs], flat, structure, outputs, nodes)


def check_takes_values(layer: Any, nodes: Sequence[Any]) -> None:
    """TracingError where an operation is given functions, as ops.cond is: they hold on to what the trace made."""
    for node in nodes:
        arguments = tree.flatten((node.arguments.args, node.arguments.kwargs))
        if any(inspect.isroutine(value) or isinstance(value, partial) for value in arguments):
            name = type(node.operation).__name__
            raise TracingError(f"{layer.name!r} ({type(layer).__name__}) gives functions to {name}, as ops.cond takes")


def _reason(layer: Any, error: Exception) -> str:
    lines = [_COLOURS.sub("", line).strip() for line in str(error).splitlines()]
    words = next((line for line in lines if line and not line.startswith(_KERAS_HEADING)), "")
    return f"{layer.name!r} ({type(layer).__name__}): {type(error).__name__}: {words}"[:300]


def _fresh_arguments(layer: Any, arguments: Any) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
    def fresh(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        return keras.KerasTensor(value.shape, dtype=value.dtype, name=value.name)

    args, kwargs = arguments.convert(fresh)
    return args, without_training(layer, kwargs), []


def without_training(layer: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A functional model that is called hands `training` to layers that do not take it, and Keras drops it there."""
    takes_training = "training" in inspect.signature(layer.call).parameters
    return {name: value for name, value in kwargs.items() if takes_training or name != "training"}


def _built_arguments(layer: Any, input_shape: Any) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
    """Symbolic inputs of the shapes a model was built with, or of those given."""
    args, kwargs = _own_inputs(layer) or _inputs_as_built(layer, input_shape)
    names = [tensor.name for tensor in tree.flatten((args, kwargs))]
    shapes = _given_shapes(names, input_shape)

    def fresh(tensor: Any) -> Any:
        shape = shapes.get(tensor.name, tensor.shape[1:])
        return keras.KerasTensor((None, *shape), dtype=tensor.dtype, name=tensor.name)

    args, kwargs = tree.map_structure(fresh, (args, kwargs))
    return args, kwargs, names


def _own_inputs(layer: Any) -> Any:
    inner = getattr(layer, "_functional", None) or layer
    structure = getattr(inner, "_inputs_struct", None)
    return None if structure is None else ((structure,), {})


def _inputs_as_built(layer: Any, input_shape: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not getattr(layer, "built", False):
        raise TracingError(f"{layer.name!r} was never built, so its weights do not exist")
    built = layer.get_build_config() or {}
    if "shapes_dict" not in built and len(tensors := _required(layer)) > 1:
        raise TracingError(f"the call of {layer.name!r} takes {', '.join(tensors)} in place of one list or dict")
    if "shapes_dict" in built:
        named = {name.removesuffix("_shape"): shape for name, shape in built["shapes_dict"].items()}
        return (), {name: _symbolic(shape, name) for name, shape in named.items()}
    shape = built.get("input_shape")
    if shape is None and input_shape is not None:
        shape = input_shape if isinstance(input_shape, Mapping) else (None, *input_shape)
    if shape is None:
        raise TracingError(f"the input shape of {layer.name!r} is not known; give input_shape")
    return (_symbolic(shape, "input"),), {}


def _required(layer: Any) -> list[str]:
    """Arguments without which it cannot be called."""
    parameters = inspect.signature(layer.call).parameters.values()
    named = [one.name for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return [name for name in named if name not in ("training", "mask")]


def _symbolic(shape: Any, name: str) -> Any:
    """Symbolic tensors for a shape, or for a list or dict of shapes; the batch axis becomes free."""
    if isinstance(shape, Mapping):
        return {key: _symbolic(value, key) for key, value in shape.items()}
    if any(isinstance(size, (list, tuple)) for size in shape):
        return [_symbolic(value, f"{name}_{position}") for position, value in enumerate(shape)]
    return keras.KerasTensor((None, *shape[1:]), name=name)


def _given_shapes(names: Sequence[str], input_shape: Any) -> dict[str, tuple[int, ...]]:
    if input_shape is None:
        return {}
    given = dict(input_shape) if isinstance(input_shape, Mapping) else dict.fromkeys(names[:1], input_shape)
    return {name: tuple(int(size) for size in shape) for name, shape in given.items()}


def _with_inference(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    takes_training = "training" in inspect.signature(layer.call).parameters
    return {**kwargs, "training": False} if takes_training else kwargs


OPERATORS = {
    "__add__": ops.add,
    "__sub__": ops.subtract,
    "__mul__": ops.multiply,
    "__truediv__": ops.divide,
    "__matmul__": ops.matmul,
    "__pow__": ops.power,
}


@contextmanager
def _variables_first() -> Iterator[None]:
    """Lets `self.scale * x` be traced: a variable on the left takes no symbolic tensor by itself."""
    before = {name: getattr(keras.Variable, name) for name in OPERATORS}
    own = {name: name in vars(keras.Variable) for name in OPERATORS}
    for name, function in OPERATORS.items():
        setattr(keras.Variable, name, _by_operation(before[name], function))
    try:
        yield
    finally:
        for name, method in before.items():
            if own[name]:
                setattr(keras.Variable, name, method)
            else:
                delattr(keras.Variable, name)


def _by_operation(method: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def operator(self: Any, other: Any) -> Any:
        return function(self, other) if isinstance(other, keras.KerasTensor) else method(self, other)

    return operator


@contextmanager
def _calls_forgotten(layer: Any) -> Iterator[None]:
    """Takes out what calls inside add to the lists of calls of every layer within `layer`."""
    known = {id(part): part for part in [layer, *layer._flatten_layers()]}
    for part in list(known.values()):
        for operation in getattr(part, "_operations", ()):
            known[id(operation)] = operation
    before = [(part, len(part._inbound_nodes), len(part._outbound_nodes)) for part in known.values()]
    try:
        yield
    finally:
        for part, inbound, outbound in before:
            del part._inbound_nodes[inbound:]
            del part._outbound_nodes[outbound:]


def _ordered(outputs: Sequence[Any], inputs: set[int], layer: Any) -> list[Any]:
    """The calls that make `outputs`, each after those it needs."""
    found: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, expanded = stack.pop()
        if id(tensor) in inputs:
            continue
        history = tensor._keras_history
        if history.operation is None:
            raise TracingError(f"{layer.name!r} uses a symbolic tensor that is none of its inputs")
        node = history.operation._inbound_nodes[history.node_index]
        if expanded:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((tensor, True))
            stack.extend((source, False) for source in reversed(node.input_tensors))
    return found
