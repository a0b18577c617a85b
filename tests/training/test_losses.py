# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.simulation import quantize_model
from lowbit.training import fit, infer_loss
from lowbit.training.losses import accuracy, choose_loss

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("activation", "units", "loss", "from_logits"),
    [
        ("softmax", 3, keras.losses.SparseCategoricalCrossentropy, False),
        (None, 3, keras.losses.SparseCategoricalCrossentropy, True),
        ("sigmoid", 1, keras.losses.BinaryCrossentropy, False),
        (None, 1, keras.losses.BinaryCrossentropy, True),
    ],
)
def test_the_loss_follows_from_the_output(
    build: Make, activation: str | None, units: int, loss: type, from_logits: bool
) -> None:
    inferred = infer_loss(build(activation, units))
    assert type(inferred) is loss
    assert inferred.from_logits == from_logits


@pytest.mark.parametrize("last", [keras.layers.Softmax(), keras.layers.Activation("softmax")])
def test_a_softmax_layer_counts_as_softmax(build: Make, last: keras.layers.Layer) -> None:
    logits = build(None)
    assert not infer_loss(keras.Model(logits.inputs[0], last(logits.outputs[0]))).from_logits
    assert not infer_loss(keras.Sequential([keras.Input((3,)), logits, last])).from_logits


def test_a_nested_model_is_read_to_its_last_layer(build: Make) -> None:
    x = keras.Input((3,))
    assert not infer_loss(keras.Model(x, build("softmax")(x))).from_logits
    assert infer_loss(keras.Model(x, build(None)(x))).from_logits


def test_a_simulated_layer_is_read_by_its_activation_name(build: Make) -> None:
    logits = build(None)
    last = keras.layers.Identity(name="simulated")
    last.activation_name = "softmax"
    assert not infer_loss(keras.Model(logits.inputs[0], last(logits.outputs[0]))).from_logits


def test_a_simulation_of_logits_counts_as_logits(build: Make) -> None:
    assert infer_loss(quantize_model(build(None))).from_logits
    assert not infer_loss(quantize_model(build("softmax"))).from_logits


@pytest.mark.parametrize(("activation", "units"), [("sigmoid", 3), ("softmax", 1), ("tanh", 3)])
def test_an_output_that_fits_no_loss_is_refused(build: Make, activation: str, units: int) -> None:
    with pytest.raises(InputError, match=f"received a model with {units} output units after '{activation}'"):
        infer_loss(build(activation, units))


def test_a_map_of_outputs_is_refused() -> None:
    x = keras.Input((4, 4, 1))
    with pytest.raises(InputError, match=r"outputs of shape \(None, 4, 4, 2\); expected one output of shape"):
        infer_loss(keras.Model(x, keras.layers.Conv2D(2, 1)(x)))


def test_a_given_loss_comes_before_the_compiled_and_that_before_the_inferred(build: Make) -> None:
    model = build("softmax")
    assert isinstance(choose_loss(model, None), keras.losses.SparseCategoricalCrossentropy)
    model.compile(loss="mse")
    assert choose_loss(model, None) == "mse"
    assert choose_loss(model, "mae") == "mae"


@pytest.mark.parametrize(
    "loss", ["categorical_crossentropy", keras.losses.CategoricalCrossentropy(label_smoothing=0.1)]
)
def test_a_loss_for_one_hot_labels_gets_them(build: Make, points: Make, loss: Any) -> None:
    outputs = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    one_hot = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    wanted = np.mean(keras.losses.get(loss)(one_hot, outputs))
    assert np.mean(choose_loss(build("softmax"), loss)(np.array([0, 1]), outputs)) == pytest.approx(wanted)
    history = fit(build("softmax"), points(64), points(64), epochs=2, learning_rate=0.05, loss=loss)
    assert history.logs["loss"][1] < history.logs["loss"][0]


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_two_classes_from_one_output_are_learnt(build: Make, points: Make, activation: str | None) -> None:
    train = points(300)
    train.labels = (train.points[:, 0] > 0).astype(np.int64)
    history = fit(build(activation, 1), train, train, epochs=10, patience=10, learning_rate=0.05)
    for counted in ("val_accuracy", "accuracy"):
        assert history.logs[counted][history.best_epoch - 1] > 0.9


@pytest.mark.parametrize(
    ("outputs", "is_logit", "fraction"),
    [
        ([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], False, 0.75),
        ([[0.9], [0.2], [0.7], [0.6]], False, 1.0),
        ([[0.4], [-0.2], [0.3], [0.1]], True, 1.0),
        ([[0.4], [-0.2], [0.3], [0.1]], False, 0.25),
    ],
)
def test_accuracy(outputs: list[list[float]], is_logit: bool, fraction: float) -> None:
    assert accuracy(np.array(outputs), np.array([1, 0, 1, 1]), is_logit) == fraction
