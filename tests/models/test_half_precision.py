# SPDX-License-Identifier: Apache-2.0
"""Layers of half precision are simulated in float32; strip gives them back as they were."""

import keras
import numpy as np
import pytest
from keras import layers

import lowbit
from lowbit.errors import InputError

DATA = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")


def model_of(dtype):
    inputs = keras.Input((8, 8, 3), dtype=dtype, name="inputs")
    x = layers.Conv2D(4, 3, dtype=dtype, name="conv")(inputs)
    x = layers.ReLU(dtype=dtype)(layers.BatchNormalization(dtype=dtype)(x))
    x = layers.ELU(dtype=dtype, name="kept")(layers.Flatten(dtype=dtype)(x))
    return keras.Model(inputs, layers.Dense(2, dtype="float32", name="head")(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_simulated_in_float32(dtype, tmp_path):
    keras.utils.set_random_seed(1)
    model = model_of(dtype)
    wanted = np.asarray(model(DATA))
    simulation = lowbit.quantize_model(model, calibration=[DATA])
    found = simulation.predict(DATA, verbose=0)
    assert found.dtype == "float32"
    assert np.abs(found - wanted).max() < 0.1
    assert lowbit.export(simulation, tmp_path / "model.tflite", parity=[DATA]).parity.worst_equal == 1.0
    stripped = lowbit.strip(simulation)
    assert stripped.get_layer("conv").dtype_policy.name == dtype
    assert np.array_equal(np.asarray(stripped(DATA)), wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_its_weights_must_be_finite_too(dtype):
    model = model_of(dtype)
    model.get_layer("conv").bias.assign([np.nan, 0, 0, 0])
    with pytest.raises(InputError, match="NaN or infinite values in weight 'conv/bias'"):
        lowbit.quantize_model(model)
