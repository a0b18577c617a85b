# SPDX-License-Identifier: Apache-2.0
"""A data set: three splits, its classes, how its samples are prepared, and a digest of all that."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lowbit.data.partition import SPLITS
from lowbit.data.preprocessing import Preprocessing
from lowbit.data.source import Array, Source
from lowbit.data.split import Split
from lowbit.errors import InputError
from lowbit.functions import source_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What `load_dataset` returns.

    `class_names` are the names of the classes (of the folders) in label order, None when the data has none.
    `inputs` is the shape of one preprocessed sample by input name, `{"image": (128, 128, 3)}`. A split is None when
    the data does not hold it; a flat folder of images has `train` only, with `labels` None. `task` follows from the
    labels (`task_of`). `attribution` is what the data's licence asks to be told wherever its samples are shown.
    """

    name: str
    settings: Preprocessing
    inputs: dict[str, tuple[int, ...]]
    class_names: tuple[str, ...] | None = None
    train: Split | None = None
    validation: Split | None = None
    test: Split | None = None
    attribution: str | None = None

    @cached_property
    def task(self) -> str:
        """ "classification", "multi-label", "regression", "multi-output"; classification where there are no labels."""
        tasks = {task_of(split.labels) for split in self._splits() if split.labels is not None}
        if len(tasks) > 1:
            raise InputError(
                received=f"labels for {' and '.join(sorted(tasks))} in the splits of {self.name}",
                expected="labels of one kind",
                mend="store them alike in each split",
            )
        return tasks.pop() if tasks else "classification"

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Plain JSON data for a model's card; `load_dataset(data, **this)` prepares data in the same way."""
        return self.settings.as_dict()

    @property
    def counts(self) -> dict[str, int]:
        """Number of samples of each split there is, `{"train": 719, "validation": 179, "test": 899}`."""
        return {split.name: len(split) for split in self._splits()}

    @property
    def classes(self) -> int | None:
        """Number of classes: of the names, else one more than the largest label; None for other labels, or none."""
        if self.task in ("regression", "multi-output"):
            return None
        if self.task == "multi-label":
            return next(int(split.labels.shape[1]) for split in self._splits() if split.labels is not None)
        if self.class_names is not None:
            return len(self.class_names)
        labels = [split.labels for split in self._splits()]
        known = [int(array.max()) for array in labels if array is not None]
        return max(known) + 1 if known else None

    @property
    def answers(self) -> int | None:
        """How many numbers a model answers a sample with: one for each class, or those to estimate; None unlabelled,
        and for several outputs."""
        if self.task != "regression":
            return self.classes
        labels = next(split.labels for split in self._splits() if split.labels is not None)
        return 1 if labels.ndim == 1 else int(labels.shape[1])

    @property
    def tasks(self) -> dict[str, str]:
        """Of labels for several outputs: the task of each, by the output's name; else empty."""
        labels = [split.labels for split in self._splits() if split.labels is not None]
        return {name: task_of(labels[0][name]) for name in (labels[0].dtype.names or () if labels else ())}

    @property
    def answers_by_output(self) -> dict[str, int]:
        """Of labels for several outputs: how many numbers the model answers with, as `answers`, by the output's name;
        for classes the least that the labels need."""
        labels = [split.labels for split in self._splits() if split.labels is not None]
        return {
            name: 1 + max(int(array[name].max()) for array in labels)
            if task == "classification"
            else int(np.prod(labels[0][name].shape[1:]))
            for name, task in self.tasks.items()
        }

    def split(self, name: str) -> Split:
        """The split of that name. Raises InputError naming those there are."""
        found = next((split for split in self._splits() if split.name == name), None)
        if found is None:
            raise InputError(
                received=f"split {name!r} of {self.name}",
                expected=f"one of {', '.join(self.counts)}",
                mend="choose one of these, or add that split to the data",
            )
        return found

    def calibration(self, samples: int = 256, seed: int = 0) -> Split:
        """A random subset of the training data, never of the test data; a larger one contains the smaller.

        Raises InputError when there is no training data, or for fewer than 1 sample.
        """
        if self.train is None:
            raise InputError(
                received=f"{self.name}, which holds {', '.join(self.counts)} only",
                expected="training data to calibrate with",
                mend="add a train folder or x_train",
            )
        return self.train.draw("calibration", samples, seed)

    def manifest(self) -> str:
        """SHA-256 of contents, labels, splits, class names and preprocessing; the same on every machine.

        A preprocessing function counts with the source of its module.
        """
        return self._manifest

    @cached_property
    def _manifest(self) -> str:
        head = {"format": 1, "task": self.task, "class_names": self.class_names, "preprocessing": self.preprocessing}
        if self.settings.is_function:
            head["source"] = source_of(self.settings.preprocess)
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for split in self._splits():
            lines = "\n".join(split.fingerprints())
            digest.update(f"\n{split.name} {len(split)}\n{lines}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _splits(self) -> Iterator[Split]:
        return (split for split in (self.train, self.validation, self.test) if split is not None)


def task_of(labels: Array) -> str:
    """Whole numbers, one for each sample: "classification"; several: "multi-label"; others: "regression"; a field for
    each output: "multi-output".

    >>> task_of(np.array([0, 2])), task_of(np.array([[0, 1], [1, 1]])), task_of(np.array([0.5, 2.0]))
    ('classification', 'multi-label', 'regression')
    """
    if labels.dtype.names:
        return "multi-output"
    if labels.dtype.kind == "f":
        return "regression"
    return "classification" if labels.ndim == 1 else "multi-label"


def assemble(
    *,
    name: str,
    sources: Mapping[str, tuple[Source, Array | None]],
    settings: Preprocessing,
    class_names: tuple[str, ...] | None,
) -> Dataset:
    """The data set of these splits, each as (samples, labels or None); what is kept in memory is decoded."""
    splits = {part: Split(part, *sources[part], settings) for part in SPLITS if part in sources}
    for split in splits.values():
        split.check()
    return Dataset(
        name=name,
        settings=settings,
        inputs=next(iter(splits.values())).inputs,
        class_names=class_names,
        train=splits.get("train"),
        validation=splits.get("validation"),
        test=splits.get("test"),
    )
