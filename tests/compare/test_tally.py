# SPDX-License-Identifier: Apache-2.0
"""Counts in portions are those of the whole, by hand and for any division."""

import numpy as np
import pytest

from lowbit.compare.tally import Tally
from lowbit.errors import InputError


def counted(outputs: np.ndarray, labels: np.ndarray, size: int) -> Tally:
    tally = Tally()
    for start in range(0, len(labels), size):
        tally.add(outputs[start : start + size], labels[start : start + size])
    tally.metrics()
    return tally


def test_by_hand() -> None:
    outputs = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]])
    tally = counted(outputs, np.array([0, 1, 0, 2]), size=3)
    assert (tally.correct, tally.total, tally.top_k) == (3, 4, None)
    assert tally.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("size", [1, 7, 50])
def test_the_five_best_answers(size: int) -> None:
    generator = np.random.default_rng(0)
    outputs, labels = generator.random((50, 12)), generator.integers(0, 12, 50)
    best = np.argsort(-outputs, axis=1)[:, :5]
    tally = counted(outputs, labels, size)
    assert tally.top_k == np.mean([label in row for label, row in zip(labels, best, strict=True)])
    assert tally.correct == (outputs.argmax(axis=1) == labels).sum() == np.trace(tally.confusion)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_the_threshold_of_one_unit_is_known_at_the_end(size: int) -> None:
    """Logits show themselves by a value outside 0..1, which here comes last."""
    outputs, labels = np.array([[0.2], [0.4], [-0.1], [0.9], [0.3], [7.0]]), np.array([1, 1, 0, 1, 1, 1])
    assert counted(outputs, labels, size).correct == 6
    assert counted(outputs[[0, 1, 3]], labels[[0, 1, 3]], size).correct == 1  # probabilities: above 0.5


def test_labels_that_the_model_does_not_know() -> None:
    with pytest.raises(InputError, match="label 3.*labels 0..2"):
        Tally().add(np.zeros((2, 3)), np.array([0, 3]))
    with pytest.raises(InputError, match="label 9; expected labels 0..1 for one output"):
        Tally().add(np.zeros((2, 1)), np.array([0, 9]))
