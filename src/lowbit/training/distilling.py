# SPDX-License-Identifier: Apache-2.0
"""Training on a teacher's answers beside the labels (Hinton et al. 2015, arXiv:1503.02531, at temperature 1).

`keras.distillation` wraps teacher and student in a model of its own, whose `fit` knows nothing of what a simulation's
does, and takes logits only. Here the teacher's answers come with the labels of each batch, so any backend trains.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.errors import InputError
from lowbit.training.losses import Loss, infer_loss, is_single_logit


class Distillation:
    """What training needs to know of a teacher: labels with its answers, and the loss and metric that take them.

    Args:
        teacher: a model with the student's inputs and classes; it is not trained.
        share: of the loss that is cross-entropy against the teacher's probabilities, above 0 up to 1; the rest is
            `loss` against the labels.

    Raises:
        InputError: a share out of range, or a teacher with other inputs or outputs; in training, one whose answers are
            not finite.
    """

    def __init__(self, student: keras.Model, teacher: keras.Model, loss: Loss, share: float) -> None:
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share <= 1:
            raise InputError(
                received=f"teacher_share={share!r}", expected="a share above 0 up to 1", mend="pass teacher_share=0.5"
            )
        if not isinstance(teacher, keras.Model):
            raise InputError(
                received=f"teacher={teacher!r:.80}",
                expected="a Keras model",
                mend="load it first: keras.models.load_model(path)",
            )
        for side in ("inputs", "outputs"):
            _require_same_shapes(side, teacher, student)
        self._teacher, self._share = teacher, share
        self._by_labels = keras.losses.get(loss)
        self._units = int(student.outputs[0].shape[-1])
        self._by_teacher = _cross_entropy(self._units, from_logits=is_single_logit(infer_loss(student)))
        self._teaches_logits = is_single_logit(infer_loss(teacher))

    def labels(self, inputs: Any, labels: np.ndarray) -> np.ndarray:
        """(samples, 1 + units) float32: each sample's label, then the teacher's probabilities."""
        answers = ops.convert_to_tensor(self._teacher.predict_on_batch(inputs))
        if not np.isfinite(ops.convert_to_numpy(answers)).all():
            raise InputError(
                received=f"NaN or infinite answers of the teacher {self._teacher.name!r}",
                expected="finite ones",
                mend="look for NaN in the teacher's weights and in the data",
            )
        if self._teaches_logits:
            answers = ops.sigmoid(answers) if self._units == 1 else ops.softmax(answers)
        own = np.asarray(labels, "float32").reshape(-1, 1)
        return np.concatenate([own, ops.convert_to_numpy(answers).astype("float32")], axis=1)

    def loss(self, labels: Any, outputs: Any) -> Any:
        """Of what `labels` gave, and the student's outputs."""
        by_labels = ops.mean(self._by_labels(labels[:, :1], outputs))
        by_teacher = ops.mean(self._by_teacher(labels[:, 1:], outputs))
        return (1.0 - self._share) * by_labels + self._share * by_teacher

    def of_labels(self, metric: Callable[..., Any]) -> Callable[..., Any]:
        """A metric that takes what `labels` gave, and looks at the labels alone."""
        return lambda labels, outputs: metric(labels[:, :1], outputs)


def _require_same_shapes(side: str, teacher: keras.Model, student: keras.Model) -> None:
    theirs, own = ([tuple(tensor.shape) for tensor in getattr(model, side)] for model in (teacher, student))
    fits = len(theirs) == len(own) and all(
        len(one) == len(other) and all(None in pair or len(set(pair)) == 1 for pair in zip(one, other))
        for one, other in zip(theirs, own)
    )
    if not fits:
        raise InputError(
            received=f"a teacher with {side} of shape {theirs}",
            expected=f"those of the model to train, {own}",
            mend="pass the float model that the simulation was made of",
        )


def _cross_entropy(units: int, *, from_logits: bool) -> keras.losses.Loss:
    kind = keras.losses.BinaryCrossentropy if units == 1 else keras.losses.CategoricalCrossentropy
    return kind(from_logits=from_logits)
