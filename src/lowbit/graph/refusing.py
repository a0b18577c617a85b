# SPDX-License-Identifier: Apache-2.0
"""Calls whose meaning would be lost without a word when a model is written out: they are refused."""

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from lowbit.errors import UnsupportedError
from lowbit.graph.remembering import check_remembers_nothing


def check_call(operation: Any, node: Any) -> None:
    """Raises UnsupportedError for a call in training mode, with a mask that its arguments do not show, or of a layer
    that remembers.
    """
    if not isinstance(operation, keras.layers.Layer):
        return
    check_remembers_nothing(operation)
    if node.arguments.kwargs.get("training") and not _trains_by_default(operation):
        raise UnsupportedError(
            received=f"{operation.name!r} ({type(operation).__name__}) called with training=True",
            expected="layers that infer when the model does",
            mend="leave out training=True, or pass on the training argument of call",
        )
    masked = [tensor for tensor in node.input_tensors if getattr(tensor, "_keras_mask", None) is not None]
    if masked and not _has_mask(node) and any(_takes_mask(layer) for layer in _parts(operation)):
        raise UnsupportedError(
            received=f"{operation.name!r} ({type(operation).__name__}) on a tensor with a Keras mask",
            expected="masks that are arguments of the call, or none",
            mend="leave out mask_zero=True or Masking, or pass attention_mask= to the attention layer",
        )


def _trains_by_default(layer: Any) -> bool:
    """Augmenting layers record their own default; in a model that infers they are told otherwise."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return parameter is not None and parameter.default is True


def _has_mask(node: Any) -> bool:
    return any(name.endswith("mask") and value is not None for name, value in node.arguments.kwargs.items())


def _takes_mask(layer: Any) -> bool:
    names = inspect.signature(layer.call).parameters
    return any(name == "mask" or name.endswith("_mask") for name in names)


def _parts(layer: Any) -> Iterator[Any]:
    """The layers whose own call may use a mask; models pass it on at most, batch norms use it in training at most."""
    for part in layer._flatten_layers():
        if not isinstance(part, (keras.Model, keras.layers.BatchNormalization)):
            yield part
