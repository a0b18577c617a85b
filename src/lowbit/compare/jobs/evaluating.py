# SPDX-License-Identifier: Apache-2.0
"""Outputs of a model over the validation and test splits, kept for every comparison made of them later."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lowbit import records
from lowbit.compare.dataset import open_data
from lowbit.compare.jobs.opening import feed, open_model, start
from lowbit.compare.named_metrics import NamedMetrics
from lowbit.compare.outputs import SPLITS, save_outputs
from lowbit.compare.several import task_for
from lowbit.engines import JobContext
from lowbit.outputs import named
from lowbit.runtime import predict as predict_file
from lowbit.training import predict as predict_keras


def evaluate_keras(
    context: JobContext,
    *,
    source: str,
    output: str,
    metrics: Sequence[str],
    manifest: str,
    data: Mapping[str, Any],
    function: str | None,
) -> dict[str, Any]:
    """Predict with Keras; simulations predict in the integers of their file."""
    start(0)
    model = open_model(context.input(source), function)

    def predict(batches: Any) -> tuple[Any, Any]:
        outputs, labels = predict_keras(model, feed(batches, model))
        return named(outputs, model), labels

    return _evaluate(context, output, data, metrics, predict)


def evaluate_file(
    context: JobContext, *, source: str, output: str, metrics: Sequence[str], manifest: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Predict with LiteRT on all cores."""
    path = context.input(source)

    def predict(batches: Any) -> tuple[Any, Any]:
        prediction = predict_file(path, batches)
        return prediction.outputs, prediction.labels

    return _evaluate(context, output, data, metrics, predict)


def _evaluate(
    context: JobContext,
    output: str,
    data: Mapping[str, Any],
    metrics: Sequence[str],
    predict: Callable[[Any], tuple[Any, Any]],
) -> dict[str, Any]:
    """Write answers and labels of both splits; returns the metrics of each, and the seconds it took."""
    dataset = open_data(data)
    task = task_for(dataset.task, dataset.tasks)
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    value: dict[str, Any] = {}
    started = time.perf_counter()
    for split in SPLITS:
        raw, labels = predict(dataset.split(split).batches(64))
        answers, labels = task.answers(raw), np.asarray(labels)
        arrays[split] = answers, labels
        further = NamedMetrics(metrics, dataset)
        further.add(raw, labels)
        found = further.beside(task.metrics(answers, labels))
        value[split] = {name: records.encode(metric) for name, metric in found.items()}
    value["seconds"] = round(time.perf_counter() - started, 3)
    save_outputs(context.output(output), arrays)
    return value
