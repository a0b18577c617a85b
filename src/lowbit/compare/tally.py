# SPDX-License-Identifier: Apache-2.0
"""Right answers counted as they come in, so that a split of any size needs no more memory than a portion of it."""

from typing import Any

import numpy as np

from lowbit.compare.statistics import top1, wilson
from lowbit.compare.tasks import TASKS, Classification, Task
from lowbit.errors import InputError
from lowbit.results import Metric

TOP_K = 5


class Tally:
    """Counts for a classifier: right answers, right ones among the first five, and the confusion matrix."""

    def __init__(self) -> None:
        self.total = self.correct = self._among_first = 0
        self._confusion = np.zeros((0, 0), np.int64)
        self._single: list[tuple[np.ndarray, np.ndarray]] = []  # one unit: its threshold is known at the end only

    def add(self, outputs: Any, labels: np.ndarray) -> None:
        """Raises UnsupportedError for outputs of another kind, InputError for labels that the model does not know."""
        _check_labels(outputs, labels)
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
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, outputs: Any, labels: np.ndarray) -> None:
        """Raises UnsupportedError for outputs of another kind, InputError for labels of another shape."""
        shape = np.shape(outputs)
        if len(shape) > 1 and int(np.prod(shape[1:])) != int(np.prod(labels.shape[1:])):
            raise InputError(
                received=f"labels of shape {labels.shape[1:]} for outputs of shape {shape[1:]}",
                expected="a label for each number that the model gives",
                mend="use the data that the model was trained on",
            )
        self.total += len(labels)
        self._kept.append((np.asarray(outputs, np.float32), labels))

    def metrics(self) -> dict[str, Metric]:
        outputs, labels = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
        return self._task.metrics(self._task.answers(outputs), labels)


def tally_for(task: str) -> Tally | Kept:
    """What counts for a task, by its name."""
    return Tally() if task == Classification.name else Kept(TASKS[task])


def _check_labels(outputs: Any, labels: np.ndarray) -> None:
    """Labels of which the model knows nothing are other data, not wrong answers. One unit decides by its sign."""
    shape: tuple[int, ...] = () if isinstance(outputs, dict | list) else np.shape(outputs)
    if len(shape) == 2 and shape[1] > 1 and len(labels) and int(labels.max()) >= shape[1]:
        raise InputError(
            received=f"label {int(labels.max())}",
            expected=f"labels 0..{shape[1] - 1} for {shape[1]} outputs",
            mend="use data with the classes that the model was trained on",
        )
