# SPDX-License-Identifier: Apache-2.0
"""LiteRT's int8 ops that gather many values into one: means, sums, products of matrices, pooling, softmax.

Read off LiteRT 2.3 on x86 and confirmed code by code; all on integer-valued float32 tensors. `centred` means
code - zero point; a grid is (scale, zero point). Results are codes of the output, NOT yet clamped to its range.

Everything with constant weights that XNNPACK runs, FULLY_CONNECTED of any rank, CONV_2D dilated or grouped,
DEPTHWISE_CONV_2D, TRANSPOSE_CONV, per tensor or per channel, is `integer.exact_product_sum` and `integer.requantize`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from lowbit.quantizers import integer
from lowbit.quantizers.elementwise_fixed_point import multiplier_of, multiply

Tensor = Any
Grid = tuple[Tensor, Tensor]

_FLOAT32_TERMS = 2**24 // (255 * 255)
"""float32 sums this many products of two centred codes exactly."""

_LEVELS = 256
"""Codes of an int8 tensor; also the reciprocal of softmax's output scale."""


def mean(centred: Tensor, source: Grid, target: Grid, *, axis: Sequence[int], keepdims: bool = False) -> Tensor:
    """MEAN in XNNPACK, over any axes of a tensor of any rank.

    Not a fused multiply-add: the sum of the RAW codes is multiplied, and the zero points of all terms are taken off
    afterwards, in one float32 constant. Next to a half its rounding decides.
    """
    count = math.prod(centred.shape[position] for position in axis)
    # a number written out: TensorFlow's optimizer would turn a division by a constant into another one
    share = float(np.float32(1.0) / np.float32(count))
    return _requantized_sum(centred, source, target, (source[0] / target[0]) * share, count, axis, keepdims)


def total(centred: Tensor, source: Grid, target: Grid, *, axis: Sequence[int], keepdims: bool = False) -> Tensor:
    """SUM in XNNPACK, as `mean` without its division. Without XNNPACK LiteRT's own kernel rounds otherwise."""
    count = math.prod(centred.shape[position] for position in axis)
    return _requantized_sum(centred, source, target, source[0] / target[0], count, axis, keepdims)


def _requantized_sum(
    centred: Tensor, source: Grid, target: Grid, multiplier: Tensor, count: int, axis: Sequence[int], keepdims: bool
) -> Tensor:
    offset = source[1] * float(count)
    summed = ops.sum(ops.cast(centred, "int32"), axis=tuple(axis), keepdims=keepdims)
    raw = ops.cast(summed + ops.cast(offset, "int32"), "float32")
    return ops.round(raw * multiplier + (target[1] - offset * multiplier))


def batch_matmul(first: Tensor, second: Tensor, scales: Sequence[Tensor], target: Grid, second_zero: Tensor) -> Tensor:
    """BATCH_MATMUL of two computed tensors: XNNPACK takes it where the second's zero point is 0, and rounds once.

    Any other zero point is left to the built-in kernel: fixed point, rounded twice.

    Args:
        first: centred, shape (..., rows, terms).
        second: centred, shape (..., terms, columns); transposed already where the op says so.
        scales: of first and second.
        second_zero: zero point of the second.
    """
    sums = exact_matmul(first, second)
    # the runtime multiplies the scales in float32; XNNPACK divides in float32 too, the built-in kernel in float64
    scale = scales[0] * scales[1]
    ratio = ops.cast(scale, "float64") / ops.cast(target[0], "float64")
    return ops.where(
        ops.equal(second_zero, 0.0),
        integer.requantize(ops.cast(ops.round(sums), "float32"), scale / target[0], target[1]),
        ops.cast(multiply(sums, multiplier_of(ratio)), "float32") + target[1],
    )


def exact_matmul(first: Tensor, second: Tensor) -> Tensor:
    """The product of integers in +-255, exact; float64 where float32 could not hold it."""
    if first.shape[-1] <= _FLOAT32_TERMS:
        return ops.matmul(first, second)
    return ops.matmul(ops.cast(first, "float64"), ops.cast(second, "float64"))


def average_pool(codes: Tensor, *, pool_size: tuple[int, int], strides: tuple[int, int], padding: str) -> Tensor:
    """AVERAGE_POOL_2D, a built-in kernel: the mean of raw codes half away from zero; what lies outside is not counted.

    Args:
        codes: raw codes, shape (batch, rows, columns, channels).
        padding: "valid" or "same".
    """
    settings = {"strides": strides, "padding": padding, "data_format": "channels_last"}
    inside = ops.ones((1, *codes.shape[1:3], 1))
    count = ops.conv(inside, ops.ones((*pool_size, 1, 1)), **settings)
    # float64: a float32 mean x count is no longer next to the integer it stands for in large windows
    pooled = ops.average_pool(ops.cast(codes, "float64"), pool_size, **settings)
    summed = ops.cast(ops.round(pooled * ops.cast(count, "float64")), "float32")
    return integer.mean_half_away(summed, ops.round(count))


def softmax(centred: Tensor, input_scale: Tensor) -> Tensor:
    """SOFTMAX over the last axis, a built-in kernel; its output scale is 1/256, its zero point -128.

    Exponentials come from a table in float32 and are added one after the other in float32. `cumsum` does that on
    TensorFlow; an exact sum differs in about one code in a million.
    """
    below = ops.max(centred, axis=-1, keepdims=True) - centred
    steps = ops.convert_to_tensor(np.arange(_LEVELS, dtype="float32"))
    table = ops.cast(ops.exp(ops.cast(-input_scale * steps, "float64")), "float32")
    exponentials = ops.take(table, ops.cast(below, "int32"))
    summed = ops.cumsum(exponentials, axis=-1)[..., -1:]
    # in float64 and back, as the float32 reciprocal of the optimizer is an approximation
    reciprocal = ops.cast(float(_LEVELS) / ops.cast(summed, "float64"), "float32")
    probabilities = ops.cast(exponentials * reciprocal, "float64")
    return ops.cast(ops.floor(probabilities + 0.5), "float32") - float(_LEVELS // 2)
