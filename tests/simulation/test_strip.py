# SPDX-License-Identifier: Apache-2.0
"""Back to float where the original does not say how to make it again."""

import keras
import numpy as np
import pytest
from keras import layers

import lowbit
from lowbit.errors import UnsupportedError


def with_lambda() -> keras.Model:
    tensor = keras.Input((4,), name="x")
    return keras.Model(
        tensor, layers.Dense(2, name="head")(layers.Lambda(lambda value: value * 2, name="twice")(tensor))
    )


def test_a_python_lambda_is_refused_in_whole_sentences_and_goes_by_into() -> None:
    samples = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model = with_lambda()
    simulation = lowbit.quantize_model(model, calibration=[samples])
    with pytest.raises(UnsupportedError, match=r"is a Python lambda; expected a float model .*; pass into=a model"):
        lowbit.strip(simulation)
    stripped = lowbit.strip(simulation, into=with_lambda())
    assert np.array_equal(stripped.predict(samples, verbose=0), model.predict(samples, verbose=0))
