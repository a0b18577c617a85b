# SPDX-License-Identifier: Apache-2.0
"""Models of several outputs, each with a task of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from lowbit.compare.tasks import TASKS, Array, Difference, Task
from lowbit.data.dataset import task_of
from lowbit.errors import InputError, UnsupportedError
from lowbit.outputs import match
from lowbit.results import Metric


class MultiOutput:
    """Answers and labels in arrays with a field for each output, by the labels' names.

    A metric is called `<output>.<metric>`; the primary one is that of the first output. A difference is that of the
    output with the worst bound: where that is within a limit, each output is, with the same confidence.
    """

    name: ClassVar[str] = "multi-output"

    def __init__(self, tasks: Mapping[str, str]) -> None:
        self._tasks = {name: TASKS[task] for name, task in tasks.items()}

    @property
    def primary(self) -> str:
        return self.shown[0]

    @property
    def shown(self) -> tuple[str, ...]:
        """The primary metric of each output."""
        return tuple(f"{name}.{task.primary}" for name, task in self._tasks.items())

    def answers(self, outputs: Any) -> Array:
        """Outputs by name, in fields by the labels' names."""
        if not isinstance(outputs, Mapping):
            raise UnsupportedError(
                received="a model with one output",
                expected=f"an output for each of the labels {', '.join(self._tasks)}",
                mend="use data with one label for each sample",
            )
        named = match(self._tasks, outputs)
        found = {name: task.answers(outputs[named[name]]) for name, task in self._tasks.items()}
        fields = [(name, values.dtype, values.shape[1:]) for name, values in found.items()]
        joined = np.zeros(len(next(iter(found.values()))), fields)
        for name, values in found.items():
            joined[name] = values
        return joined

    def metrics(self, answers: Array, labels: Array) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for name, task in self._tasks.items():
            check_labels(answers[name], labels[name], task.name, name)
            found |= {f"{name}.{one}": metric for one, metric in task.metrics(answers[name], labels[name]).items()}
        return {one: found[one] for one in (*self.shown, *found)}  # the primary ones first

    def difference(self, reference: Array, other: Array, labels: Array) -> Difference:
        each = {
            name: task.difference(reference[name], other[name], labels[name]) for name, task in self._tasks.items()
        }
        worst = max(each, key=lambda name: each[name].upper)
        agreements = [one.agreement for one in each.values() if one.agreement is not None]
        return replace(each[worst], output=worst, agreement=min(agreements, default=None))


def task_for(task: str, tasks: Mapping[str, str] | None = None) -> Task:
    """The task of that name; `tasks` has those of the outputs where there are several."""
    return MultiOutput(tasks) if tasks else TASKS[task]


def task_of_labels(labels: Array) -> Task:
    """The task that labels are for."""
    return task_for(task_of(labels), {name: task_of(labels[name]) for name in labels.dtype.names or ()})


def check_labels(outputs: Array, labels: Array, task: str, name: str | None = None) -> None:
    """Labels of which the model knows nothing are other data, not wrong answers: raises InputError. One unit decides
    between two classes."""
    of_output = "" if name is None else f" of the output {name!r}"
    units = int(np.prod(outputs.shape[1:]))
    if task == "classification":
        known = max(units, 2)
        if outputs.ndim == 2 and len(labels) and int(labels.max()) >= known:
            raise InputError(
                received=f"label {int(labels.max())}{of_output}",
                expected=f"labels 0..{known - 1} for {'one output' if units == 1 else f'{units} outputs'}",
                mend="use data with the classes that the model was trained on",
            )
    elif outputs.ndim > 1 and units != int(np.prod(labels.shape[1:])):
        raise InputError(
            received=f"labels of shape {labels.shape[1:]}{of_output} for outputs of shape {outputs.shape[1:]}",
            expected="a label for each number that the model gives",
            mend="use the data that the model was trained on",
        )
