# SPDX-License-Identifier: Apache-2.0
"""Experiments that no recipe makes, because nobody should ship what they make: each shows what one mistake costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from lowbit.compare import evaluate
from lowbit.compare.dataset import labelled_split, open_data
from lowbit.compare.jobs.opening import feed, open_model, start
from lowbit.data import Dataset
from lowbit.engines import JobContext
from lowbit.export import export
from lowbit.simulation import quantize_model
from lowbit.spec import Rule
from lowbit.training import fit, reestimate_batch_norm, unfreeze

CALIBRATION_SAMPLES = 256
BATCH = 32


def stale_statistics(
    context: JobContext,
    *,
    manifest: str,
    model_sha256: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    data: Mapping[str, Any],
    model: str,
) -> dict[str, Any]:
    """Fine-tune every layer as plain Keras does; accuracy before, after, and with batch-norm statistics measured anew.

    `model` is the path of a float model whose base was frozen. The weights of the last two are the same.
    """
    start(seed)
    dataset, tuned = open_data(data), open_model(Path(model))
    found = {"before": _share(evaluate(tuned, dataset))}
    unfreeze(tuned)
    train = feed(labelled_split(dataset, "train").batches(BATCH, shuffle=True, seed=seed), tuned)
    fit(tuned, train, None, epochs=epochs, learning_rate=learning_rate, batch_norm="train", seed=seed)
    found["stale"] = _share(evaluate(tuned, dataset))
    reestimate_batch_norm(tuned, feed(labelled_split(dataset, "train").batches(BATCH), tuned))
    found["measured"] = _share(evaluate(tuned, dataset))
    return found


def one_scale(
    context: JobContext,
    *,
    manifest: str,
    model_sha256: str,
    specs: Sequence[str],
    seed: int,
    data: Mapping[str, Any],
    model: str,
) -> dict[str, Any]:
    """Files of one float model with a scale for each channel of a weight, and with one scale for the whole weight."""
    start(seed)
    dataset, trained = open_data(data), open_model(Path(model))
    found = {"float": _share(evaluate(trained, dataset))}
    for spec in specs:
        for name, rules in (("channel", ()), ("tensor", (Rule(match="*", per_channel=False),))):
            path = context.staging / f"{spec}-{name}.tflite"
            _write(trained, path, dataset, spec, rules)
            found[f"{spec}-{name}"] = _share(evaluate(path, dataset)) | {"size_bytes": path.stat().st_size}
    return found


def _write(model: keras.Model, path: Path, dataset: Dataset, spec: str, rules: Sequence[Rule]) -> None:
    batches = feed(dataset.calibration(CALIBRATION_SAMPLES).batches(BATCH), model)
    export(quantize_model(model, spec, rules=rules, calibration=batches), path)


def _share(evaluation: Any) -> dict[str, Any]:
    """Right answers of all, and the 95 % interval of their share."""
    return {"correct": evaluation.correct, "total": evaluation.total, "ci95": list(evaluation.ci95)}
