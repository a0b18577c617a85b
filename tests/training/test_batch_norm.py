# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.training import batch_norms, fit, reestimate_batch_norm, set_batch_norm, unfreeze

Make = Callable[..., Any]


class Wrapped(keras.layers.Layer):
    """A convolution's stand-in with a batch norm inside, as simulations have."""

    def __init__(self, norm: keras.layers.BatchNormalization, **options: Any) -> None:
        super().__init__(**options)
        self.norm = norm

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.norm(x, training=training)


def wrapped_model() -> keras.Model:
    """x (2,) -> a batch norm inside a layer inside a model."""
    inner = keras.Input((2,), name="inner")
    norm = keras.layers.BatchNormalization(momentum=0.7, name="norm")
    inside = keras.Model(inner, Wrapped(norm, name="wrapper")(inner), name="inside")
    x = keras.Input((2,), name="x")
    return keras.Model(x, inside(x))


# Means of the columns: 2, 20 in the first batch, 5, 50 in the second; variances 1, 100 and 4, 400.
FIRST = np.array([[1, 10], [3, 30]], np.float32)
SECOND = np.array([[3, 30], [7, 70]], np.float32)


def test_statistics_become_the_mean_over_batches() -> None:
    model = wrapped_model()
    [norm] = batch_norms(model)
    assert reestimate_batch_norm(model, [(FIRST, None), (SECOND, None)]) == 2
    assert np.allclose(norm.moving_mean, [3.5, 35])
    assert np.allclose(norm.moving_variance, [2.5, 250])
    assert norm.momentum == 0.7


def test_a_smaller_batch_counts_by_its_samples() -> None:
    model = wrapped_model()
    [norm] = batch_norms(model)
    reestimate_batch_norm(model, [{"x": FIRST}, {"x": SECOND[:1]}])
    assert np.allclose(norm.moving_mean, [(2 * 2 + 3) / 3, (2 * 20 + 30) / 3])


def test_no_more_than_max_batches_are_read() -> None:
    model = wrapped_model()
    [norm] = batch_norms(model)
    assert reestimate_batch_norm(model, iter([FIRST, SECOND]), max_batches=1) == 1
    assert np.allclose(norm.moving_mean, [2, 20])


def test_no_weight_is_trained_and_momentum_comes_back(model: keras.Model) -> None:
    before = [np.array(weight) for weight in model.trainable_weights]
    reestimate_batch_norm(model, [np.eye(3, dtype=np.float32)])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True))
    assert [norm.momentum for norm in batch_norms(model)] == [0.9]


def test_an_error_leaves_statistics_and_momentum(model: keras.Model) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield np.eye(3, dtype=np.float32)
        raise OSError("the disk is gone")

    before = model.get_weights()
    with pytest.raises(OSError, match="the disk is gone"):
        reestimate_batch_norm(model, failing())
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert [norm.momentum for norm in batch_norms(model)] == [0.9]


def test_frozen_statistics_stay() -> None:
    model = wrapped_model()
    [norm] = batch_norms(model)
    norm.trainable = False
    assert reestimate_batch_norm(model, [FIRST]) == 0
    assert np.array_equal(norm.moving_mean, [0, 0])


@pytest.mark.parametrize(("batches", "limit"), [([], 64), ([FIRST], 0)])
def test_nothing_to_measure_on_is_refused(batches: list[np.ndarray], limit: int) -> None:
    with pytest.raises(InputError, match=rf"received no batch \(max_batches={limit}\)"):
        reestimate_batch_norm(wrapped_model(), batches, max_batches=limit)


def test_freezing_lasts_as_long_as_the_block(model: keras.Model) -> None:
    [norm] = batch_norms(model)
    with set_batch_norm(model, "freeze"):
        assert not norm.trainable
    assert norm.trainable
    norm.trainable = False
    with set_batch_norm(model, "freeze"):
        pass
    assert not norm.trainable


@pytest.mark.parametrize(("mode", "changes"), [("freeze", False), ("train", True), ("reestimate", True)])
def test_what_a_fit_does_to_batch_norm(model: keras.Model, points: Make, mode: Any, changes: bool) -> None:
    before = [np.array(weight) for weight in model.get_layer("norm").weights]
    fit(model, points(64), points(32), epochs=2, learning_rate=0.01, batch_norm=mode)
    after = model.get_layer("norm").weights
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)) != changes
    assert len(model.get_layer("norm").trainable_weights) == 2


def test_reestimated_statistics_are_those_of_the_trained_weights(model: keras.Model, points: Make) -> None:
    train = points(64, batch_size=64)
    fit(model, train, None, epochs=1, learning_rate=0.01, batch_norm="reestimate")
    hidden = model.get_layer("hidden")(train.points)
    assert np.allclose(model.get_layer("norm").moving_mean, np.mean(hidden, axis=0), atol=1e-5)
    assert np.allclose(model.get_layer("norm").moving_variance, np.var(hidden, axis=0), atol=1e-5)


def test_unfreezing_reaches_inner_layers() -> None:
    model = wrapped_model()
    model.trainable = False
    unfreeze(model)
    assert len(model.trainable_weights) == 2
