# SPDX-License-Identifier: Apache-2.0
"""Layers that change variables or draw random numbers when they infer are refused, not those that do in training."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from whole import state

import lowbit
from lowbit.errors import UnsupportedError

DATA = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


class Remembering(layers.Layer):
    def __init__(self, way, **kwargs):
        super().__init__(**kwargs)
        self.way, self.generator = way, keras.random.SeedGenerator(1)
        self.counter = self.add_weight(shape=(), initializer="ones", trainable=False, name="counter")

    def call(self, x, training=False):
        match self.way:
            case "draws":
                return x + keras.random.normal((4,), seed=self.generator)
            case "draws for each sample":
                return x + keras.random.normal(ops.shape(x), seed=self.generator)
            case "draws without a generator":
                return x + keras.random.normal((4,))
            case "counts":
                self.counter.assign_add(1.0)
                return x * self.counter
            case "averages":
                self.counter.assign(0.9 * self.counter + 0.1 * ops.mean(x))
                return x * self.counter
        if training:
            self.counter.assign_add(1.0)
            return x + keras.random.normal(ops.shape(x), seed=self.generator)
        return x * self.counter


class Subclassed(keras.Model):
    def __init__(self, way):
        super().__init__(name="subclassed")
        self.inner, self.head = Remembering(way, name="remembering"), layers.Dense(2, name="head")

    def call(self, x):
        return self.head(self.inner(x))


def functional(way):
    inputs = keras.Input((4,), name="inputs")
    return keras.Model(inputs, layers.Dense(2, name="head")(Remembering(way, name="remembering")(inputs)))


def subclassed(way):
    model = Subclassed(way)
    model(DATA)
    return model


def everything(model):
    return [np.array(ops.convert_to_numpy(variable)).tobytes() for variable in model.variables], state(model)


@pytest.mark.parametrize("build", [functional, subclassed])
@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("draws", "draws random numbers"),
        ("draws for each sample", "draws random numbers"),
        ("draws without a generator", "draws random numbers"),
        ("counts", "changes its variable '.*counter'"),
        ("averages", "changes its variable '.*counter'"),
    ],
)
def test_what_is_not_the_same_at_each_call_is_refused(build, way, words):
    model = build(way)
    before = everything(model)
    with pytest.raises(UnsupportedError, match=rf"'remembering' \(Remembering\), which {words}.*if training:"):
        lowbit.quantize_model(model)
    assert everything(model) == before


@pytest.mark.parametrize("build", [functional, subclassed])
def test_what_happens_in_training_only_is_left_out(build):
    model = build("in training")
    before = everything(model)
    simulation = lowbit.quantize_model(model, calibration=[DATA])
    assert everything(model) == before
    assert np.abs(simulation.predict(DATA, verbose=0) - model.predict(DATA, verbose=0)).max() < 0.1


class OwnDropout(layers.Dropout):
    """As users derive it."""


class OwnNoise(layers.GaussianNoise):
    def call(self, inputs, training=False):
        return super().call(inputs * 1.0, training=training)


@pytest.mark.parametrize("noise", [OwnDropout(0.5), OwnNoise(1.0), layers.GaussianDropout(0.5)])
def test_noise_of_training_keeps_working(noise):
    inputs = keras.Input((4,), name="inputs")
    model = keras.Model(inputs, layers.Dense(2, name="head")(noise(inputs)))
    before = everything(model)
    lowbit.quantize_model(model, calibration=[DATA])
    assert everything(model) == before


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_recurrent_layer_with_a_memory_is_refused(is_wrapped):
    inputs = keras.Input(batch_shape=(1, 3, 4), name="inputs")
    layer = layers.LSTM(2, stateful=True, name="lstm")
    layer = layers.Bidirectional(layer, name="both") if is_wrapped else layer
    with pytest.raises(UnsupportedError, match="with stateful=True.*initial_state="):
        lowbit.quantize_model(keras.Model(inputs, layer(inputs)))
