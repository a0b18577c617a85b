# SPDX-License-Identifier: Apache-2.0
"""Which layers train."""

import keras


def unfreeze(model: keras.Model) -> None:
    """Make every layer trainable, those inside nested models and wrapping layers too.

    Set layer by layer: `model.trainable = True` does not reach the frozen layers of a model that
    was loaded from a file (Keras 3.15).
    """
    for layer in model._flatten_layers(include_self=True, recursive=True):
        layer.trainable = True
