# SPDX-License-Identifier: Apache-2.0
"""Batches as a Keras model takes them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.outputs import match, output_names


def model_inputs(model: keras.Model, inputs: Any) -> Any:
    """What to call `model` with: the array itself for one input, a dict by the model's own input names for several.

    A dict given to a single-input functional model would be matched by name, or flattened in an order of its own.
    Raises InputError when the names are not the model's.
    """
    if not isinstance(inputs, Mapping):
        return inputs
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    names = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    if names and set(names) != set(inputs):
        raise InputError(
            received=f"inputs {', '.join(sorted(inputs))}",
            expected=f"the model's inputs {', '.join(sorted(names))}",
            mend="name the data's inputs as the model's",
        )
    return dict(inputs)


def labelled(model: keras.Model, batches: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """`(inputs for the model, labels)` of each batch; raises InputError for a batch without labels."""
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2 or batch[1] is None:
            raise InputError(
                received="batches without labels",
                expected="batches of (inputs, labels)",
                mend="use labelled data: unlabelled data can only calibrate and check parity",
            )
        yield model_inputs(model, batch[0]), np.asarray(batch[1])


def by_output(model: keras.Model, values: Mapping[str, Any]) -> Any:
    """Values by the name of an output, in the structure of the model's outputs: a dict, or a list.

    Raises InputError when the names are not those of the model's outputs.
    """
    names = output_names(model)
    found = {output: values[name] for name, output in match(values, names).items()}
    return found if isinstance(getattr(model, "_outputs_struct", None), Mapping) else [found[name] for name in names]


def targets(model: keras.Model, labels: np.ndarray) -> Any:
    """Labels as the model is trained on them: those of several outputs, which come in fields, for each output."""
    fields = labels.dtype.names
    return labels if fields is None else by_output(model, {name: labels[name] for name in fields})


def batch_size(inputs: Any) -> int:
    """Number of samples in a batch of inputs."""
    first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
    return len(first)
