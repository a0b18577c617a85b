# SPDX-License-Identifier: Apache-2.0
"""Small models, and the ImageNet weights where the environment says they lie."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import pytest


@pytest.fixture
def tiny_model() -> Callable[[], keras.Model]:
    """Builds a model of image (4, 4, 1) -> 3 classes with one convolution and one batch norm."""

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        image = keras.Input((4, 4, 1), name="image")
        x = keras.layers.Conv2D(2, 3, name="conv")(image)
        x = keras.layers.BatchNormalization(name="norm")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="classes")(x), name="tiny")

    return build


@pytest.fixture
def imagenet_weights() -> Path:
    """MobileNetV2 0.35, ImageNet, without its classifier."""
    folder = os.environ.get("LOWBIT_TEST_DATA")
    if folder is None:
        pytest.skip("LOWBIT_TEST_DATA is not set: it names the folder that holds weights/")
    return Path(folder) / "weights" / "mobilenet_v2_0.35_224_no_top.h5"
