# SPDX-License-Identifier: Apache-2.0
"""Models whose layers were altered already, or hold what nothing can be made of, are refused by the layer's name."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import lowbit
from lowbit.errors import InputError, UnsupportedError
from lowbit.simulation import fates

DATA = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")


def model_of(layer):
    inputs = keras.Input((6,), name="inputs")
    return keras.Model(inputs, layer(inputs), name="model")


def quantized_by_keras():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="dense")])
    model.quantize("int8")
    return model


def with_lora():
    model = model_of(layers.Dense(4, name="dense"))
    model.get_layer("dense").enable_lora(2)
    return model


def simulation():
    return lowbit.quantize_model(model_of(layers.Dense(2, name="dense")), calibration=[DATA])


class TwoArguments(keras.Model):
    def __init__(self):
        super().__init__(name="two")
        self.dense = layers.Dense(3)

    def call(self, left, right):
        return self.dense(left) + self.dense(right)


def two_arguments():
    model = TwoArguments()
    model(DATA, DATA)
    return model


class Choosing(layers.Layer):
    def call(self, x):
        return ops.cond(ops.sum(x) > 0, lambda: x * 2.0, lambda: x * 3.0)


class ChoosingModel(keras.Model):
    def call(self, x):
        return ops.cond(ops.sum(x) > 0, lambda: x * 2.0, lambda: x * 3.0)


def choosing():
    model = ChoosingModel(name="choosing")
    model.build((None, 6))
    return model


PARTIAL = functools.partial(keras.activations.relu, max_value=3.0)

REFUSED = {
    "quantized by Keras": (quantized_by_keras, UnsupportedError, r"'dense', quantized to int8.*before .quantize\(\)"),
    "LoRA": (with_lora, UnsupportedError, r"'dense' with LoRA.*without enable_lora\(\)"),
    "a simulation inside": (
        lambda: model_of(simulation()),
        UnsupportedError,
        r"simulation 'model' within the model.*lowbit.strip\(sim\)",
    ),
    "a simulation in a row": (
        lambda: keras.Sequential([keras.Input((6,)), simulation()]),
        UnsupportedError,
        "simulation 'model' within the model",
    ),
    "nothing as input": (
        lambda: keras.Model(one := keras.Input((0,), name="none"), layers.Dense(2)(one)),
        InputError,
        r"input 'none' of shape \(0,\)",
    ),
    "two arguments": (two_arguments, UnsupportedError, "the call of 'two' takes left, right in place of one list"),
    "a choice": (choosing, UnsupportedError, "'choosing'.*gives functions to Cond"),
    "a partial": (
        lambda: model_of(layers.Dense(3, activation=PARTIAL, name="dense")),
        UnsupportedError,
        "'dense'.*named",
    ),
    "a partial over a line": (
        lambda: keras.Model(one := keras.Input((6, 2)), layers.Conv1D(3, 2, activation=PARTIAL, name="conv")(one)),
        UnsupportedError,
        "'conv' .*named function",
    ),
}


@pytest.mark.parametrize(("build", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(build, error, words):
    with pytest.raises(error, match=words):
        lowbit.quantize_model(build())


def test_a_clone_of_a_simulation_is_told_as_one():
    with pytest.raises(InputError, match="'model' that keras.models.clone_model made.*load_model"):
        lowbit.calibrate(keras.models.clone_model(simulation()), [DATA])


def test_a_layer_that_chooses_by_values_stays_float_as_a_whole():
    model = model_of(Choosing(name="choosing"))
    simulated = lowbit.quantize_model(model, calibration=[DATA])
    (fate,) = [fate for fate in fates(simulated) if fate.layer == "choosing"]
    assert (fate.fate, "gives functions to Cond" in fate.reason) == ("kept float", True)
    np.testing.assert_allclose(simulated.predict(DATA, batch_size=16, verbose=0), np.asarray(model(DATA)), atol=1e-6)


def test_a_clip_by_several_bounds(tmp_path):
    low, high = np.linspace(-1, 0, 6, dtype="float32"), 0.7
    model = model_of(layers.Lambda(lambda x: ops.clip(x, low, high), name="clip"))
    simulated = lowbit.quantize_model(model, calibration=[DATA])
    assert {fate.fate for fate in fates(simulated)} == {"quantized"}
    assert np.abs(simulated.predict(DATA, verbose=0) - np.clip(DATA, low, high)).max() < 0.1
    assert lowbit.export(simulated, tmp_path / "model.tflite", parity=[DATA]).parity.worst_equal == 1.0
