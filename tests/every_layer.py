# SPDX-License-Identifier: Apache-2.0
"""A small model with every layer the first form of the simulation knows."""

import keras
import numpy as np
from keras import layers


def every_layer_model() -> keras.Model:
    """Weights, batch-norm statistics and gains are random, one gain negative, one channel dead."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="rescale")(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(name="stem_norm")(x)
    skip = layers.ReLU(6.0, name="stem_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(skip)
    x = layers.BatchNormalization(name="depthwise_norm")(x)
    x = layers.ReLU(6.0, name="depthwise_relu")(x)
    x = layers.Conv2D(8, 1, name="project")(x)
    x = layers.BatchNormalization(name="project_norm")(x)
    x = layers.Add(name="add")([skip, x])
    x = layers.BatchNormalization(name="lone_norm")(x)
    x = layers.ReLU(name="lone_relu")(x)
    x = layers.ZeroPadding2D(1, name="pad")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="wide")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="tanh", name="many_terms")(x)
    x = layers.MaxPooling2D(2, name="max_pool")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same", name="average_pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    a = layers.GlobalAveragePooling2D(name="global_pool")(x)
    b = layers.Flatten(name="flatten")(x)
    a = layers.Dense(12, activation="sigmoid", name="from_pool")(a)
    b = layers.Dense(12, name="from_flat")(b)
    x = layers.Add(name="join")([a, b])
    outputs = layers.Dense(10, activation="softmax", name="predictions")(x)
    model = keras.Model(inputs, outputs, name="every_layer")
    generator = np.random.default_rng(3)
    for weight in model.weights:
        if weight.path.endswith("gamma"):
            values = generator.uniform(0.5, 1.5, weight.shape)
            values[:2] = -0.7, 0.0
            weight.assign(values)
        elif weight.path.endswith(("beta", "bias", "moving_mean")):
            weight.assign(generator.normal(size=weight.shape))
        elif weight.path.endswith("moving_variance"):
            weight.assign(generator.uniform(0.5, 2, weight.shape))
    return model
