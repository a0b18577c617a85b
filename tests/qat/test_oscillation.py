# SPDX-License-Identifier: Apache-2.0
"""Weights that turn too often are frozen, others are not."""

import keras
import numpy as np
import pytest

from lowbit import qat
from lowbit.errors import InputError
from lowbit.qat import OscillationFreeze
from lowbit.simulation import quantize_model


@pytest.fixture
def dense():
    """A simulated layer of one output, whose largest weight is 7: at 4 bits its scale is 1, a weight its own code."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False, name="dense")])
    model.get_layer("dense").kernel.assign([[7.0], [2.4], [-1.0], [0.2]])
    simulation = quantize_model(model, "w4a8", calibration=[np.ones((1, 4), "float32")])
    return simulation, simulation.get_layer("dense")


def set_up(simulation, **settings):
    callback = OscillationFreeze(**settings)
    callback.set_params({"epochs": 1})
    callback.set_model(simulation)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return callback


def test_a_weight_that_turns_at_every_step_is_frozen_at_its_fifth_turn(dense):
    """A turn at each step makes the running frequency 1 - 0.99^n: 0.039 after four, 0.049 after five."""
    simulation, layer = dense
    callback = set_up(simulation, first=0.04, last=0.04)
    for step in range(1, 7):  # the first change is no turn yet
        kernel = np.array([[7.0], [2.6 if step % 2 else 2.4], [-1.0 - 0.5 * step], [0.2 + 0.01 * step]], "float32")
        layer.layer.kernel.assign(kernel)
        callback.on_train_batch_end(step)
        assert callback.frozen_share() == (0.25 if step == 6 else 0.0)
    assert np.allclose(layer.layer.kernel, [[7.0], [2.0], [-4.0], [0.26]])  # the mean of its codes is near 2
    layer.layer.kernel.assign([[7.0], [5.0], [-1.0], [0.2]])
    callback.on_train_batch_end(7)
    assert np.allclose(layer.layer.kernel, [[7.0], [2.0], [-1.0], [0.2]])


def test_eight_bit_kernels_are_left_alone(dense, digits_simulation):
    with pytest.raises(InputError, match="w8a8 without kernels of 4 bits"):
        set_up(digits_simulation)
    assert len(set_up(digits_simulation, bits=8)._watched) > 3


@pytest.mark.parametrize("ranges", [pytest.param("tracked", marks=pytest.mark.slow), "learned"])
def test_it_trains_along(digits, digits_model, digits_calibration, ranges):
    """With a threshold that is met at once every weight that turned is frozen, and holds the middle of its code."""
    simulation = quantize_model(digits_model, "w4a8", calibration=digits_calibration, ranges=ranges)
    damping = OscillationFreeze(first=0.005, last=0.005)
    qat.fit(
        simulation, digits.train.batches(32, shuffle=True), None, epochs=2, learning_rate=1e-2, callbacks=[damping]
    )
    assert 0.001 < damping.frozen_share() < 0.9
    for one in damping._watched:
        kernel, scale = np.asarray(one.layer.by_channel(one.layer.kernel())), np.asarray(one.layer.weight_scale())
        assert np.allclose((kernel / scale)[one.frozen], one.codes[one.frozen], atol=0.02)


def test_keras_fit_trains_along(dense):
    """Targets that pull the second weight to and fro across 2.5: it is held at the middle of a code."""
    simulation, layer = dense
    simulation.compile(keras.optimizers.SGD(0.2), "mse")
    x, y = np.tile(np.eye(4, dtype="float32")[1:2], (40, 1)), np.full((40, 1), 2.5, "float32")
    damping = OscillationFreeze(first=0.01, last=0.01)
    simulation.fit(x, y, batch_size=1, epochs=1, shuffle=False, verbose=0, callbacks=[damping])
    assert damping.frozen_share() == 0.25
    assert float(layer.layer.kernel[1, 0]) in (2.0, 3.0)


@pytest.mark.parametrize("settings", [{"first": 0.01, "last": 0.02}, {"last": 0.0}, {"first": 1.5}], ids=str)
def test_thresholds_out_of_order_are_refused(settings):
    with pytest.raises(InputError, match="expected shares from 1 down to above 0"):
        OscillationFreeze(**settings)
