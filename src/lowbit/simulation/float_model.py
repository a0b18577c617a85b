# SPDX-License-Identifier: Apache-2.0
"""What a model must be to be simulated: of float layers, none of them altered already, with finite weights."""

from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError, UnsupportedError
from lowbit.graph import FlatGraph
from lowbit.simulation.base import SimulatedLayer
from lowbit.simulation.model import Simulation


def check_is_float(model: keras.Model) -> None:
    """Raises UnsupportedError for layers that are no float layers, InputError for weights that are no numbers."""
    if keras.config.floatx() != "float32":
        raise InputError(
            received=f"keras.config.floatx() {keras.config.floatx()!r}",
            expected="'float32', in which ranges and integers are computed",
            mend="call keras.config.set_floatx('float32') before lowbit.quantize_model; the model may be as it is",
        )
    for layer in model._flatten_layers():
        _check_layer(layer)
    for variable in model.variables:
        _check_weight(variable)


def check_is_not_empty(graph: FlatGraph) -> None:
    for tensor, name in zip(graph.inputs, graph.input_names, strict=True):
        if 0 in graph.shapes[tensor][1:]:
            raise InputError(
                received=f"input {name!r} of shape {graph.shapes[tensor][1:]}",
                expected="sizes from 1",
                mend="leave out an input without values, or give it its size",
            )


def _check_layer(layer: Any) -> None:
    if isinstance(layer, (Simulation, SimulatedLayer)):
        raise UnsupportedError(
            received=f"the simulation {layer.name!r} within the model",
            expected="a float model",
            mend="put lowbit.strip(sim) in its place",
        )
    if getattr(layer, "quantization_mode", None) is not None:
        raise UnsupportedError(
            received=f"{layer.name!r}, quantized to {layer.quantization_mode} by Keras",
            expected="float weights",
            mend="pass the model as it was before .quantize()",
        )
    if getattr(layer, "lora_enabled", False):
        raise UnsupportedError(
            received=f"{layer.name!r} with LoRA weights beside its own",
            expected="one kernel, the sum of both",
            mend="model.save_weights('merged.weights.h5') writes the sum: load it into a model without enable_lora()",
        )


def _check_weight(variable: Any) -> None:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dtype == "float64":
        raise UnsupportedError(
            received=f"float64 weight {variable.path!r}", expected="float32 weights", mend="rebuild it in float32"
        )
    is_float = dtype.startswith(("float", "bfloat"))
    if is_float and not np.isfinite(keras.ops.convert_to_numpy(variable).astype("float32")).all():
        raise InputError(
            received=f"NaN or infinite values in weight {variable.path!r}",
            expected="finite weights",
            mend="load a checkpoint from before training diverged",
        )
