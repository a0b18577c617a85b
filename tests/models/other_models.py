# SPDX-License-Identifier: Apache-2.0
"""Models of several inputs, sound, sequences and text."""

import keras
from keras import layers


def _two_branches(image, numbers):
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    y = layers.Dense(8, activation="relu", name="from_numbers")(numbers)
    x = layers.Concatenate(name="join")([x, y])
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    return {"digit": digit, "size": layers.Dense(1, name="size")(x)}


def two_inputs():
    """An image and its row sums in; the digit and its mean brightness out, in a dict."""
    image, numbers = keras.Input((8, 8, 1), name="image"), keras.Input((8,), name="numbers")
    return keras.Model([image, numbers], _two_branches(image, numbers), name="two_inputs")


def dict_inputs():
    """The same from a dict; its keys are not in alphabetical order."""
    numbers, image = keras.Input((8,), name="numbers"), keras.Input((8, 8, 1), name="image")
    return keras.Model({"numbers": numbers, "image": image}, _two_branches(image, numbers), name="dict_inputs")


def audio():
    """256 samples of sound in, 4 tones out."""
    inputs = keras.Input((256, 1), name="sound")
    x = layers.Conv1D(8, 9, strides=4, padding="same", use_bias=False, name="conv_1")(inputs)
    x = layers.ReLU(name="relu_1")(layers.BatchNormalization(name="norm_1")(x))
    x = layers.Conv1D(16, 5, strides=2, use_bias=False, name="conv_2")(x)
    x = layers.ReLU(name="relu_2")(layers.BatchNormalization(name="norm_2")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x), name="audio")


def _recurrent(kind, name):
    """The 8 rows of a digit, one after another."""
    inputs = keras.Input((8, 8), name="rows")
    x = layers.Dense(16, activation="relu", name="before")(inputs)
    x = kind(12, name="recurrent")(x)
    x = layers.Dense(16, activation="relu", name="after")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name=name)


def lstm():
    return _recurrent(layers.LSTM, "lstm")


def gru():
    return _recurrent(layers.GRU, "gru")


def text():
    """12 words of a vocabulary of 50, int32; 2 classes."""
    words = keras.Input((12,), dtype="int32", name="words")
    x = layers.Embedding(50, 16, name="table")(words)
    x = layers.Conv1D(16, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(words, layers.Dense(2, activation="softmax", name="head")(x), name="text")
