# SPDX-License-Identifier: Apache-2.0
"""Seeded, stratified, exact to rounding, nothing lost and nothing twice."""

import numpy as np
import pytest

from lowbit.data.partition import partition, plan
from lowbit.errors import InputError


@pytest.mark.parametrize(
    "count, fractions, sizes",
    [
        (10, (0.8, 0.1, 0.1), [8, 1, 1]),
        (100, (0.8, 0.1, 0.1), [80, 10, 10]),
        (1797, (0.4, 0.1, 0.5), [719, 179, 899]),
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (4, (0.8, 0.1, 0.1), [2, 1, 1]),
        (2, (0.9, 0.1), [1, 1]),
    ],
)
def test_sizes(count, fractions, sizes):
    parts = partition(np.zeros(count, int), fractions, seed=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))


def test_each_class_is_divided_alike():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    train, validation, test = partition(labels, (0.8, 0.1, 0.1), seed=1)
    assert np.bincount(labels[train]).tolist() == [80, 40, 8]
    assert np.bincount(labels[validation]).tolist() == [10, 5, 1]
    assert np.bincount(labels[test]).tolist() == [10, 5, 1]


def test_seed_decides():
    labels = np.arange(60) % 3
    first, again, other = (partition(labels, (0.5, 0.5), seed)[0].tolist() for seed in (5, 5, 6))
    assert first == again != other


def test_too_few():
    with pytest.raises(InputError, match="received 2 labelled samples; expected at least 3"):
        partition(np.zeros(2, int), (0.8, 0.1, 0.1), seed=0)


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"all": 20}, {"train": ("all", 16), "validation": ("all", 2), "test": ("all", 2)}),
        ({"train": 20}, {"train": ("train", 16), "validation": ("train", 2), "test": ("train", 2)}),
        ({"train": 20, "test": 5}, {"train": ("train", 18), "validation": ("train", 2), "test": ("test", 5)}),
        ({"train": 20, "validation": 5}, {"train": ("train", 20), "validation": ("validation", 5)}),
        ({"test": 5}, {"test": ("test", 5)}),
    ],
)
def test_plan(given, expected):
    parts = {name: (count, np.zeros(count, int)) for name, count in given.items()}
    made = {split: (part, len(indices)) for split, (part, indices) in plan(parts, seed=0).items()}
    assert made == expected


def test_unlabelled_data_is_training_data():
    assert list(plan({"all": (7, None)}, seed=0)) == ["train"]
