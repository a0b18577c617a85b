# SPDX-License-Identifier: Apache-2.0
"""Which layers train: the head alone, or all. Layer names tell the two apart, so it survives `.keras` and `.h5`."""

import keras

HEAD = "head_"
"""Names of the layers behind a zoo model's base begin so."""


def has_base(model: keras.Model) -> bool:
    """Whether `model` is a zoo model with a base under a head: one of `keras.applications`."""
    return any(layer.name.startswith(HEAD) for layer in model.layers)


def freeze_base(model: keras.Model) -> int:
    """Leave only the head trainable, as in the guide; batch norm of a frozen base uses its stored statistics.

    Returns the number of layers frozen: 0 for a model without a base (`small_cnn`, a loaded model), left as it was.
    """
    if not has_base(model):
        return 0
    base = [layer for layer in model.layers if not layer.name.startswith(HEAD)]
    for layer in base:
        layer.trainable = False
    return len(base)
