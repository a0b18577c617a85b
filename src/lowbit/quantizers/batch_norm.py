# SPDX-License-Identifier: Apache-2.0
"""Batch normalization in training, with the backend's fused kernel where it fits (Ioffe and Szegedy 2015)."""

from typing import Any

import keras
from keras import ops

from lowbit.quantizers.kernels import KERNELS

Tensor = Any


def normalize(norm: keras.layers.BatchNormalization, x: Tensor, *, training: bool) -> Tensor:
    """What `norm(x, training=training)` computes, moving statistics included, in fewer passes where that is possible.

    Keras composes it of elementary operations on every backend. The kernels fit a float32 layer on the last axis that
    is neither synchronized nor renormalized.
    """
    if KERNELS is None or not (training and norm.trainable and _fits(norm, x)):
        return norm(x, training=training)
    channels = (x.shape[-1],)
    gamma = ops.ones(channels) if norm.gamma is None else ops.convert_to_tensor(norm.gamma)
    beta = ops.zeros(channels) if norm.beta is None else ops.convert_to_tensor(norm.beta)
    y, mean, variance = KERNELS.batch_norm(x, gamma, beta, norm.epsilon)
    for moving, value in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + ops.stop_gradient(value) * (1.0 - norm.momentum))
    return y


def _fits(norm: keras.layers.BatchNormalization, x: Tensor) -> bool:
    is_last = norm.axis in (-1, len(x.shape) - 1)
    is_plain = not (norm.renorm or norm.synchronized)
    return is_last and is_plain and keras.backend.standardize_dtype(x.dtype) == norm.compute_dtype == "float32"
