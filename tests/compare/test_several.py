# SPDX-License-Identifier: Apache-2.0
"""Models of several outputs, and metrics by name: by hand, against Keras's own, and through every command."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import lowbit
from lowbit.cli.app import app
from lowbit.compare import compare
from lowbit.compare.named_metrics import NamedMetrics, check_metrics
from lowbit.compare.several import MultiOutput
from lowbit.data import load_dataset
from lowbit.errors import InputError, UnsupportedError
from lowbit.outputs import match
from lowbit.training import fit

KIND = {"kind": "classification", "age": "regression"}
RECIPES = "float32,ptq-w8a8,qat-w8a8"


def labels_of(kinds, ages) -> np.ndarray:
    together = np.zeros(len(kinds), [("kind", "i8"), ("age", "f4")])
    together["kind"], together["age"] = kinds, ages
    return together


def test_two_outputs_by_hand() -> None:
    task = MultiOutput(KIND)
    assert task.primary == "kind.accuracy" and task.shown == ("kind.accuracy", "age.mae")
    labels = labels_of([0, 1, 1, 0], [1, 2, 3, 4])
    kinds = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])  # the third is wrong
    exact = task.answers({"age": np.array([[1.0], [2], [3], [6]]), "kind_softmax": kinds})
    found = task.metrics(exact, labels)
    assert list(found)[:2] == ["kind.accuracy", "age.mae"]
    assert (found["kind.accuracy"].value, found["age.mae"].value) == (0.75, 0.5)
    other = task.answers({"age": np.array([[2.0], [2], [3], [6]]), "kind_softmax": 1 - kinds})
    difference = task.difference(exact, other, labels)
    assert (difference.output, difference.drop, difference.unit, difference.agreement) == ("age", 50.0, "%", 0.0)
    assert difference.words == "% of 'age'"  # kind loses 50 points too, with a lower bound: three right of four
    with pytest.raises(UnsupportedError, match="a model with one output; expected an output for each of the labels"):
        task.answers(kinds)
    with pytest.raises(InputError, match=r"label 2 of the output 'kind'.*0..1 for 2 outputs"):
        task.metrics(exact, labels_of([0, 2, 1, 0], [1, 2, 3, 4]))


def test_names_find_their_outputs() -> None:
    assert match(["a", "a_b"], ["a_b_softmax", "a_relu"]) == {"a": "a_relu", "a_b": "a_b_softmax"}
    for names, outputs in ((["a"], ["a", "b"]), (["a", "b"], ["a_x", "c"]), (["a"], ["a_x", "a_y"])):
        with pytest.raises(InputError, match="labels for the outputs.*expected labels for the model's outputs"):
            match(names, outputs)


@pytest.fixture(scope="module", params=[pytest.param("list", marks=pytest.mark.slow), "dict"])
def saved(request, tmp_path_factory) -> Path:
    """Data with a class and a number for each sample, and a model that learnt both."""
    folder = tmp_path_factory.mktemp(request.param)
    x = np.random.default_rng(0).normal(size=(400, 6)).astype("float32")
    kinds, ages = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0), x[:, 2] - 2 * x[:, 3]
    np.savez(folder / "data.npz", **{"x": x, "y.age": ages, "y.kind": kinds})
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="features")
    hidden = keras.layers.Dense(32, "relu", name="hidden")(inputs)
    outputs = [keras.layers.Dense(3, "softmax", name="kind")(hidden), keras.layers.Dense(1, name="age")(hidden)]
    model = keras.Model(inputs, {"kind": outputs[0], "age": outputs[1]} if request.param == "dict" else outputs)
    data = load_dataset(folder / "data.npz")
    assert (data.task, data.tasks, data.answers_by_output) == (
        "multi-output", {"age": "regression", "kind": "classification"}, {"age": 1, "kind": 3},
    )  # fmt: skip
    train = [(inputs["features"], labels) for inputs, labels in data.train.batches(32)]
    losses = [keras.losses.MeanSquaredError(), keras.losses.SparseCategoricalCrossentropy()]
    by_name = dict(zip(("age", "kind"), losses, strict=True))
    fit(model, train, train, epochs=40, learning_rate=1e-2, loss=by_name)
    model.compile(loss=by_name)
    model.save(folder / "model.keras")
    return folder


def test_two_outputs_through_the_main_job(saved: Path) -> None:
    data, model = str(saved / "data.npz"), str(saved / "model.keras")
    found = compare(data, model, recipes=RECIPES, epochs=2, out=saved / "run", metrics=["kind.AUC", "age.r2_score"])
    assert [row.reason for row in found.rows if row.status != "ok"] == []
    results = found.results
    assert found.ok and (results.task, results.primary) == ("multi-output", "age.mae")
    assert results.shown == ("age.mae", "kind.accuracy", "kind.AUC", "age.r2_score")
    assert "--metric kind.AUC" in results.command
    for recipe in ("float32", "ptq-w8a8", "qat-w8a8"):
        row = results.row(recipe)
        assert row.metrics["kind.accuracy"].value > 0.85 and row.metrics["age.mae"].value < 0.4
        assert row.metrics["age.r2_score"].value == pytest.approx(row.metrics["age.r2"].value, abs=1e-5)
        assert row.accuracy is None and row.parity is None or row.parity.worst_equal == 1.0
    assert re.search(r"for each output: .* of '(kind|age)' on validation", results.verdict.lines[0])
    written = found.folder / str(results.row("ptq-w8a8").file)
    again = lowbit.evaluate(written, data, metrics=["kind.AUC"])
    for name in ("kind.accuracy", "age.mae", "kind.AUC"):
        assert again.metrics[name].value == pytest.approx(results.row("ptq-w8a8").metrics[name].value, abs=1e-6)
    kept = lowbit.evaluate(model, data)  # Keras itself
    assert kept.metrics["age.mae"].value == pytest.approx(results.row("float32").metrics["age.mae"].value, abs=1e-5)
    heading = (found.folder / "table.md").read_text().splitlines()[2]
    assert all(name in heading for name in ("age.mae", "kind.accuracy %", "kind.AUC %", "age.r2_score"))


def test_qat_from_the_command_line(saved: Path) -> None:
    words = ["qat", str(saved / "model.keras"), "--data", str(saved / "data.npz"), "-o", str(saved / "qat.keras")]
    done = CliRunner().invoke(app, [*words, "--epochs", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["trained_epochs"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"y.kind": np.zeros(6, int), "y": np.zeros(6, int)}, "name an x, with its y.*outputs alike"),
        ({"y.kind": np.zeros(6, int), "y.age": np.zeros(5)}, r"y.age with 5 labels for 6 samples"),
        ({"y.kind": np.zeros(6, int), "y.age": np.zeros(6), "class_names": ["a"]}, "class_names beside labels of 2"),
    ],
)
def test_labels_that_do_not_belong_together(tmp_path: Path, words, told: str) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 2), "float32"), **words)
    with pytest.raises(InputError, match=told):
        load_dataset(tmp_path / "data.npz")


def test_labels_for_outputs_that_the_model_has_not(saved: Path, tmp_path: Path) -> None:
    x = np.zeros((40, 6), "float32")
    for labels, told in (
        ({"y.kind": np.arange(40) % 3, "y.size": np.ones(40)}, "labels for the outputs kind, size; expected .* age"),
        ({"y.kind": np.arange(40) % 5, "y.age": np.ones(40)}, "labels of 5 for the output 'kind' of 3 units"),
        ({"y": np.arange(40) % 3}, "a model with 2 outputs"),
    ):
        np.savez(tmp_path / "data.npz", x=x, **labels)
        with pytest.raises(InputError, match=told):
            compare(str(tmp_path / "data.npz"), str(saved / "model.keras"), recipes="float32", out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def evaluated(names, data, outputs, labels) -> dict[str, float]:
    counting = NamedMetrics(names, data)
    for start in range(0, len(labels), 7):
        counting.add(outputs[start : start + 7], labels[start : start + 7])
    return {name: metric.value for name, metric in counting.beside({}).items()}


def test_metrics_are_keras_s_own() -> None:
    digits = load_dataset("digits")
    rng, labels = np.random.default_rng(0), np.arange(50) % 10
    logits = rng.normal(size=(50, 10)).astype("float32") + 2 * np.eye(10, dtype="float32")[labels]
    names = ["top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy", "F1Score", "AUC", "CategoricalCrossentropy"]
    found = evaluated(names, digits, logits, labels)
    among_five = np.mean([label in np.argsort(-row)[:5] for label, row in zip(labels, logits, strict=True)])
    assert found["top_k_categorical_accuracy"] == found["SparseTopKCategoricalAccuracy"] == pytest.approx(among_five)
    loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    assert found["CategoricalCrossentropy"] == pytest.approx(float(np.mean(loss)), rel=1e-5)
    answers = logits.argmax(axis=1)
    f1 = [2 * np.sum((answers == k) & (labels == k)) / (np.sum(answers == k) + np.sum(labels == k)) for k in range(10)]
    assert found["F1Score"] == pytest.approx(np.mean(f1)) and 0.5 < found["AUC"] < 1


@pytest.mark.parametrize(
    ("name", "tasks", "units", "told"),
    [
        ("accuracyy", {"": "classification"}, {"": 10}, "metric 'accuracyy'; expected the name of a metric of Keras"),
        ("MeanSquaredError", {"": "classification"}, {"": 10}, "it is for numbers to estimate"),
        ("SparseCategoricalAccuracy", {"": "regression"}, {"": 1}, "it is for one of several classes"),
        ("AUC", {"": "regression"}, {"": 1}, "it is for classes.*R2Score"),
        ("BinaryAccuracy", {"": "classification"}, {"": 10}, "units that decide for themselves"),
        ("accuracy", {"": "regression"}, {"": 1}, "equal the label to the last digit"),
        ("accuracy", {"": "multi-label"}, {"": 3}, "equal the label.*BinaryAccuracy"),
        ("Accuracy", {"": "classification"}, {"": 10}, "equal the label to the last digit"),
        ("Mean", {"": "regression"}, {"": 1}, "it takes values, not answers"),
        ("AUC", KIND, {"kind": 3, "age": 1}, "metric 'AUC'; expected <output>.<metric>.*for example kind.AUC"),
        ("size.AUC", {"": "classification"}, {"": 3}, "metric 'size.AUC'; expected a metric's name"),
        ("SensitivityAtSpecificity", {"": "multi-label"}, {"": 3}, "SensitivityAtSpecificity., which needs settings"),
    ],
)
def test_a_metric_that_does_not_fit(name: str, tasks, units, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_metrics([name], tasks, units)


def test_a_wrong_metric_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="metric 'R2Score' for classification"):
        compare("digits", "small_cnn", recipes="float32", metrics=["R2Score"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
