# SPDX-License-Identifier: Apache-2.0
"""Data that is learnt in a moment, and models for it."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

Batch = tuple[dict[str, np.ndarray], np.ndarray]


class Points:
    """Re-iterable batches: the class of a point is the largest of its coordinates. Shuffled anew in each iteration."""

    def __init__(self, samples: int, *, classes: int = 3, seed: int = 0, batch_size: int = 16) -> None:
        self.points = np.random.default_rng(seed).normal(size=(samples, classes)).astype(np.float32)
        self.labels = self.points.argmax(axis=1)
        self._batch_size, self._seed, self.iterations = batch_size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.points) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = np.random.default_rng([self._seed, self.iterations]).permutation(len(self.points))
        self.iterations += 1
        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            yield {"point": self.points[chosen]}, self.labels[chosen]


@pytest.fixture
def points() -> Callable[..., Points]:
    return Points


@pytest.fixture
def model() -> keras.Model:
    """point (3,) -> 3 classes, with a batch norm; 36 weights."""
    return build_model()


def build_model(activation: str | None = "softmax", units: int = 3, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    point = keras.Input((3,), name="point")
    x = keras.layers.Dense(4, name="hidden")(point)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = keras.layers.Dense(units, activation=activation, name="classes", **options)(x)
    return keras.Model(point, x, name="small")


@pytest.fixture
def build() -> Callable[..., keras.Model]:
    return build_model
