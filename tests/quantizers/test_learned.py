# SPDX-License-Identifier: Apache-2.0
"""Trained ranges: gradients worked out by hand, and that frozen ones stay."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lowbit.quantizers import ActivationQuantizer, learned


def test_the_gradients_of_a_weight_scale_are_those_of_lsq():
    """Three weights of one channel at scale 0.1, largest code 7: 2.4 and 2.6 steps, and one far outside."""
    weights, scale = tf.Variable([[0.24], [0.26], [9.0]]), tf.Variable([0.1])
    upstream = tf.constant([[1.0], [10.0], [100.0]])
    with tf.GradientTape() as tape:
        on_grid = learned.fake_quantize(weights, scale, 7)
        loss = tf.reduce_sum(on_grid * upstream)
    by_weights, by_scale = tape.gradient(loss, [weights, scale])
    assert np.allclose(on_grid, [[0.2], [0.3], [0.7]])
    assert np.allclose(by_weights, [[1.0], [10.0], [0.0]])
    # (2 - 2.4) x 1 + (3 - 2.6) x 10 + 7 x 100, divided by sqrt(3 x 7)
    assert np.allclose(by_scale, [703.6 / np.sqrt(21)], rtol=1e-5)


def test_the_best_scale_has_less_error_than_the_largest_weights():
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(3, 3, 8, 5)).astype("float32")
    weights[..., 4] = 0.0  # a dead channel

    def error(scale):
        safe = np.maximum(scale, 1e-9)
        return np.square(np.clip(np.rint(weights / safe), -7, 7) * safe - weights).sum((0, 1, 2))

    best, largest = learned.best_scale(weights, 7), np.abs(weights).max((0, 1, 2)) / 7
    assert (error(best)[:4] <= error(largest)[:4]).all()
    assert error(best).sum() < 0.9 * error(largest).sum()
    assert best.dtype == "float32" and np.isfinite(best).all()


@pytest.fixture
def quantizer():
    """Learned, from -1 to 2 (codes 84.67 steps below zero: nudged)."""
    made = ActivationQuantizer(bits=8, is_learned=True)
    made.observe(np.array([-1.0, 2.0], "float32"))
    return made


def test_the_ends_of_a_range_get_the_gradients_of_what_they_clip(quantizer):
    x = tf.Variable([[-5.0, -3.0, 0.5, 4.0]])
    upstream = tf.constant([[1.0, 10.0, 100.0, 1000.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer.train(x) * upstream)
    by_x, by_low, by_high = tape.gradient(loss, [x, quantizer.moved_minimum.value, quantizer.moved_maximum.value])
    assert by_x.numpy().tolist() == [[0.0, 0.0, 100.0, 0.0]]
    share = learned.SPEED / np.sqrt(4 * 127)  # four values of a sample; 127 codes on a side
    assert np.allclose([by_low, by_high], [11 * -1.0 * share, 1000 * 2.0 * share], rtol=1e-5)


def test_a_learned_range_ignores_the_values_of_later_batches(quantizer):
    quantizer.train(np.array([[-50.0, 80.0]], "float32"))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-1.0, 2.0)


def test_the_first_batch_sets_a_learned_range_without_calibration():
    quantizer = ActivationQuantizer(bits=8, is_learned=True)
    quantizer.train(np.array([[-50.0, 80.0]], "float32"))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-50.0, 80.0)


def test_zero_has_a_code_however_far_a_range_moves(quantizer):
    for moved in (-9.0, -0.05, 0.3):
        quantizer.moved_minimum.assign(moved)
        quantizer.moved_maximum.assign(-moved)
        low, high = (float(end) for end in quantizer.ends())
        assert low < 0 < high
        assert float(quantizer.fake_quantize(np.zeros(1, "float32"))[0]) == 0.0


def test_a_frozen_range_stays_where_it_was_though_the_optimizer_goes_on(quantizer):
    quantizer.moved_maximum.assign(1 / 32)
    assert float(quantizer.ends()[1]) == 3.0  # 2 x (1 + 16 / 32)
    quantizer.freeze()
    quantizer.moved_maximum.assign(0.5)  # as momentum does
    assert [float(end) for end in quantizer.ends()] == [-1.0, 3.0]
    x = tf.Variable([[9.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(quantizer.train(x))
    assert float(tape.gradient(y, quantizer.moved_maximum.value)) == 0.0
    quantizer.freeze(False)
    assert [float(end) for end in quantizer.ends()] == [-1.0, 3.0]


def test_only_learned_quantizers_have_something_to_train(quantizer):
    assert len(quantizer.trainable_variables) == 2
    assert ActivationQuantizer(bits=8).trainable_variables == []


def test_it_comes_back_from_its_config(quantizer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(quantizer))
    again.set_weights([ops.convert_to_numpy(value) for value in quantizer.weights])
    assert [float(end) for end in again.ends()] == [-1.0, 2.0]
