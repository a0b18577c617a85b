# SPDX-License-Identifier: Apache-2.0
"""What is asked of a training and of its batches, before a backend meets it: each of them says something else."""

import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.training.losses import Loss

_OF_CLASSES = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "one_hot_loss")
_OF_ONE_UNIT = ("binary_crossentropy", "BinaryCrossentropy")


def check_settings(model: keras.Model, *, epochs: Any, learning_rate: Any, patience: Any, seed: Any) -> None:
    """Raises InputError for settings of another type or out of range, and for a model without trainable weights."""
    _whole("epochs", epochs, 1, "pass epochs=1 or more")
    _whole("patience", patience, 0, "pass patience=4")
    _whole("seed", seed, 0, "pass seed=0")
    is_schedule = isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    is_number = isinstance(learning_rate, (int, float, np.number)) and not isinstance(learning_rate, bool)
    if not is_schedule and not (is_number and math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(
            received=f"learning_rate={learning_rate!r}",
            expected="a positive learning rate, or a Keras schedule",
            mend="pass for example 1e-3",
        )
    if not model.trainable_weights:
        raise InputError(
            received=f"model {model.name!r} without trainable weights",
            expected="at least one trainable layer",
            mend="unfreeze layers with lowbit.training.unfreeze(model)",
        )


def check_batches(name: str, batches: Any, *, times: int) -> None:
    """Raises InputError for what cannot be read, or not so many times."""
    if not isinstance(batches, Iterable) or isinstance(batches, (str, bytes, Mapping)):
        raise InputError(
            received=f"{name} data of type {type(batches).__name__}",
            expected="an iterable of batches (inputs, labels)",
            mend="pass a list of them, a loader, or dataset.train.batches(32)",
        )
    if isinstance(batches, Iterator) and times > 1:
        raise InputError(
            received=f"{name} data that can be read only once ({type(batches).__name__})",
            expected="batches that can be read in every epoch",
            mend="pass list(batches), or an object whose __iter__ begins anew",
        )


class BatchCheck:
    """Whether batches fit a model and its loss; the first that does not raises InputError.

    Labels of a loss for classes are whole numbers from 0, one for each sample. Other losses take what they like.
    """

    def __init__(self, model: keras.Model, loss: Loss) -> None:
        self._inputs = list(getattr(model, "inputs", None) or ())
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        units = int(model.outputs[0].shape[-1]) if len(model.outputs) == 1 and model.outputs[0].shape[-1] else None
        is_of_one_unit = name in _OF_ONE_UNIT and units == 1
        self._classes = 2 if is_of_one_unit else units if name in _OF_CLASSES else None

    def __call__(self, inputs: Any, labels: np.ndarray, where: str) -> None:
        self._check_inputs(inputs, where)
        size = len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)
        if size == 0 or len(np.atleast_1d(labels)) != size:
            raise InputError(
                received=f"{where}: {size} samples with {len(np.atleast_1d(labels))} labels",
                expected="at least one sample, and a label for each",
                mend="mend the data",
            )
        if self._classes is not None:
            _check_classes(labels, self._classes, where)

    def _check_inputs(self, inputs: Any, where: str) -> None:
        given = inputs if isinstance(inputs, Mapping) else {"": inputs}
        wanted = {tensor.name: tensor for tensor in self._inputs}
        for name, values in given.items():
            tensor = wanted.get(name, self._inputs[0] if len(self._inputs) == 1 else None)
            array = values if hasattr(values, "dtype") and hasattr(values, "shape") else np.asarray(values)
            if "object" in str(array.dtype) or str(array.dtype).startswith(("<U", "|S", "string")):
                raise InputError(
                    received=f"{where}: inputs of type {array.dtype}",
                    expected="arrays of numbers, all samples of one shape",
                    mend="stack the samples: numpy.stack(samples)",
                )
            if tensor is None:
                continue
            shape, own = tuple(array.shape), tuple(tensor.shape)
            fits = len(shape) == len(own) and all(want in (None, got) for want, got in zip(own[1:], shape[1:]))
            if not fits:
                raise InputError(
                    received=f"{where}: samples of shape {shape[1:]} for input {tensor.name!r}",
                    expected=f"shape {own[1:]}, with the samples on the first axis",
                    mend="prepare the data as the model takes it",
                )


def _check_classes(labels: np.ndarray, classes: int, where: str) -> None:
    expected = f"whole numbers from 0 to {classes - 1}, one for each sample"
    if labels.ndim > 1 and labels.shape[1:] != (1,):
        mend = "pass labels.argmax(axis=1)" if labels.shape[1:] == (classes,) else "pass one label for each sample"
        raise InputError(received=f"{where}: labels of shape {labels.shape}", expected=expected, mend=mend)
    if labels.dtype.kind not in "iufb":
        raise InputError(
            received=f"{where}: labels of type {labels.dtype}",
            expected=expected,
            mend="number the classes: numpy.unique(labels, return_inverse=True)",
        )
    wrong = ~np.isfinite(labels.astype("float64")) | (labels != np.floor(labels)) | (labels < 0) | (labels >= classes)
    if wrong.any():
        found = np.unique(labels[wrong])[:3]
        raise InputError(
            received=f"{where}: labels {', '.join(f'{value:g}' for value in found)} among others",
            expected=expected,
            mend="number the classes from 0, or train a model with as many outputs as classes",
        )


def _whole(name: str, value: Any, least: int, mend: str) -> None:
    try:
        is_whole = not isinstance(value, bool) and operator.index(value) >= least
    except TypeError:
        is_whole = False
    if not is_whole:
        raise InputError(received=f"{name}={value!r}", expected=f"a whole number from {least}", mend=mend)
