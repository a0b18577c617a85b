# SPDX-License-Identifier: Apache-2.0
"""Right answers counted as they come in, so that a split of any size needs no more memory than a portion of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowbit.compare.several import check_labels, task_for
from lowbit.compare.statistics import top1, wilson
from lowbit.compare.tasks import Classification, Task
from lowbit.data import Dataset
from lowbit.results import Metric

TOP_K = 5
_ONLY = ""  # the name of a single output


class Tally:
    """Counts for a classifier: right answers, right ones among the first five, and the confusion matrix."""

    def __init__(self) -> None:
        self.total = self.correct = self._among_first = 0
        self._confusion = np.zeros((0, 0), np.int64)
        self._single: list[tuple[np.ndarray, np.ndarray]] = []  # one unit: its threshold is known at the end only

    def add(self, outputs: Any, labels: np.ndarray) -> None:
        """Raises UnsupportedError for outputs of another kind, InputError for labels that the model does not know."""
        if not isinstance(outputs, Mapping | list):
            check_labels(np.asarray(outputs), labels, Classification.name)
        self.total += len(labels)
        if np.ndim(outputs) == 2 and np.shape(outputs)[1] == 1:
            self._single.append((np.asarray(outputs), labels))
        else:
            self._count(Classification().answers(outputs), labels)

    def metrics(self) -> dict[str, Metric]:
        """Of all that came; no more comes."""
        if self._single:
            outputs, labels = (np.concatenate(parts) for parts in zip(*self._single, strict=True))
            self._single = []
            self._count(Classification().answers(outputs), labels)
        interval = wilson(self.correct, self.total)
        share = self.correct / self.total
        return {"accuracy": Metric(value=share, ci95=interval, correct=self.correct, total=self.total)}

    @property
    def confusion(self) -> np.ndarray:
        """Samples by label (rows) and answer (columns)."""
        return self._confusion

    @property
    def top_k(self) -> float | None:
        """Share of samples whose label is among the five best answers; None for so few classes."""
        return self._among_first / self.total if self.total and len(self._confusion) > TOP_K else None

    def _count(self, values: np.ndarray, labels: np.ndarray) -> None:
        classes = max(values.shape[1], len(self._confusion))
        if len(self._confusion) < classes:
            self._confusion = np.zeros((classes, classes), np.int64)
        answers = top1(values)
        np.add.at(self._confusion, (labels, answers), 1)
        self.correct = int(np.trace(self._confusion))
        if classes > TOP_K:
            own = np.take_along_axis(values, labels[:, np.newaxis], axis=1)
            self._among_first += int(np.sum((values > own).sum(axis=1) < TOP_K))


class Kept:
    """Answers and labels of another task than classification, kept to the end: a few numbers for each sample."""

    def __init__(self, task: Task) -> None:
        self.total = 0
        self._task = task
        self._kept: list[tuple[dict[str, np.ndarray], np.ndarray]] = []

    def add(self, outputs: Any, labels: np.ndarray) -> None:
        """Raises UnsupportedError for outputs of another kind, InputError for labels of another shape."""
        named = dict(outputs) if isinstance(outputs, Mapping) else {_ONLY: np.asarray(outputs, np.float32)}
        if _ONLY in named and labels.dtype.names is None:
            check_labels(named[_ONLY], labels, self._task.name)
        self.total += len(labels)
        self._kept.append((named, labels))

    def metrics(self) -> dict[str, Metric]:
        parts = [named for named, _ in self._kept]
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        labels = np.concatenate([one for _, one in self._kept])
        return self._task.metrics(self._task.answers(outputs.get(_ONLY, outputs)), labels)


def tally_for(dataset: Dataset) -> Tally | Kept:
    """What counts for the labels of a data set."""
    return Tally() if dataset.task == Classification.name else Kept(task_for(dataset.task, dataset.tasks))
