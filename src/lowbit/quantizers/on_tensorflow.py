# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's kernels that do in one pass what elementary operations do in several; no other file here knows it."""

from typing import Any

import tensorflow as tf

Tensor = Any


def fake_quantize(x: Tensor, low: Tensor, high: Tensor, bits: int) -> Tensor:
    """`x` on the grid of `bits` from `low` to `high`; the gradient passes where `x` lies between them, else it is 0.

    TensorFlow's own gradient sums up those of `low` and `high` as well, which takes two passes more. XLA does not have
    the kernel that is used here.
    """

    @tf.custom_gradient
    def rounded(x: Tensor) -> Any:
        def gradient(upstream: Tensor) -> Tensor:
            return tf.raw_ops.QuantizeAndDequantizeV4Grad(
                gradients=upstream, input=x, input_min=low, input_max=high, axis=-1
            )[0]

        on_grid = tf.quantization.fake_quant_with_min_max_vars(x, low, high, num_bits=bits, narrow_range=bits == 16)
        return on_grid, gradient

    return rounded(x)


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x` normalized by its own statistics, its mean and its variance, the latter two of shape (channels,).

    The kernel reports the unbiased variance, x n / (n - 1); returned is the biased one that it normalizes by.

    Args:
        x: float32, channels last, any rank.
    """
    shape, channels = tf.shape(x), x.shape[-1]
    places = tf.reshape(x, (-1, 1, 1, channels)) if len(x.shape) != 4 else x
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=places,
        scale=gamma,
        offset=beta,
        mean=tf.zeros((0,)),
        variance=tf.zeros((0,)),
        epsilon=epsilon,
        data_format="NHWC",
        is_training=True,
    )
    count = tf.cast(tf.size(x), "float32") / float(channels)
    biased = variance * (tf.maximum(count - 1.0, 1.0) / count)
    return y if len(x.shape) == 4 else tf.reshape(y, shape), mean, biased
