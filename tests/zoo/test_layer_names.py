# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from lowbit.zoo.layer_names import _fixed_names, _snake_case, with_fixed_names


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.Conv2D(1, 1), "conv2d"),
        (layers.ReLU(), "re_lu"),
        (layers.BatchNormalization(), "batch_normalization"),
        (layers.GlobalAveragePooling2D(), "global_average_pooling2d"),
        (layers.ZeroPadding2D(), "zero_padding2d"),
    ],
)
def test_the_automatic_name_of_a_class(layer: layers.Layer, name: str) -> None:
    assert _snake_case(type(layer).__name__) == name
    assert layer.name.startswith(name)


def test_only_automatic_names_are_numbered_anew() -> None:
    old = [("image", "InputLayer"), ("add_3", "Add"), ("block_1_add", "Add"), ("add_9", "Add"), ("conv2d_x", "Conv2D")]
    assert list(_fixed_names(old).values()) == ["image", "add", "block_1_add", "add_1", "conv2d_x"]


def test_a_renamed_model_is_the_same_model() -> None:
    layers.Dense(1)  # moves Keras's numbering on
    x = keras.Input((3,), name="x")
    y = layers.Dense(4)(x)
    y = layers.Concatenate()([y * 2.0, layers.Dense(4, trainable=False)(y)])
    model = keras.Model(x, [y, layers.Dense(2, name="out")(y)], name="model")
    renamed = with_fixed_names(model)
    assert [op.name for op in renamed.operations] == ["x", "dense", "multiply", "dense_1", "concatenate", "out"]
    assert not renamed.get_layer("dense_1").trainable
    data = np.ones((2, 3), np.float32)
    assert all(np.array_equal(a, b) for a, b in zip(renamed(data), model(data), strict=True))
    assert renamed.name == "model"


def test_a_model_of_named_layers_is_left_alone() -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(2, name="out")(x))
    assert with_fixed_names(model) is model
