# SPDX-License-Identifier: Apache-2.0
"""Any metric of Keras by its name, for the answers of Keras models and of files. Loads keras when one is asked for."""

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowbit.data import Dataset
from lowbit.data.names import closest
from lowbit.errors import InputError
from lowbit.outputs import match
from lowbit.results import Metric

Array = np.ndarray

BATCH_SIZE = 1024
_ONLY = ""  # the name of a single output
_OF_CLASSES = re.compile("categorical")
_OF_NUMBERS = re.compile("error|logcosh|r2score|poisson|huber")
_OF_UNITS = re.compile("binary|auc|precision|recall|f1|fbeta|positives|negatives|sensitivity|specificity|hinge|iou")
_OF_NOTHING = {"mean", "sum", "meanmetricwrapper", "metric"}  # they take values, no answers and labels
_OF_EQUALS = {"accuracy", "acc"}  # Keras takes another metric in their place when it compiles a model
_LOWER = re.compile("error|crossentropy|divergence|hinge|poisson|logcosh|huber|falsepositives|falsenegatives")
_SHARE = re.compile("accuracy|auc|precision|recall|f1|fbeta|iou|sensitivity|specificity")


def check_metrics(names: Sequence[str], tasks: Mapping[str, str], units: Mapping[str, int]) -> None:
    """Raises InputError for a name that no metric of Keras has, and for one that does not fit the task.

    `tasks` and `units` (numbers for each sample) are by output; a single output's name is "". A metric of several is
    `<output>.<metric>`.
    """
    for name in names:
        output, metric = _parts(name, tasks)
        rng = np.random.default_rng(0)
        count, task = units[output], tasks[output]
        outputs = rng.uniform(0.1, 0.9, (4, count)).astype(np.float32)
        labels = np.arange(4) % max(2, count) if task == "classification" else rng.integers(0, 2, (4, count))
        _refuse_other_task(name, metric, task, count)
        try:
            value = _value(metric, task, outputs, labels.astype(np.float32) if task == "regression" else labels)
        except (ValueError, TypeError, AssertionError) as error:
            raise _refused(name, task, str(error).splitlines()[0]) from error
        if not np.isfinite(value):
            raise _refused(name, task, f"it gives {value}")


class NamedMetrics:
    """Metrics of these names over all samples, whose outputs it keeps.

    Logits are made probabilities first: by softmax where a sample's values are not in 0..1 or do not sum up to 1, by
    sigmoid where each unit decides for itself. Classes become one-hot vectors for a metric that takes such. Of one
    figure for each class it is the mean.
    """

    def __init__(self, names: Sequence[str], dataset: Dataset) -> None:
        self._names = tuple(names)
        self._tasks = dataset.tasks or {_ONLY: dataset.task}
        self._kept: list[tuple[dict[str, Array], Array]] = []
        if self._names:
            importlib.import_module("keras")  # now, as seconds are counted from the first sample on

    def add(self, outputs: Any, labels: Array) -> None:
        """Some samples, with the model's own outputs, a dict where there are several. Raises what `check_metrics`
        does."""
        if not self._names:
            return
        named = {_ONLY: outputs}
        if _ONLY not in self._tasks:
            named = {name: outputs[output] for name, output in match(self._tasks, outputs).items()}
        parts = {name: np.asarray(values, np.float32).reshape(len(values), -1) for name, values in named.items()}
        if not self._kept:
            check_metrics(self._names, self._tasks, {name: values.shape[1] for name, values in parts.items()})
        self._kept.append((parts, labels))

    def beside(self, measured: Mapping[str, Metric]) -> dict[str, Metric]:
        """What was measured anyway, and then these; one of a name that was measured anyway stays as it is."""
        return {**measured, **{name: self._metric(name) for name in self._names if name not in measured}}

    def _metric(self, name: str) -> Metric:
        output, metric = _parts(name, self._tasks)
        outputs = np.concatenate([parts[output] for parts, _ in self._kept])
        labels = np.concatenate([labels[output] if output else labels for _, labels in self._kept])
        plain = metric.replace("_", "").lower()
        return Metric(
            value=_value(metric, self._tasks[output], outputs, labels),
            direction="lower" if _LOWER.search(plain) else "higher",
            unit="fraction" if _SHARE.search(plain) else "",
            total=len(labels),
        )


def _parts(name: str, tasks: Mapping[str, str]) -> tuple[str, str]:
    """The output and the metric."""
    output, _, metric = name.rpartition(".")
    if output not in tasks:
        raise InputError(
            received=f"metric {name!r}",
            expected=f"<output>.<metric>, of the outputs {', '.join(tasks)}" if "" not in tasks else "a metric's name",
            mend=f"for example {next(iter(tasks))}.{metric}" if "" not in tasks else f"pass --metric {metric}",
        )
    return output, metric


def _value(metric: str, task: str, outputs: Array, labels: Array) -> float:
    keras = importlib.import_module("keras")
    if task == "classification":
        outputs = _probabilities(outputs, softmax=outputs.shape[1] > 1)
        if outputs.shape[1] > 1 and not metric.lower().startswith("sparse"):
            labels = np.eye(outputs.shape[1], dtype=np.float32)[labels]
    elif task == "multi-label":
        outputs = _probabilities(outputs, softmax=False)
    if not metric.lower().startswith("sparse"):
        labels = labels.reshape(len(labels), -1).astype(np.float32)
    counter = _metric(keras, metric)
    for start in range(0, len(outputs), BATCH_SIZE):
        counter.update_state(labels[start : start + BATCH_SIZE], outputs[start : start + BATCH_SIZE])
    return float(np.mean(keras.ops.convert_to_numpy(counter.result())))


def _metric(keras: Any, name: str) -> Any:
    """A fresh metric; a function of (labels, answers) is averaged over samples."""
    try:
        found = keras.metrics.get(name)
    except TypeError as error:
        raise InputError(
            received=f"metric {name!r}, which needs settings",
            expected="a metric of Keras that its name alone makes",
            mend="choose another, such as AUC or F1Score",
        ) from error
    except ValueError as error:
        known = [one for one in dir(keras.metrics) if one[0].isupper()]
        raise InputError(
            received=f"metric {name!r}",
            expected="the name of a metric of Keras, such as AUC, F1Score or MeanSquaredError",
            mend=closest(name, known) + "see keras.io/api/metrics",
        ) from error
    return found if isinstance(found, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(found, name=name)


def _probabilities(values: Array, *, softmax: bool) -> Array:
    inside = bool((values >= 0).all() and (values <= 1).all())
    if not softmax:
        return values if inside else 1 / (1 + np.exp(-values))
    if inside and np.allclose(values.sum(axis=1), 1, atol=0.05):  # int8 outputs sum up to nearly 1
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _refuse_other_task(name: str, metric: str, task: str, units: int) -> None:
    plain = metric.replace("_", "").lower()
    if plain in _OF_NOTHING:
        raise _refused(name, task, "it takes values, not answers and labels")
    if plain in _OF_EQUALS and (metric, task) != ("accuracy", "classification"):
        raise _refused(name, task, "it counts answers that equal the label to the last digit")
    if _OF_CLASSES.search(plain) and (task != "classification" or units < 2):
        raise _refused(name, task, "it is for one of several classes, each with a unit")
    if _OF_NUMBERS.search(plain) and task != "regression":
        raise _refused(name, task, "it is for numbers to estimate")
    if _OF_UNITS.search(plain) and task == "regression":
        raise _refused(name, task, "it is for classes")
    if "binary" in plain and task == "classification" and units > 1:
        raise _refused(name, task, "it is for units that decide for themselves")


def _refused(name: str, task: str, why: str) -> InputError:
    return InputError(
        received=f"metric {name!r} for {task}: {why}",
        expected="a metric that fits the data",
        mend={
            "classification": "for example SparseTopKCategoricalAccuracy, AUC or F1Score",
            "multi-label": "for example AUC, Precision or BinaryAccuracy",
            "regression": "for example MeanSquaredError, R2Score or LogCoshError",
        }[task],
    )
