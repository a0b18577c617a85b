# SPDX-License-Identifier: Apache-2.0
"""Layers of the simulation's own, with the configuration and weights of the model's, that compute in float32."""

from typing import Any

import keras

from lowbit.errors import UnsupportedError
from lowbit.graph import Step


def held(step: Step, input_shape: Any) -> keras.layers.Layer:
    """The Keras layer that holds a step's weights, built and filled."""
    layer: keras.layers.Layer = _in_float32(step.layer())
    layer.build(input_shape)
    layer.set_weights([parameter.array() for parameter in step.weights])
    return layer


def _in_float32(layer: keras.layers.Layer) -> keras.layers.Layer:
    """An unbuilt layer, whose policy may be of half precision, as the simulation computes."""
    for part in layer._flatten_layers():
        part.dtype_policy = "float32"
    return layer


def copied(operation: Any) -> Any:
    """A new layer or operation with the same configuration, name and weights, which computes in float32."""
    try:
        copy = type(operation).from_config(operation.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedError(
            received=f"{operation.name!r} ({type(operation).__name__}), which stays float and cannot be made again: "
            f"{' '.join(str(error).split())[:150]}",
            expected="layers that come back from their get_config",
            mend="register its class and functions with keras.saving.register_keras_serializable",
        ) from error
    if isinstance(copy, keras.layers.Layer):
        _in_float32(copy)
    if getattr(operation, "weights", None):
        copy.build_from_config(operation.get_build_config())
        copy.set_weights(operation.get_weights())
    if hasattr(copy, "finalize_state"):
        copy.finalize_state()  # a Normalization works out its constants from its weights
    return copy
