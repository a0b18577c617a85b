# SPDX-License-Identifier: Apache-2.0
"""The fused batch norm against Keras's own layer, which we did not write."""

import keras
import numpy as np
import pytest
from keras import ops

from compiling import gradients
from lowbit.quantizers.batch_norm import normalize

SHAPES = [(2, 3, 3, 5), (4, 6, 5), (7, 5), (2, 2, 3, 2, 5)]


def pair(shape, **settings):
    """Two layers with the same uneven weights."""
    generator = np.random.default_rng(0)
    made = [keras.layers.BatchNormalization(momentum=0.75, **settings) for _ in range(2)]
    for layer in made:
        layer.build((None, *shape[1:]))
    values = [generator.uniform(0.5, 2.0, weight.shape) for weight in made[0].weights]
    for layer in made:
        layer.set_weights(values)
    return made


def passed(layer, function, x, upstream):
    """Output, gradients of input and weights, and moving statistics afterwards."""
    outputs = []

    def loss(values):
        outputs.append(function(layer, values))
        return outputs[0] * ops.convert_to_tensor(upstream)

    found = [*gradients(loss, x, layer.trainable_weights), *outputs, layer.moving_mean, layer.moving_variance]
    return [ops.convert_to_numpy(value) for value in found]


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_is_that_of_keras_to_a_hundred_thousandth(shape, settings):
    generator = np.random.default_rng(1)
    x = generator.normal(1.5, 2.0, shape).astype("float32")
    upstream = generator.normal(size=shape).astype("float32")
    ours, theirs = pair(shape, **settings)
    found = passed(ours, lambda layer, value: normalize(layer, value, training=True), x, upstream)
    expected = passed(theirs, lambda layer, value: layer(value, training=True), x, upstream)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * max(1.0, np.abs(other).max())


def test_the_moving_variance_is_the_biased_one():
    """Of 0 and 2 in one channel: 1, where the kernel reports 2."""
    layer = keras.layers.BatchNormalization(momentum=0.0)
    layer.build((None, 1))
    normalize(layer, ops.convert_to_tensor([[0.0], [2.0]]), training=True)
    assert float(layer.moving_mean[0]) == 1.0
    assert float(layer.moving_variance[0]) == pytest.approx(1.0, abs=1e-6)


def test_a_frozen_layer_keeps_its_statistics():
    ours, theirs = pair((4, 5))
    ours.trainable = False
    x = np.random.default_rng(2).normal(size=(4, 5)).astype("float32")
    found, expected = normalize(ours, x, training=True), theirs(x, training=False)
    assert np.array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))
    assert np.array_equal(*(ops.convert_to_numpy(layer.moving_mean) for layer in (ours, theirs)))
