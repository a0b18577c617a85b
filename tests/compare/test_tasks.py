# SPDX-License-Identifier: Apache-2.0
"""Other tasks than one class of several: judged by hand, and through the main job."""

from pathlib import Path

import keras
import numpy as np
import pytest

import lowbit
from lowbit.compare import compare
from lowbit.compare.tasks import TASKS, MultiLabel, Regression
from lowbit.data.array_words import from_words
from lowbit.data.dataset import task_of
from lowbit.data.options import Options
from lowbit.errors import InputError, UnsupportedError

RECIPES = "float32,ptq-w8a8"


def test_numbers_by_hand() -> None:
    task, labels = Regression(), np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    exact, off = np.array([[1.0], [2.0], [3.0], [5.0]], np.float32), np.array([[1.5], [2.0], [3.0], [5.0]], np.float32)
    found = task.metrics(exact, labels)
    assert found["mae"].value == 0.25 and found["mae"].direction == "lower" and found["mae"].total == 4
    assert found["rmse"].value == 0.5 and found["r2"].value == pytest.approx(1 - 1 / 5)
    difference = task.difference(exact, off, labels)
    assert (difference.drop, difference.unit, difference.agreement) == (50.0, "%", None)  # 1.5 in place of 1
    assert difference.lower < 50 < difference.upper and 0.3 < difference.p < 0.5  # one sample in four differs
    same = task.difference(exact, exact, labels)
    assert (same.drop, same.lower, same.upper, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert "r2" not in task.metrics(exact, np.ones(4, np.float32))


def test_several_labels_by_hand() -> None:
    task, labels = MultiLabel(), np.array([[1, 0, 1], [0, 0, 1]])
    answers = task.answers(np.array([[0.9, 0.2, 0.4], [0.1, 0.1, 0.6]]))  # one label of six is wrong
    found = task.metrics(answers, labels)
    assert found["label_accuracy"].value == pytest.approx(5 / 6)
    assert (found["exact_match"].correct, found["exact_match"].total) == (1, 2)
    assert found["f1"].value == pytest.approx(2 * 2 / (2 + 3))  # two right of two said and three wanted
    logits = task.answers(np.array([[2.0, -1.0, -0.5], [-3.0, -2.0, 0.1]]))
    assert np.array_equal(logits > 0, answers > 0)
    assert task.difference(answers, logits, labels).agreement == 1.0


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_outputs_that_no_task_takes(task) -> None:
    with pytest.raises(UnsupportedError, match="a model with 2 outputs"):
        task.answers({"a": np.zeros((1, 2)), "b": np.zeros((1, 2))})
    with pytest.raises(InputError, match="NaN or infinite outputs for 1 of 2"):
        task.answers(np.array([[1.0, np.nan], [0.0, 1.0]]))


def save(folder: Path, labels: np.ndarray, activation: str | None, loss: str) -> tuple[Path, Path]:
    """Data of 400 samples and a model trained on it."""
    x = np.random.default_rng(0).normal(size=(400, 6)).astype("float32")
    np.savez(folder / "data.npz", x=x, y=labels)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="features")
    units = labels.shape[1] if labels.ndim > 1 else 1
    hidden = keras.layers.Dense(16, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(units, activation, name="answer")(hidden))
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(x, labels, epochs=20, verbose=0)
    model.save(folder / "model.keras")
    return folder / "data.npz", folder / "model.keras"


def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 6)).astype("float32")


def test_a_regression_through_the_main_job(tmp_path: Path) -> None:
    labels = np.stack([features()[:, 0] - 2 * features()[:, 1], features()[:, 2] ** 2], axis=1)
    data, model = save(tmp_path, labels, None, "mse")
    found = compare(str(data), str(model), recipes=f"{RECIPES},float32-finetuned", epochs=2, out=tmp_path / "run")
    results = found.results
    assert (results.task, results.primary) == ("regression", "mae") and found.ok
    row = results.row("ptq-w8a8")
    assert row.accuracy is None and row.metrics["mae"].direction == "lower" and "validation_mae" in row.metrics
    assert row.metrics["mae"].value < 0.5 and row.metrics["r2"].value > 0.9
    assert row.agreement_with_float is None and "paired t-test" in row.notes["mcnemar_p"]
    assert row.parity is not None and row.parity.worst_equal == 1.0
    assert "% of float32's error" in results.verdict.lines[0]
    assert not found.problems and not (found.folder / "samples.png").exists()  # numbers cannot be shown
    written = lowbit.evaluate(found.folder / str(row.file), str(data))
    assert written.accuracy is None and written.metrics["mae"].value == row.metrics["mae"].value


def test_several_labels_through_the_main_job(tmp_path: Path) -> None:
    x = features()
    labels = (np.stack([x[:, 0], x[:, 1] + x[:, 2], x[:, 3]], axis=1) > 0).astype(int)
    data, model = save(tmp_path, labels, "sigmoid", "binary_crossentropy")
    found = compare(str(data), str(model), recipes=f"{RECIPES},qat-w8a8", epochs=2, out=tmp_path / "run")
    results = found.results
    assert (results.task, results.primary) == ("multi-label", "label_accuracy") and found.ok
    row = results.row("qat-w8a8")
    assert row.metrics["label_accuracy"].value > 0.9 and 0 < row.metrics["exact_match"].value <= 1
    assert 0.9 < (row.agreement_with_float or 0) <= 1


def test_labels_and_what_they_ask_for() -> None:
    assert task_of(np.array([0, 1])) == "classification"
    x = np.zeros((6, 3), np.float32)
    for labels, told in (
        (np.eye(3, dtype=int)[[0, 1, 2, 0, 1, 2]], "one-hot vectors.*argmax"),
        (np.array([[0, 2]] * 6), "0 or 1 for each class"),
        (np.array([0.5, np.nan, 1, 2, 3, 4]), "NaN"),
        (np.zeros((6, 2, 2)), "numbers to estimate"),
    ):
        with pytest.raises(InputError, match=told):
            from_words("made", "made", {"x": x, "y": labels}, Options())


def test_a_model_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    data, model = save(tmp_path, features()[:, :2], None, "mse")
    np.savez(tmp_path / "three.npz", x=features(), y=features()[:, :3])
    with pytest.raises(InputError, match="data of 3 numbers to estimate for a model with outputs of shape"):
        compare(str(tmp_path / "three.npz"), str(model), recipes="float32", out=tmp_path / "run")
    with pytest.raises(InputError, match="labels of shape .3,. for outputs of shape .2,."):
        written = lowbit.export(keras.models.load_model(model), tmp_path / "m.tflite")
        lowbit.evaluate(written.path, str(tmp_path / "three.npz"))
