# SPDX-License-Identifier: Apache-2.0
"""Operations that give their input back: the converter leaves them out, so a tensor behind one would be lost."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.export import export
from lowbit.graph.primitives import moves_nothing
from lowbit.simulation import quantize_model

BODIES = {
    "mean of one place": lambda x: layers.GlobalAveragePooling2D(keepdims=True)(x),
    "mean of one place, flat": lambda x: layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x)),
    "sum of one place": lambda x: ops.sum(x, axis=(1, 2), keepdims=True),
    "maximum of one place": lambda x: layers.GlobalMaxPooling2D(keepdims=True)(x),
    "reshape to its own shape": lambda x: layers.Reshape((1, 1, 4))(x),
    "no padding": lambda x: layers.ZeroPadding2D(0)(x),
    "no cropping": lambda x: layers.Cropping2D(0)(x),
    "up by one": lambda x: layers.UpSampling2D(1)(x),
    "no transpose": lambda x: layers.Permute((1, 2, 3))(x),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_place_that_is_alone_exports_code_for_code(name, tmp_path):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((1, 1, 3), name="image")
    x = BODIES[name](layers.Conv2D(4, 1, name="before")(inputs))
    model = keras.Model(inputs, layers.Dense(5, name="after")(layers.Flatten()(x)))
    data = np.random.default_rng(0).normal(size=(64, 1, 1, 3)).astype("float32")
    result = export(quantize_model(model, calibration=[data]), tmp_path / "m.tflite", parity=[data]).parity
    assert (result.worst_equal, result.missing) == (1.0, ())


def test_what_moves_is_kept_though_the_shape_stays():
    shape = (None, 4, 4, 2)
    assert not moves_nothing("transpose", shape, shape, {"axes": [0, 2, 1, 3]})
    assert not moves_nothing("max_pool", shape, shape, {"size": [3, 3], "strides": [1, 1], "padding": "same"})
    assert moves_nothing("max_pool", shape, shape, {"size": [1, 1], "strides": [1, 1], "padding": "valid"})
    assert not moves_nothing("reshape", shape, (None, 2, 8, 2), {"shape": [-1, 2, 8, 2]})
