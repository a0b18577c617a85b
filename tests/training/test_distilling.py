# SPDX-License-Identifier: Apache-2.0
"""A teacher's answers beside the labels: the loss worked out by hand, and that a student follows its teacher."""

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.training import fit
from lowbit.training.distilling import Distillation

CROSS_ENTROPY = "sparse_categorical_crossentropy"
QUARTER, HALF = np.log(4.0), np.log(2.0)


def dense(units: int, activation: str, bias: list[float]) -> keras.Model:
    """A model that answers its bias, whatever comes in."""
    layer = keras.layers.Dense(units, activation, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.bias.assign(bias)
    return model


@pytest.mark.parametrize(
    ("student", "teacher", "loss", "expected"),
    [
        # the student gives each of four classes a quarter, whatever is asked
        (dense(4, "softmax", [0.0] * 4), dense(4, "softmax", [1.0, 2, 3, 4]), CROSS_ENTROPY, QUARTER),
        # the student says (1/2, 1/4, 1/4), label 0; the teacher's logits make it (1/4, 1/4, 1/2)
        (
            dense(3, "softmax", [np.log(2), 0.0, 0.0]),
            dense(3, "linear", [0.0, 0.0, np.log(2)]),
            CROSS_ENTROPY,
            0.75 * HALF + 0.25 * (0.25 * HALF + 0.75 * QUARTER),
        ),
        # one unit at one half, label 0
        (dense(1, "sigmoid", [0.0]), dense(1, "linear", [5.0]), "binary_crossentropy", HALF),
    ],
    ids=["even", "logits teach probabilities", "one unit"],
)
def test_the_loss_is_that_of_the_labels_and_of_the_teacher(student, teacher, loss, expected) -> None:
    x, labels = np.ones((5, 3), "float32"), np.zeros(5, "int64")
    history = fit(
        student, [(x, labels)], None, epochs=1, learning_rate=1e-9, loss=loss, teacher=teacher, teacher_share=0.25
    )
    assert history.logs["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_the_accuracy_is_that_of_the_labels_and_keras_evaluates_as_before() -> None:
    """A teacher that is always wrong, and a student that is right."""
    student, teacher = dense(2, "softmax", [1.0, 0.0]), dense(2, "softmax", [0.0, 9.0])
    x, labels = np.ones((5, 3), "float32"), np.zeros(5, "int64")
    history = fit(student, [(x, labels)], None, epochs=1, learning_rate=1e-9, teacher=teacher)
    assert history.logs["accuracy"] == (1.0,)
    loss, accuracy = student.evaluate(x, labels, verbose=0)
    assert (loss, accuracy) == (pytest.approx(np.log(1 + np.exp(-1.0)), rel=1e-5), 1.0)


def test_a_student_learns_from_its_teacher_alone() -> None:
    teacher = dense(3, "softmax", [0.0, 1.0, 3.0])
    student = dense(3, "softmax", [0.0, 0.0, 0.0])
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    wrong = np.zeros(64, "int64")
    before = [value.copy() for value in teacher.get_weights()]
    fit(student, [(x, wrong)] * 40, None, epochs=3, learning_rate=0.1, teacher=teacher, teacher_share=1.0)
    assert np.allclose(student.predict(x, verbose=0), teacher.predict(x, verbose=0), atol=0.05)
    assert all(np.array_equal(*pair) for pair in zip(before, teacher.get_weights()))


@pytest.mark.parametrize(
    ("teacher", "share", "told"),
    [
        (dense(4, "softmax", [0.0] * 4), 0.5, r"expected those of the model to train, \[\(None, 3\)\]"),
        (dense(3, "softmax", [0.0] * 3), 0.0, "expected a share above 0 up to 1"),
        (dense(3, "softmax", [0.0] * 3), float("nan"), "expected a share above 0 up to 1"),
    ],
    ids=["classes", "share", "not a number"],
)
def test_what_cannot_teach_is_refused(teacher, share, told) -> None:
    with pytest.raises(InputError, match=told):
        Distillation(dense(3, "softmax", [0.0] * 3), teacher, "sparse_categorical_crossentropy", share)
