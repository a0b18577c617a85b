# SPDX-License-Identifier: Apache-2.0
"""Any Keras model -> its quantized simulation, with quantizers where LiteRT has tensors."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError, UnsupportedError
from lowbit.graph import FlatGraph, Group, flatten, group_operations
from lowbit.graph.groups import FIXED_RANGE
from lowbit.simulation.activations import QuantizedActivation
from lowbit.simulation.base import SimulatedLayer, Tensor, copy_layer
from lowbit.simulation.calibrate import calibrate
from lowbit.simulation.elementwise import QuantizedAdd, QuantizedAffine
from lowbit.simulation.model import Simulation, require_model
from lowbit.simulation.passing import Identity, KeptFloat, QuantizeInput, SameScale
from lowbit.simulation.pooling import QuantizedAveragePooling2D, QuantizedMean
from lowbit.simulation.weighted import QuantizedConv2D, QuantizedDense, QuantizedDepthwiseConv2D
from lowbit.spec import Spec

WEIGHTED: dict[str, Callable[..., SimulatedLayer]] = {
    "conv2d": QuantizedConv2D,
    "depthwise": QuantizedDepthwiseConv2D,
    "dense": QuantizedDense,
}
WRAPPED: dict[str, Callable[..., SimulatedLayer]] = {
    "mean": QuantizedMean,
    "average_pool": QuantizedAveragePooling2D,
    "same_scale": SameScale,
    "identity": Identity,
    "affine": QuantizedAffine,
}


def quantize_model(
    model: keras.Model, spec: Spec | str = "w8a8", *, calibration: Iterable[Any] | None = None
) -> Simulation:
    """The quantized simulation of a float model; fit it and it is quantization-aware training.

    Args:
        model: a functional or sequential model; it is not changed, its weights are copied.
        spec: bits, such as "w8a8" or "w4a8". With 4 bits, depthwise kernels keep 8 (4-bit
            depthwise kernels run slower and LiteRT's policy leaves them out).
        calibration: batches that set the activation ranges (see `calibrate`). Without them the
            first training batch does.

    Raises:
        UnsupportedError: the model cannot be flattened, or is a simulation already.
        InputError: weights that are not finite, an unknown spec.
    """
    spec = Spec.parse(spec)
    require_model(model, keras.Model, "a Keras model")
    if isinstance(model, Simulation):
        raise UnsupportedError(
            received=f"the simulation {model.name!r}", expected="a float model", mend="pass lowbit.strip(sim) instead"
        )
    graph = flatten(model)
    _check_weights(model)
    simulation = _build(graph, spec, model.name).connect(spec)
    if calibration is not None:
        calibrate(simulation, calibration)
    return simulation


def _build(graph: FlatGraph, spec: Spec, name: str) -> Simulation:
    tensors: dict[int, Tensor] = {}
    raw: dict[int, Tensor] = {}
    inputs = []
    for number, input_name, shape in zip(graph.inputs, graph.input_names, graph.input_shapes, strict=True):
        inputs.append(keras.Input(shape, name=input_name))
        edge = QuantizeInput(activation_bits=spec.activations, name=f"{input_name}_quantized")
        raw[number], tensors[number] = inputs[-1], edge(inputs[-1])
    for group in group_operations(graph):
        known = tensors | raw if group.kind == "float" else tensors  # float layers read a float input as it is
        values = [known[number] for number in group.inputs]
        for layer in simulated_layers(group, spec):
            values = [layer(values if len(values) > 1 else values[0])]
        tensors[group.output] = values[0]
    outputs = [tensors[number] for number in graph.outputs]
    return Simulation(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
    )


def simulated_layers(group: Group, spec: Spec) -> list[SimulatedLayer]:
    """The simulated operations of one group: one, or two where an activation is an op of its own."""
    common = {
        "name": group.name,
        "activation_bits": spec.activations,
        "members": [node.name for node in group.nodes],
    }
    if group.kind in WEIGHTED:
        apart = group.activation in FIXED_RANGE
        layer = WEIGHTED[group.kind](
            layer=copy_layer(group.layer),
            batch_norm=None if group.batch_norm is None else copy_layer(group.batch_norm),
            activation="linear" if apart else group.activation,
            weight_bits=8 if group.kind == "depthwise" else spec.weights,
            **common,
        )
        return [layer, _activation(group.activation, group.name, spec)] if apart else [layer]
    if group.kind == "add":
        return [QuantizedAdd(activation=group.activation, **common)]
    if group.kind in ("relu", *FIXED_RANGE):
        return [QuantizedActivation(activation=group.kind, **common)]
    if group.kind == "float":
        return [KeptFloat(layer=copy_layer(group.layer), reason=group.reason, **common)]
    return [WRAPPED[group.kind](layer=copy_layer(group.layer), **common)]


def _activation(activation: str, layer_name: str, spec: Spec) -> SimulatedLayer:
    return QuantizedActivation(
        activation=activation, activation_bits=spec.activations, name=f"{layer_name}_{activation}"
    )


def _check_weights(model: keras.Model) -> None:
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if values.dtype == "float64":
            raise UnsupportedError(
                received=f"float64 weight {variable.path!r}", expected="float32 weights", mend="rebuild it in float32"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                received=f"NaN or infinite values in weight {variable.path!r}",
                expected="finite weights",
                mend="load a checkpoint from before training diverged",
            )
