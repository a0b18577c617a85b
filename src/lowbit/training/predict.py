# SPDX-License-Identifier: Apache-2.0
"""Outputs of a Keras model over batches, in order."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.training.compiling import compiles_by_xla
from lowbit.training.feed import batch_size, model_inputs


def predict(model: keras.Model, batches: Iterable[Any]) -> tuple[Any, np.ndarray | None]:
    """Run `model` in inference mode over batches of inputs, or of (inputs, labels).

    Shorter batches are filled up to the longest seen so far and cut again: one compiled function does for all.

    Returns:
        The outputs, shape (samples, ...) in the order of the batches (a dict by output name, or a list, for models that
        return one), and the labels, shape (samples,), or None where a batch has none.

    Raises:
        InputError: no batch at all.
    """
    outputs: list[Any] = []
    labels: list[Any] = []
    for some, label in predictions(model, batches):
        outputs.append(some)
        labels.append(label)
    if not outputs:
        raise InputError(
            received="no batch", expected="at least one batch to predict", mend="pass data that is not empty"
        )
    has_labels = all(label is not None for label in labels)
    return _joined(outputs), np.concatenate(labels) if has_labels else None


def predictions(model: keras.Model, batches: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray | None]]:
    """`predict`, batch by batch: outputs and labels of each."""
    longest = 0
    with _without_xla(model):
        for batch in batches:
            inputs, label = batch if isinstance(batch, tuple | list) else (batch, None)
            inputs = model_inputs(model, inputs)
            size = batch_size(inputs)
            longest = max(longest, size)
            outputs = _cut(model.predict_on_batch(_filled(inputs, longest)), size)
            yield outputs, None if label is None else np.asarray(label)


@contextmanager
def _without_xla(model: keras.Model) -> Iterator[None]:
    """Predict without XLA on TensorFlow, where it may fuse what a simulation must round step by step."""
    if compiles_by_xla() or not model.jit_compile:
        yield
        return
    model.jit_compile, model.predict_function = False, None
    try:
        yield
    finally:
        model.jit_compile, model.predict_function = True, None


def _filled(inputs: Any, size: int) -> Any:
    """`inputs` with the last sample repeated until every array holds `size` samples."""

    def filled(array: Any) -> np.ndarray:
        array = np.asarray(array)
        missing = size - len(array)
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array

    return keras.tree.map_structure(filled, inputs)


def _cut(outputs: Any, size: int) -> Any:
    """The first `size` samples of every array."""
    return keras.tree.map_structure(lambda array: array[:size], outputs)


def _joined(outputs: list[Any]) -> Any:
    """One structure of arrays from those of the batches."""
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *outputs)
