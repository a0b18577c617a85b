# SPDX-License-Identifier: Apache-2.0
"""Whether a model is sound, and whether it fits the data it is to be used on."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.outputs import match, output_names


def check_finite(model: keras.Model, source: str) -> None:
    """Raise InputError naming the first weight, by its layer, that holds NaN or an infinity."""
    for variable in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(variable))
        if values.dtype.kind != "f":
            continue
        broken = int(values.size - np.isfinite(values).sum())
        if broken:
            raise InputError(
                received=f"{source}: weight {variable.path!r} with {broken} of {values.size} values NaN or infinite",
                expected="finite weights",
                mend="train the model again with a smaller learning rate, or load an earlier version of it",
            )


def check_inputs(model: keras.Model, inputs: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise InputError unless the model takes as many inputs as the data has, each of a shape that fits.

    Args:
        inputs: shape of one sample by input name. The single input of model and data may differ in name.
    """
    expected = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    received = {name: tuple(shape) for name, shape in inputs.items()}
    if len(expected) == 1 and len(received) == 1:
        pairs = [(next(iter(expected.values())), next(iter(received.values())))]
    elif expected.keys() == received.keys():
        pairs = [(expected[name], received[name]) for name in expected]
    else:
        pairs = []
    if not pairs or not all(_shape_fits(wanted, given) for wanted, given in pairs):
        raise InputError(
            received=f"data with inputs {_words(received)} for {source}",
            expected=f"inputs {_words(expected)}",
            mend="choose data of these shapes, or resize images with --image-size",
        )


def check_classes(
    model: keras.Model,
    class_names_of_model: Sequence[str] | None,
    class_names_of_data: Sequence[str] | None,
) -> None:
    """Raise InputError unless the model's outputs and class names are those of the data, in the same order.

    What is not known (None) is not checked. A single output fits two classes.
    """
    if class_names_of_data is None:
        return
    check_class_count(model, len(class_names_of_data))
    if class_names_of_model is None:
        return
    of_model, of_data = list(class_names_of_model), list(class_names_of_data)
    if of_model == of_data:
        return
    place = next((i for i, (a, b) in enumerate(zip(of_model, of_data)) if a != b), min(len(of_model), len(of_data)))
    ordered = "the same names in another order" if sorted(of_model) == sorted(of_data) else "other names"
    raise InputError(
        received=f"data whose classes are {ordered}: class {place} is {_at(of_data, place)}",
        expected=f"the model's classes, where class {place} is {_at(of_model, place)}",
        mend="give the data the model's class order in a classes.txt, or use the data the model was trained on",
    )


def check_class_count(model: keras.Model, classes: int) -> None:
    """Raise InputError unless the model has one output for each class, or one output for two classes."""
    if len(model.outputs) != 1:
        raise InputError(
            received=f"a model with {len(model.outputs)} outputs",
            expected="one output of class probabilities or logits",
            mend="build a model with the classification output only",
        )
    outputs = model.outputs[0].shape[-1]
    if outputs != classes and not (outputs == 1 and classes == 2):
        raise InputError(
            received=f"data of {classes} classes for a model with {outputs} outputs",
            expected=f"data of {outputs} classes",
            mend="choose the data the model was trained on, or a model with one output per class",
        )


def check_numbers(model: keras.Model, numbers: int) -> None:
    """Raise InputError unless the model has one output that gives so many numbers for each sample."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if len(shapes) != 1 or int(np.prod([size or 0 for size in shapes[0]])) != numbers:
        raise InputError(
            received=f"data of {numbers} numbers to estimate for a model with outputs of shape {shapes}",
            expected=f"one output of {numbers}",
            mend="choose the data the model was trained on; for classes give whole numbers as labels",
        )


def check_outputs(model: keras.Model, tasks: Mapping[str, str], answers: Mapping[str, int]) -> None:
    """Raise InputError unless the model has an output for each of these names, wide enough for its answers."""
    tensors = dict(zip(output_names(model), model.outputs, strict=True))
    for name, output in match(tasks, tensors).items():
        units = int(np.prod([size or 0 for size in tensors[output].shape[1:]]))
        is_enough = units == answers[name] or (
            tasks[name] == "classification" and (units > answers[name] or (units == 1 and answers[name] == 2))
        )
        if not is_enough:
            raise InputError(
                received=f"{tasks[name]} labels of {answers[name]} for the output {output!r} of {units} units",
                expected="a unit for each class, or for each number",
                mend="choose the data the model was trained on; for classes give whole numbers as labels",
            )


def _shape_fits(wanted: tuple[int | None, ...], given: tuple[int, ...]) -> bool:
    return len(wanted) == len(given) and all(a is None or b is None or a == b for a, b in zip(wanted, given))


def _words(shapes: Mapping[str, tuple[int | None, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _at(class_names: list[str], place: int) -> str:
    return repr(class_names[place]) if place < len(class_names) else "missing"
