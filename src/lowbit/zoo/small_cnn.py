# SPDX-License-Identifier: Apache-2.0
"""`small_cnn`: every kind of op a mobile network has, small enough to train in seconds on a CPU."""

from typing import Any

import keras
from keras import layers

# Batch norm's memory. Keras's 0.99 looks back 100 steps, four epochs of digits: too stale to validate on.
_MOMENTUM = 0.9
_STEM, _WIDTH, _EXPANSION = 24, 48, 2


def small_cnn(input_name: str, shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two convolutions, an inverted residual block (1x1, depthwise 3x3, 1x1, addition), global pooling, softmax.

    About 22,000 parameters for digits (8x8x1, 10 classes). Every operation has an exact integer form.

    Args:
        shape: (height, width, channels) of one sample.
    """
    image = keras.Input(shape, name=input_name)
    x = _convolution(image, _STEM, stride=1, name="stem")
    x = _convolution(x, _WIDTH, stride=2, name="down")
    x = _inverted_residual(x, name="block")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="predictions")(x), name="small_cnn")


def _convolution(x: Any, filters: int, *, stride: int, name: str) -> Any:
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _norm_relu6(x, name)


def _inverted_residual(x: Any, *, name: str) -> Any:
    """The block of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381): its last convolution has no activation."""
    y = layers.Conv2D(_WIDTH * _EXPANSION, 1, use_bias=False, name=f"{name}_expand")(x)
    y = _norm_relu6(y, f"{name}_expand")
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(y)
    y = _norm_relu6(y, f"{name}_depthwise")
    y = layers.Conv2D(_WIDTH, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_project_norm")(y)
    return layers.Add(name=f"{name}_add")([x, y])


def _norm_relu6(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x)
