# SPDX-License-Identifier: Apache-2.0
"""One model, one data set: how many answers are right. One file: how fast it is.

A `.tflite` needs NumPy and LiteRT only; keras is imported when a Keras model is evaluated.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lowbit import runtime
from lowbit.card import Card, read_card
from lowbit.compare.dataset import labelled_split
from lowbit.compare.keras_latency import measure_keras_file
from lowbit.compare.named_metrics import NamedMetrics
from lowbit.compare.preprocessing import holds_arrays, not_told, told_preprocessing
from lowbit.compare.tally import Tally, tally_for
from lowbit.data import Dataset, load_dataset, rename_inputs
from lowbit.data.options import image_size_of
from lowbit.errors import InputError
from lowbit.functions import is_function_word
from lowbit.outputs import named
from lowbit.results import LatencyResult, Metric

BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """`accuracy` is a fraction 0..1 with its 95 % interval; `seconds` is the time for all samples, reading included.

    For labels that are no classes (`task`) it and what belongs to it are None, and `metrics` has what there is.
    `top5` is the share of samples whose label is among the five best answers, None for five classes and fewer;
    `confusion` counts samples by label (rows) and answer. `is_partial`: it was interrupted, and is about the first
    `total` samples.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("class_accuracy",)

    accuracy: float | None
    ci95: tuple[float, float] | None
    correct: int | None
    total: int
    split: str
    seconds: float
    samples_per_second: float
    threads: int | None = None
    top5: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    class_names: tuple[str, ...] | None = None
    is_partial: bool = False
    task: str = "classification"
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    @property
    def class_accuracy(self) -> tuple[float | None, ...]:
        """Share of right answers by label; None for a class without a sample."""
        return tuple(row[number] / sum(row) if sum(row) else None for number, row in enumerate(self.confusion))


def evaluate(
    model: Any,
    data: str | os.PathLike[str] | Dataset,
    *,
    split: str = "test",
    threads: int | None = None,
    preprocess: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    seed: int = 0,
    metrics: Sequence[str] = (),
    on_progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Accuracy of a model on a split. Samples of a `.tflite` are read while others are answered, and then forgotten.

    An interruption (Ctrl-C) after the first answers ends it with what there is, `is_partial`.

    Args:
        model: path of a `.tflite`, `.keras` or `.h5`, or a Keras model (a simulation too).
        data: a data word, loaded as the model's card says, or a Dataset, used as it is.
        threads: interpreters at work on a `.tflite`; all cores when None.
        preprocess, image_size: override the card; without a card the file's own shape gives the size.
        metrics: further ones, of Keras, by their names: "AUC", "top_k_categorical_accuracy", "<output>.AUC".
        on_progress: called with the numbers of samples answered and in all.

    Raises:
        InputError: data without labels, or that does not fit the model; no card and no `preprocess`; a metric that
            there is not, or that does not fit the data.
        FileFormatError: an unusable file.
    """
    if not isinstance(model, str | os.PathLike):
        told = {"preprocess": preprocess, "image_size": image_size}
        return _of_keras(model, _dataset(data, told, seed), split, metrics, on_progress)
    path = Path(model)
    if path.suffix.lower() != ".tflite":
        loaded = importlib.import_module("lowbit.compare.keras_model").open_keras(path)
        shapes = [tuple(tensor.shape[1:]) for tensor in loaded.inputs]
        dataset = _fitting(path, data, shapes, preprocess, image_size, seed)
        return _of_keras(loaded, dataset, split, metrics, on_progress)
    runtime.check_file(path)
    shapes = [end.shape[1:] for end in runtime.Runner.open(path).inputs]
    dataset = _fitting(path, data, shapes, preprocess, image_size, seed)
    return _of_file(path, dataset, split, threads, metrics, on_progress)


def benchmark(
    path: str | os.PathLike[str], *, threads: int = 1, runs: int | None = None, warmup: int | None = None
) -> LatencyResult:
    """Latency of one sample in a clean process, of a `.tflite` by LiteRT, of a `.keras` or `.h5` by Keras.

    `runs` and `warmup` default to enough of them for a steady figure. Raises FileFormatError for an unusable file.
    """
    if Path(path).suffix.lower() in (".keras", ".h5"):
        return measure_keras_file(path, threads=threads, runs=runs, warmup=warmup).latency
    return runtime.measure(path, threads=threads, runs=runs, warmup=warmup).latency


def _of_file(
    path: Path,
    dataset: Dataset,
    split: str,
    threads: int | None,
    metrics: Sequence[str],
    on_progress: Callable[[int, int], Any] | None,
) -> Evaluation:
    stream = runtime.Stream(path, _labelled(dataset, split), threads=threads)
    answered = (
        (portion.outputs if len(portion.outputs) > 1 else next(iter(portion.outputs.values())), portion.labels)
        for portion in stream
    )
    return _evaluation(answered, dataset, split, metrics, on_progress, lambda: stream.threads)


def _of_keras(
    model: Any, dataset: Dataset, split: str, metrics: Sequence[str], on_progress: Callable[[int, int], Any] | None
) -> Evaluation:
    # keras, which evaluating a `.tflite` must not load
    predictions = importlib.import_module("lowbit.training").predictions
    batches = _labelled(dataset, split, [tensor.name for tensor in model.inputs])
    answered = ((named(outputs, model), labels) for outputs, labels in predictions(model, batches))
    return _evaluation(answered, dataset, split, metrics, on_progress)


def _labelled(dataset: Dataset, split: str, names: list[str] | None = None) -> Any:
    batches = labelled_split(dataset, split).batches(BATCH_SIZE)
    return batches if names is None else rename_inputs(batches, names)


def _evaluation(
    answered: Iterable[tuple[Any, Any]],
    dataset: Dataset,
    split: str,
    metrics: Sequence[str],
    on_progress: Callable[[int, int], Any] | None,
    threads: Callable[[], int | None] = lambda: None,
) -> Evaluation:
    """Of outputs and labels as they come in."""
    tally, further = tally_for(dataset), NamedMetrics(metrics, dataset)
    count, started, is_partial = len(dataset.split(split)), time.perf_counter(), False
    try:
        for outputs, labels in answered:
            tally.add(outputs, np.asarray(labels))
            further.add(outputs, np.asarray(labels))
            if on_progress is not None:
                on_progress(tally.total, count)
    except KeyboardInterrupt:
        if not tally.total:
            raise
        is_partial = tally.total < count
    if not tally.total:
        raise InputError(
            received=f"split {split} without a sample", expected="at least one", mend="choose another split"
        )
    seconds = time.perf_counter() - started
    found = further.beside(tally.metrics())
    accuracy = found.get("accuracy")
    return Evaluation(
        accuracy=None if accuracy is None else accuracy.value,
        ci95=None if accuracy is None else accuracy.ci95,
        correct=None if accuracy is None else accuracy.correct,
        total=tally.total,
        split=split,
        seconds=seconds,
        samples_per_second=tally.total / seconds,
        threads=threads(),
        top5=tally.top_k if isinstance(tally, Tally) else None,
        confusion=tuple(tuple(row) for row in tally.confusion.tolist()) if isinstance(tally, Tally) else (),
        class_names=dataset.class_names,
        is_partial=is_partial,
        task=dataset.task,
        metrics=found,
    )


def _fitting(
    path: Path,
    data: str | os.PathLike[str] | Dataset,
    shapes: list[tuple[int | None, ...]],
    preprocess: str | None,
    image_size: int | tuple[int, int] | None,
    seed: int,
) -> Dataset:
    """The data set as the model in `path` takes it, its class names checked against the card's."""
    card = read_card(path)
    if isinstance(data, Dataset):
        _check_class_names(card, data)
        return data
    told = told_preprocessing(path, card, shapes, preprocess=preprocess, image_size=image_size)
    if told.get("preprocess") is None and not holds_arrays(os.fspath(data)):
        raise not_told(path, card)
    _check_image_size(told, shapes)
    dataset = _dataset(data, told, seed)
    _check_class_names(card, dataset)
    return dataset


def _check_image_size(told: dict[str, Any], shapes: list[tuple[int | None, ...]]) -> None:
    """Refuse a size that the file does not take before an image is decoded; a user's function may change sizes."""
    size = image_size_of(told.get("image_size"))
    if size is None or len(shapes) != 1 or len(shapes[0]) != 3 or is_function_word(told.get("preprocess") or ""):
        return
    wanted = shapes[0][:2]
    if any(side not in (None, asked) for side, asked in zip(wanted, size)):
        raise InputError(
            received=f"image size {size[0]}x{size[1]}",
            expected=f"the size that the model takes, {wanted[0]}x{wanted[1]}",
            mend="leave --image-size out, or pass that size",
        )


def _dataset(data: str | os.PathLike[str] | Dataset, told: dict[str, Any], seed: int) -> Dataset:
    return data if isinstance(data, Dataset) else load_dataset(data, seed=seed, keep=False, **told)


def _check_class_names(card: Card | None, dataset: Dataset) -> None:
    if card is None or card.class_names is None or dataset.class_names is None:
        return
    if tuple(card.class_names) != tuple(dataset.class_names):
        pairs = zip(card.class_names, dataset.class_names)
        place = next((f"class {n} is {b!r}, not {a!r}" for n, (a, b) in enumerate(pairs) if a != b), "another number")
        raise InputError(
            received=f"data {dataset.name!r} of other classes: {place}",
            expected=f"the model's classes, in this order: {', '.join(card.class_names)}",
            mend="use data with the classes that the model was trained on, or order them in a classes.txt",
        )
