# SPDX-License-Identifier: Apache-2.0
"""Keras models from a user's files, simulations among them. Loads keras, so it is imported only when one is named."""

import os

import keras

import lowbit.simulation  # noqa: F401  registers the layers of saved simulations
from lowbit.zoo import load_file


def open_keras(path: str | os.PathLike[str]) -> keras.Model:
    """The model of a `.keras` or `.h5` file; raises what `lowbit.zoo.load_file` raises."""
    return load_file(path)
