# SPDX-License-Identifier: Apache-2.0
"""The loss of a model: what it was compiled with, else inferred from its outputs and what the labels are. Labels of
classes are integers throughout."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.outputs import output_names
from lowbit.training.feed import by_output

Loss = Any
"""A Keras loss: its name, an object, or a function of (labels, outputs)."""

_ONE_HOT = ("categorical_crossentropy", "CategoricalCrossentropy")


def infer_loss(
    model: keras.Model, task: str = "classification", tasks: Mapping[str, str] | None = None
) -> keras.losses.Loss | list[keras.losses.Loss] | dict[str, keras.losses.Loss]:
    """For "regression" the mean squared error; else cross-entropy that fits the model's output: from probabilities
    after softmax or sigmoid, else from logits.

    One output unit means two classes; for "multi-label" each unit is a class for itself. An output layer is read by its
    `activation_name` or `activation`, or as a Softmax layer. A model of several outputs has a loss for each, by the
    task that `tasks` has for its name. Raises InputError for several outputs without that, and for several units after
    sigmoid where one class is asked for.
    """
    if tasks:
        names = output_names(model)
        by_name = dict(zip(names, keras.tree.flatten(by_output(model, tasks)), strict=True))
        return by_output(model, {name: _inferred(model, by_name[name], number) for number, name in enumerate(names)})
    return _inferred(model, task, None)


def _inferred(model: keras.Model, task: str, output: int | None) -> keras.losses.Loss:
    """Of one output, or of the only one."""
    if task == "regression":
        return keras.losses.MeanSquaredError()
    units = _output_units(model, output)
    activation = _output_activation(model, output or 0)
    if task == "multi-label" and activation in ("sigmoid", "linear"):
        return keras.losses.BinaryCrossentropy(from_logits=activation == "linear")
    if units == 1 and activation in ("sigmoid", "linear"):
        return keras.losses.BinaryCrossentropy(from_logits=activation == "linear")
    if activation in ("softmax", "linear") and units > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=activation == "linear")
    raise InputError(
        received=f"a model with {units} output units after {activation!r}",
        expected="softmax or logits of several classes, or sigmoid or a logit of one unit",
        mend="compile the model with its loss before saving it, or pass loss=...",
    )


def choose_loss(model: keras.Model, loss: Loss | None) -> Loss:
    """The loss to train with: the one given, else the compiled one, else the inferred one; for integer labels.

    Categorical cross-entropy, made for one-hot labels, gets its labels one-hot. A model of several outputs has a loss
    for each, in the structure of its outputs.
    """
    if loss is None:
        loss = model.loss if model.compiled and model.loss is not None else infer_loss(model)
    if len(model.outputs) == 1:
        return _chosen(model, loss, None)
    names = output_names(model)
    each = list(loss) if isinstance(loss, list | tuple) else [loss] * len(names)
    given = loss if isinstance(loss, Mapping) else dict(zip(names, each, strict=True))
    in_order = keras.tree.flatten(by_output(model, given))
    return by_output(model, {name: _chosen(model, in_order[number], number) for number, name in enumerate(names)})


def _chosen(model: keras.Model, loss: Loss, output: int | None) -> Loss:
    name = _name_of(loss)
    try:
        keras.losses.get(loss)
    except (ValueError, TypeError) as error:
        raise InputError(
            received=f"loss={loss!r}",
            expected="a Keras loss: its name, an object, or a function of (labels, outputs)",
            mend="leave it out, and it follows from the model's outputs",
        ) from error
    if name not in _ONE_HOT:
        return loss
    return _on_one_hot_labels(keras.losses.get(loss), _output_units(model, output))


def counts_right_answers(loss: Loss) -> bool:
    """Whether a loss is one for classes, so that answers are right or wrong."""
    return "crossentropy" in _name_of(loss).lower() or _name_of(loss) == "one_hot_loss"


def is_of_units(loss: Loss) -> bool:
    """Whether a loss takes each output unit for itself: one unit, or several labels at once."""
    return _name_of(loss).lower().startswith("binary")


def accuracy(outputs: np.ndarray, labels: np.ndarray, is_logit: bool) -> float:
    """Fraction of right classes, 0..1. A single unit is class 1 above 0.5, above 0 for a logit; so is each of several
    whose labels are 0 or 1 for each."""
    if labels.ndim == 2 and labels.shape == outputs.shape and outputs.shape[-1] > 1:
        return float(np.mean((outputs > (0.0 if is_logit else 0.5)) == (labels > 0)))
    if outputs.shape[-1] == 1:
        predicted = outputs.reshape(-1) > (0.0 if is_logit else 0.5)
    else:
        predicted = outputs.argmax(axis=-1)
    return float(np.mean(predicted == labels.reshape(-1)))


def is_single_logit(loss: Loss) -> bool:
    """Whether the loss takes one unit before its sigmoid."""
    return bool(getattr(loss, "from_logits", False))


def _name_of(loss: Loss) -> str:
    return loss if isinstance(loss, str) else str(getattr(loss, "__name__", type(loss).__name__))


def _on_one_hot_labels(loss: Callable[[Any, Any], Any], classes: int) -> Callable[[Any, Any], Any]:
    def one_hot_loss(labels: Any, outputs: Any) -> Any:
        indices = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
        return loss(keras.ops.one_hot(indices, classes, dtype=outputs.dtype), outputs)

    return one_hot_loss


def _output_units(model: keras.Model, output: int | None) -> int:
    """Of an output, or of the only one."""
    shapes = [tensor.shape for tensor in (model.outputs if output is None else [model.outputs[output]])]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][-1] is None:
        raise InputError(
            received=f"a model with outputs of shape {', '.join(str(shape) for shape in shapes)}",
            expected="one output of shape (batch, classes)",
            mend="train it yourself with model.fit, or build a model with the classification output only",
        )
    return int(shapes[0][-1])


def _output_activation(model: keras.Model, output: int) -> str:
    """Name of the last activation: "softmax", "sigmoid", "linear", ..."""
    layer = model.layers[-1] if isinstance(model, keras.Sequential) else model.outputs[output]._keras_history.operation
    if isinstance(layer, keras.Model):
        return _output_activation(layer, 0)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    name = getattr(layer, "activation_name", None)
    if name is None:
        activation = getattr(layer, "activation", None)
        named = getattr(activation, "__name__", type(activation).__name__)
        name = "linear" if activation is None else activation if isinstance(activation, str) else named
    return str(name)
