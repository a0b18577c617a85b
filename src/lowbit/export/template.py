# SPDX-License-Identifier: Apache-2.0
"""A model's structure as a float `.tflite` whose constants are labels, not weights.

TensorFlow's converter is run once for a structure. Every element of every constant is given a
float of its own, so that after conversion the labels themselves tell where each element went,
whatever the converter named, transposed or merged. Weights are then filled in by label, in
milliseconds, for each simulation and each number format of that structure.

A barrier, `maximum(x, -1e30)`, stands behind every tensor that carries a quantizer, and the
barrier's output is a named output of the signature. So the converter cannot move an operation
across such a tensor, and the tensor is found by name. Barriers are removed after conversion.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from lowbit.errors import ExportError
from lowbit.export import outputs, refused
from lowbit.export.structure import Template, constant_name, point_name
from lowbit.runtime import flatbuffer
from lowbit.simulation import Simulation
from lowbit.simulation.passing import KeptFloat

_BARRIER = np.float32(-1e30)
_FIRST_LABEL = 0x3F800001
"""Bit pattern of the first label, just above 1.0; labels count up from there, all finite."""

_LAST_LABEL = 0x7F7FFFFF


_cache: dict[tuple[str, int, bool], Template] = {}
_CACHED = 4


def template(simulation: Simulation, *, batch: int = 1, integer: bool = True) -> Template:
    """The converted structure of a simulation, from memory when it was converted before.

    With `integer` a ReLU that ends at some maximum is a plain RELU: its codes saturate there.
    """
    has_two_forms = any(layer.has_float_form for layer in simulation.simulated_layers())
    key = (_structure(simulation), batch, integer and has_two_forms)
    if key not in _cache:
        while len(_cache) >= _CACHED:
            _cache.pop(next(iter(_cache)))
        _cache[key] = _convert(simulation, batch, integer)
    return _cache[key]


def _structure(simulation: Simulation) -> str:
    """Hash of all that the converted file depends on; weights only where they stay in float layers."""
    digest = hashlib.sha256(json.dumps(simulation.get_config(), sort_keys=True, default=str).encode())
    for layer in simulation.simulated_layers():
        if isinstance(layer, KeptFloat):
            for weight in layer.carried_weights():
                digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()


def _convert(simulation: Simulation, batch: int, integer: bool) -> Template:
    labels, values = _label_constants(simulation)
    function, points, made = _graph_function(simulation, values, batch, integer)
    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        model = flatbuffer.read(converter.convert())
    except (ConverterError, tf.errors.OpError, ValueError, RuntimeError) as error:
        raise refused.conversion(error, function, made) from error
    _remove_barriers(model, points, simulation)
    flatbuffer.remove_dead_operators(model)
    flatbuffer.remove_unused(model)
    flatbuffer.number_inner_graphs(model)
    slots = _find_labels(model, labels)
    return Template(content=flatbuffer.write(model), slots=slots, float_scopes=_float_scopes(model, simulation, points))


def _label_constants(simulation: Simulation) -> tuple[dict[str, int], dict[str, dict[str, np.ndarray]]]:
    """First label (an integer) of each constant, and the labelled arrays by layer and constant."""
    labels: dict[str, int] = {}
    values: dict[str, dict[str, np.ndarray]] = {}
    following = _FIRST_LABEL
    for layer, _, _ in simulation.graph():
        own = values[layer.tensor_name] = {}
        for name, constant in layer.constants(integer=False).items():
            bits = np.arange(following, following + constant.values.size, dtype="int64")
            labels[constant_name(layer.tensor_name, name)] = following
            own[name] = bits.astype("uint32").view("float32").reshape(constant.values.shape)
            following += constant.values.size
    if following > _LAST_LABEL:
        raise ExportError(f"the model has {following - _FIRST_LABEL:,} weights; at most 1e9 can be exported")
    return labels, values


def _graph_function(
    simulation: Simulation, values: dict[str, dict[str, np.ndarray]], batch: int, integer: bool
) -> tuple[Any, list[str], list[tuple[str, int]]]:
    """The traced float graph, the names of its points, which are its outputs in sorted order, and after each layer how
    many operations it had.
    """
    points: list[str] = []
    made: list[tuple[str, int]] = []
    ends = set(outputs.names(simulation))

    def call(*inputs: Any) -> dict[str, Any]:
        marked: dict[str, Any] = {}
        tensors = dict(zip(map(id, simulation.inputs), inputs, strict=True))
        for layer, sources, output in simulation.graph():
            mark = _Marker(layer.tensor_name, marked, integer, ends)
            constants = {name: tf.constant(array) for name, array in values[layer.tensor_name].items()}
            tensors[output] = layer.deploy([tensors[source] for source in sources], constants, mark)
            made.append((layer.tensor_name, len(tf.compat.v1.get_default_graph().get_operations())))
        points.extend(name for name in marked if name not in points)
        return marked

    signature = [
        tf.TensorSpec((batch, *_static(tensor)), tensor.dtype, name=_argument(position))
        for position, tensor in enumerate(simulation.inputs)
    ]
    frozen = [(variable, tf.constant(variable.numpy())) for variable in _float_variables(simulation)]
    with keras.StatelessScope(state_mapping=frozen):
        return tf.function(call, autograph=False).get_concrete_function(*signature), points, made


def _float_variables(simulation: Simulation) -> list[Any]:
    return [
        variable for layer in simulation.simulated_layers() if hasattr(layer, "layer") for variable in layer.variables
    ]


def _static(tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    if any(size is None for size in shape):
        raise ExportError(
            f"input {tensor.name!r} has the free shape {shape}; a file has fixed sizes: "
            "build the model with keras.Input of the size it will run at"
        )
    return shape


def _argument(position: int) -> str:
    """A name TensorFlow accepts for an argument, whatever the model's input is called."""
    return f"input_{position}"


class _Marker:
    """Puts a barrier behind a tensor and remembers it under its name.

    Truth values and whole numbers carry no quantizer and take no barrier; those of `ends`, the outputs, have a name.
    """

    def __init__(self, tensor_name: str, marked: dict[str, Any], integer: bool, ends: Collection[str]) -> None:
        self.tensor_name, self.marked, self.integer, self.ends = tensor_name, marked, integer, ends

    def apart(self, tensor: Any) -> Any:
        return tf.maximum(tensor, tf.constant(_BARRIER * np.float32(1 + len(self.marked))))

    def __call__(self, suffix: str, tensor: Any, quantizer: Any) -> Any:
        name = point_name(self.tensor_name, suffix)
        is_float = tensor.dtype.is_floating
        if is_float or name in self.ends:
            self.marked[name] = tf.maximum(tensor, tf.cast(_BARRIER, tensor.dtype)) if is_float else tensor
        return self.marked.get(name, tensor)


def _remove_barriers(model: Any, points: list[str], simulation: Simulation) -> None:
    """Delete every barrier, name the tensor before it after its point, restore inputs and outputs."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    barrier_outputs = {int(entry.tensorIndex): flatbuffer.text(entry.name) for entry in signature.outputs}
    if sorted(barrier_outputs.values()) != sorted(points):
        raise refused.merging(signature.outputs, points)
    before = {
        int(operator.outputs[0]): int(operator.inputs[0])
        for operator in graph.operators
        if flatbuffer.op_name(model, operator) == "MAXIMUM" and _is_barrier(model, operator)
    }
    graph.operators = [op for op in graph.operators if int(op.outputs[0]) not in before]
    for operator in graph.operators:
        operator.inputs = np.array([_through(before, int(i)) for i in operator.inputs], dtype="int32")
    index = {name: _through(before, output) for output, name in barrier_outputs.items()}
    if len(set(index.values())) != len(points):
        raise refused.merging(signature.outputs, points, index)
    for name, tensor in index.items():
        graph.tensors[tensor].name = name
    outputs.restore(graph, signature, simulation, index)
    _restore_inputs(graph, signature, simulation)


def _is_barrier(model: Any, operator: Any) -> bool:
    """The converter may carry a barrier across a reshape, so barriers are known by their constant."""
    tensors = model.subgraphs[0].tensors
    limit = flatbuffer.constant(model, tensors[int(operator.inputs[1])])
    return limit is not None and limit.size == 1 and limit[0] <= _BARRIER


def _through(before: Mapping[int, int], tensor: int) -> int:
    while tensor in before:
        tensor = before[tensor]
    return tensor


def _restore_inputs(graph: Any, signature: Any, simulation: Simulation) -> None:
    by_argument = {_argument(i): tensor.name for i, tensor in enumerate(simulation.inputs)}
    arguments = {flatbuffer.text(entry.name): entry for entry in signature.inputs}
    signature.inputs = [arguments[name] for name in by_argument]
    for argument, entry in zip(by_argument, signature.inputs, strict=True):
        entry.name = by_argument[argument]
        graph.tensors[int(entry.tensorIndex)].name = by_argument[argument]
    graph.inputs = np.array([int(entry.tensorIndex) for entry in signature.inputs], dtype="int32")


def _find_labels(model: Any, labels: Mapping[str, int]) -> dict[str, tuple[int, np.ndarray]]:
    """Which tensor holds each constant, and in which order, read off the labels."""
    if not labels:
        return {}
    starts = {first: name for name, first in labels.items()}
    ordered = np.array(sorted(starts), dtype="int64")
    slots: dict[str, tuple[int, np.ndarray]] = {}
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        stored = flatbuffer.constant(model, tensor, "uint32") if tensor.type == 0 else None
        if stored is None or int(stored.min()) < _FIRST_LABEL:
            continue
        first = int(ordered[np.searchsorted(ordered, int(stored.min()), side="right") - 1])
        order = stored.astype("int64") - first
        if sorted(order.tolist()) != list(range(stored.size)):
            continue  # not labels: a constant of a layer kept float
        slots[starts[first]] = (number, order)
        tensor.name = starts[first]
    if set(slots) != set(labels):
        lost = sorted(set(labels) - set(slots))
        raise ExportError(f"the converter folded or merged {lost[0]!r}; it cannot be tied to its quantizer")
    return slots


def _float_scopes(model: Any, simulation: Simulation, points: list[str]) -> tuple[str, ...]:
    kept = {layer.tensor_name for layer, _, _ in simulation.graph() if layer.fate != "quantized"}
    quantized = set(points) - kept
    main, *inner = model.subgraphs  # inner: the bodies of loops, such as an LSTM's
    made = [_output_name(main, operator) for operator in main.operators]
    looped = [_output_name(graph, operator) for graph in inner for operator in graph.operators]
    return tuple(dict.fromkeys([*(name for name in made if name not in quantized), *looped]))


def _output_name(graph: Any, operator: Any) -> str:
    return flatbuffer.text(graph.tensors[int(operator.outputs[0])].name)
