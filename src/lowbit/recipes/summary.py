# SPDX-License-Identifier: Apache-2.0
"""The layers of a Keras model as text. Keras's own summary fits itself to the terminal and cuts figures off."""

import math
from collections.abc import Iterable
from typing import Any

import keras

HEADINGS = ("Layer (type)", "Output shape", "Param #")


def summary_text(model: Any) -> str:
    """Name, class, output shape and parameters of every layer, then the sums; as wide as the longest name.

    Only the model's own weights count, not those of an optimizer it was trained with.
    """
    lines = [HEADINGS, *((_name(layer), _shape(layer), _parameters(layer)) for layer in model.layers)]
    name, shape, figure = (max(map(len, column)) for column in zip(*lines, strict=True))
    head, *body = (f"{line[0]:<{name}}  {line[1]:<{shape}}  {line[2]:>{figure}}" for line in lines)
    sums = {
        "Total": model.weights,
        "Trainable": model.trainable_weights,
        "Non-trainable": model.non_trainable_weights,
    }
    ends = [f"{word} params: {_count(weights):,}" for word, weights in sums.items()]
    return "\n".join([f'Model: "{model.name}"', "", head, "-" * len(head), *body, "-" * len(head), *ends])


def _name(layer: Any) -> str:
    return f"{layer.name} ({type(layer).__name__})"


def _shape(layer: Any) -> str:
    """The shape of each output; unknown for layers that are called outside a graph, or more than once."""
    try:
        return ", ".join(str(tuple(tensor.shape)) for tensor in keras.tree.flatten(layer.output))
    except (AttributeError, ValueError):
        return "?"


def _parameters(layer: Any) -> str:
    return f"{_count(layer.weights):,}"


def _count(weights: Iterable[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in weights)
