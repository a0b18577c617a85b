# SPDX-License-Identifier: Apache-2.0
"""The front door's `evaluate` and `benchmark` agree with the run that wrote the files."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import lowbit
from lowbit.compare import Comparison
from lowbit.compare.tasks import Classification
from lowbit.errors import FileFormatError, InputError, UnsupportedError


@pytest.mark.parametrize("recipe", ["float32", "ptq-w8a8", "keras-float32", "keras-qat-w8a8"])
def test_a_file_evaluates_as_in_its_run(finished: Comparison, recipe: str) -> None:
    row = finished.results.row(recipe)
    found = lowbit.evaluate(finished.folder / str(row.file), "digits")
    assert (found.accuracy, found.total, found.split) == (row.accuracy, 899, "test")
    assert found.ci95 == row.metrics["accuracy"].ci95 and found.samples_per_second > 0


def test_h5_and_models_in_memory_and_other_splits(finished: Comparison) -> None:
    row = finished.results.row("keras-float32")
    models = finished.folder / "models"
    assert lowbit.evaluate(models / "keras-float32.h5", "digits").accuracy == row.accuracy
    model = keras.saving.load_model(models / "keras-float32.keras")
    found = lowbit.evaluate(model, lowbit.load_dataset("digits"), split="validation")
    assert found.accuracy == row.metrics["validation_accuracy"].value


def test_evaluating_a_tflite_loads_neither_keras_nor_tensorflow(finished: Comparison) -> None:
    path = finished.folder / "models" / "ptq-w8a8.tflite"
    program = (
        "import json, sys, lowbit; found = lowbit.evaluate(sys.argv[1], 'digits', threads=1);"
        "ms = lowbit.benchmark(sys.argv[1], runs=5).median;"
        "print(json.dumps([found.accuracy, ms > 0, [m for m in ('keras', 'tensorflow') if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [finished.results.row("ptq-w8a8").accuracy, True, []]


def test_an_interruption_leaves_what_there_is(finished: Comparison) -> None:
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if done > 300:
            raise KeyboardInterrupt

    path = finished.folder / "models" / "ptq-w8a8.tflite"
    for name in ("keras-float32.keras", path.name):
        found = lowbit.evaluate(path.with_name(name), "digits", on_progress=interrupt)
        assert found.is_partial and 300 < found.total == seen[-1] < 899
    whole = lowbit.evaluate(path, "digits")
    assert not whole.is_partial and sum(map(sum, whole.confusion)) == 899
    assert whole.correct == sum(row[number] for number, row in enumerate(whole.confusion))
    assert whole.top5 is not None and whole.accuracy < whole.top5 <= 1


def test_a_metric_that_is_measured_anyway_stays_as_it_is(finished: Comparison) -> None:
    path = finished.folder / "models" / "ptq-w8a8.tflite"
    plain, asked = lowbit.evaluate(path, "digits"), lowbit.evaluate(path, "digits", metrics=["accuracy"])
    assert asked.metrics == plain.metrics and asked.ci95 is not None


def test_keras_files_are_timed_too(finished: Comparison) -> None:
    latency = lowbit.benchmark(finished.folder / "models" / "keras-float32.keras", runs=5, warmup=2)
    assert latency.runs == 5 and latency.threads == 1 and 0 < latency.p10 <= latency.median <= latency.p90


def test_what_cannot_be_evaluated(finished: Comparison, tmp_path: Path) -> None:
    source = finished.folder / "models" / "float32.tflite"
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(source.read_bytes())
    with pytest.raises(InputError, match="bare.tflite' without a card.*pass --preprocess"):
        lowbit.evaluate(bare, "digits")
    assert lowbit.evaluate(bare, "digits", preprocess="0..1").total == 899
    bare.write_bytes(source.read_bytes()[:999])
    with pytest.raises(FileFormatError, match="bare.tflite"):
        lowbit.evaluate(bare, "digits", preprocess="0..1")
    np.savez(tmp_path / "three.npz", x=np.zeros((30, 8, 8, 1), np.float32), y=np.array(["a", "b", "c"] * 10))
    with pytest.raises(InputError, match="class"):
        lowbit.evaluate(source, str(tmp_path / "three.npz"))
    with pytest.raises(InputError, match="threads"):
        lowbit.benchmark(finished.folder / "models" / "keras-float32.keras", threads=0)


def test_scores_of_one_unit_and_of_outputs_that_are_none() -> None:
    scores = Classification().answers
    assert scores(np.array([[0.4], [0.6]])).argmax(axis=1).tolist() == [0, 1]
    assert scores(np.array([[-2.0], [0.3]])).argmax(axis=1).tolist() == [0, 1]  # logits: 0 is the border
    with pytest.raises(UnsupportedError, match="outputs of shape .2, 3, 4."):
        scores(np.zeros((2, 3, 4)))
    with pytest.raises(UnsupportedError, match="a model with 2 outputs"):
        scores({"a": np.zeros((1, 2)), "b": np.zeros((1, 2))})
    with pytest.raises(InputError, match="NaN or infinite outputs for 1 of 2 samples"):
        scores(np.array([[1.0, 2.0], [np.nan, 0.0]]))
