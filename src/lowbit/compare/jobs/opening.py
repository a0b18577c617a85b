# SPDX-License-Identifier: Apache-2.0
"""What every job opens first: a model from the file that an earlier job wrote, fed by its own input names."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

import lowbit.simulation  # noqa: F401  registers the layers of saved simulations
from lowbit.card import Card, CardEndpoint, write_card
from lowbit.data import Dataset, rename_inputs
from lowbit.functions import resolve


def start(seed: int) -> None:
    """The state of a new process: names count from one and random numbers from `seed`.

    So a job writes the same bytes whether it runs after others or alone, in a resumed run. What outlives the last job
    (modules, data) is set aside: looking through it for garbage took half a second before every job.
    """
    keras.utils.clear_session()  # collects garbage
    gc.freeze()
    keras.utils.set_random_seed(seed)


def open_model(path: Path, function: str | None = None) -> keras.Model:
    """A model or simulation from its file. `function` is the user's, whose module registers its custom layers."""
    if function is not None:
        resolve(function)
    return keras.saving.load_model(path, compile=False)


def feed(batches: Any, model: keras.Model) -> Any:
    """The batches, with inputs named as the model names its own."""
    return rename_inputs(batches, input_names(model))


def input_names(model: keras.Model) -> list[str]:
    return [tensor.name for tensor in model.inputs]


def keras_card(path: Path, model: keras.Model, *, recipe: str, data: Dataset, made_by: Mapping[str, Any]) -> None:
    """Write the card of a saved Keras model beside it."""
    write_card(
        path,
        Card(
            recipe=recipe,
            inputs=tuple(_endpoint(tensor) for tensor in model.inputs),
            outputs=tuple(_endpoint(tensor) for tensor in model.outputs),
            preprocessing=data.preprocessing,
            class_names=data.class_names,
            made_by=made_by,
        ),
    )


def _endpoint(tensor: Any) -> CardEndpoint:
    return CardEndpoint(name=tensor.name, shape=tuple(tensor.shape[1:]), dtype=str(tensor.dtype))
