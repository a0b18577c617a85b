# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training really trains, and mends what rounding after training breaks."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from lowbit import qat
from lowbit.errors import InputError
from lowbit.quantizers import ActivationQuantizer
from lowbit.simulation import quantize_model
from lowbit.training import fit, predict


def accuracy(model, split) -> float:
    outputs, labels = predict(model, split.batches(256))
    return float((outputs.argmax(1) == labels).mean())


def test_weights_codes_and_ranges_change(digits, digits_simulation):
    before = np.asarray(digits_simulation.get_layer("down_conv").integer_weights()[0])
    history = qat.fit(
        digits_simulation,
        digits.train.batches(32, shuffle=True),
        digits.validation.batches(64),
        epochs=2,
        learning_rate=1e-3,
        patience=2,
    )
    after = np.asarray(digits_simulation.get_layer("down_conv").integer_weights()[0])
    assert history.trained_epochs == 2
    assert 0.1 < (before != after).mean() <= 1
    assert accuracy(digits_simulation, digits.test) > 0.9


@pytest.fixture(scope="module")
def uneven_model(digits):
    """Trained, then rescaled channel by channel in a way ReLU does not notice but 4-bit weights do."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(24, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.Conv2D(32, 3, strides=2, activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="predictions")(x))
    fit(model, digits.train.batches(32, shuffle=True), None, epochs=20, learning_rate=3e-3)
    factors = np.geomspace(1 / 12, 12, 24).astype("float32")
    first, second = model.get_layer("first"), model.get_layer("second")
    first.kernel.assign(first.kernel * factors)
    first.bias.assign(first.bias * factors)
    second.kernel.assign(second.kernel / factors[:, None])
    return model


def test_qat_mends_what_four_bit_rounding_breaks(digits, digits_calibration, uneven_model):
    float_accuracy = accuracy(uneven_model, digits.test)
    simulation = quantize_model(uneven_model, "w4a8", calibration=digits_calibration)
    rounded = accuracy(simulation, digits.test)
    qat.fit(simulation, digits.train.batches(32, shuffle=True), None, epochs=8, learning_rate=1e-3)
    trained = accuracy(simulation, digits.test)
    assert float_accuracy > 0.85
    assert rounded < float_accuracy - 0.1
    assert trained > rounded + 0.1
    assert trained > float_accuracy - 0.05


def test_ranges_are_frozen_near_the_end(digits, digits_simulation):
    qat.fit(digits_simulation, digits.train.batches(64), None, epochs=4, learning_rate=1e-4)
    quantizers = [q for q in digits_simulation.quantizers().values() if isinstance(q, ActivationQuantizer)]
    assert {float(q.tracking) for q in quantizers} == {0.0}


def test_only_simulations_are_trained_quantization_aware(digits, digits_model):
    with pytest.raises(InputError, match="expected a simulation"):
        qat.fit(digits_model, digits.train.batches(32), None, epochs=1, learning_rate=1e-3)


def test_probabilities_at_the_output_are_rounded_in_inference_only(digits, digits_simulation):
    inputs = next(iter(digits.test.batches(64)))[0]["image"]
    steps = np.asarray(digits_simulation(inputs, training=False)) * 256
    assert np.array_equal(steps, np.rint(steps))
    unrounded = digits_simulation.with_unrounded_outputs().predict(inputs, verbose=0) * 256
    assert np.abs(np.minimum(unrounded, 255) - steps).max() <= 0.5001  # 255/256 is the largest code
    assert np.abs(unrounded - np.rint(unrounded)).max() > 0.1
    training = np.asarray(digits_simulation(inputs, training=True)) * 256
    assert np.abs(training - np.rint(training)).max() > 0.1


def test_a_model_that_was_loaded_may_have_a_layer_of_kerass_own_name():
    """In a new process Keras's next name for an `Activation` is "activation", which a saved model may hold already."""
    keras.utils.clear_session()
    inputs = keras.Input((4,), name="features")
    softmax = layers.Softmax(name="answer")
    hidden = layers.Activation("tanh", name="activation")(layers.Dense(6, name="first")(inputs))
    outputs = [softmax(layers.Dense(2, name=name)(hidden)) for name in ("left", "right")]
    data = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    simulation = quantize_model(keras.Model(inputs, outputs), calibration=[data])
    answers = simulation.with_unrounded_outputs().predict(data, verbose=0)
    assert [answer.shape for answer in answers] == [(16, 2), (16, 2)]


def test_frozen_statistics_of_a_new_batch_norm_are_told():
    inputs = keras.Input((4,))
    y = layers.BatchNormalization(name="norm")(layers.Dense(3, name="first")(inputs))
    model = keras.Model(
        inputs,
        layers.Dense(2, "softmax", name="last")(layers.BatchNormalization(name="norm_2")(layers.Activation("tanh")(y))),
    )
    data = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    batches = [(data, np.arange(16) % 2)]
    simulation = quantize_model(model, calibration=[data])
    once = {"epochs": 1, "learning_rate": 1e-4}
    with pytest.warns(UserWarning, match="2 batch norms, 'norm' first, are frozen with the statistics of a new layer"):
        qat.fit(simulation, batches, None, batch_norm="freeze", **once)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        qat.fit(simulation, batches, None, batch_norm="train", **once)
        qat.fit(simulation, batches, None, batch_norm="freeze", **once)
