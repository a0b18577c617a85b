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

import keras
import numpy as np
from keras import ops

from lowbit.quantizers import integer
from lowbit.quantizers.affine import settled
from lowbit.quantizers.elementwise_fixed_point import floor, multiplier_of, multiply
from lowbit.quantizers.elementwise_tables import taken
from lowbit.quantizers.on_jax import in_float64

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
    return _requantized_sum(centred, source, target, settled((source[0] / target[0]) * share), count, axis, keepdims)


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
    return ops.round(settled(raw * multiplier) + (target[1] - settled(offset * multiplier)))


@in_float64
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
    """The product of integers in +-255, exact: sums that float32 may not hold are added up in float64."""
    terms = first.shape[-1]
    if terms <= _FLOAT32_TERMS:
        return ops.matmul(first, second)
    parts = [slice(start, start + _FLOAT32_TERMS) for start in range(0, terms, _FLOAT32_TERMS)]
    sums = [ops.cast(ops.matmul(first[..., part], second[..., part, :]), "float64") for part in parts]
    return sum(sums[1:], sums[0])


@in_float64
def average_pool(codes: Tensor, *, pool_size: tuple[int, int], strides: tuple[int, int], padding: str) -> Tensor:
    """AVERAGE_POOL_2D, a built-in kernel: the mean of raw codes half away from zero; what lies outside is not counted.

    Args:
        codes: raw codes, shape (batch, rows, columns, channels).
        padding: "valid" or "same".
    """
    # padded here with zeros, so that every window has all its places: backends do not divide alike at the edge
    edges = [(0, 0), (0, 0)] if padding == "valid" else list(map(_same_padding, codes.shape[1:3], pool_size, strides))

    def window_sum(values: Tensor) -> Tensor:
        # float64: a float32 mean x size is no longer next to the integer it stands for in large windows
        padded = ops.pad(ops.cast(values, "float64"), [(0, 0), *edges, (0, 0)])
        pooled = ops.average_pool(padded, pool_size, strides, "valid", "channels_last")
        return ops.round(pooled * float(math.prod(pool_size)))

    return integer.mean_half_away(window_sum(codes), window_sum(ops.ones((1, *codes.shape[1:3], 1))))


def _same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Places before and after an axis, as TensorFlow pads it."""
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2


@in_float64
def softmax(centred: Tensor, input_scale: Tensor) -> Tensor:
    """SOFTMAX over the last axis, a built-in kernel; its output scale is 1/256, its zero point -128.

    Exponentials come from a table in float32 and are added one after the other in float32; an exact sum differs in
    about one code in a million.
    """
    below = ops.max(centred, axis=-1, keepdims=True) - centred
    steps = ops.convert_to_tensor(np.arange(_LEVELS, dtype="float32"))
    table = ops.cast(ops.exp(ops.cast(-input_scale * steps, "float64")), "float32")
    exponentials = taken(table, below)
    summed = _sum_in_order(exponentials)
    # in float64 and back, as the float32 reciprocal of the optimizer is an approximation
    reciprocal = ops.cast(float(_LEVELS) / ops.cast(summed, "float64"), "float32")
    probabilities = ops.cast(exponentials * reciprocal, "float64")
    return ops.cast(floor(probabilities + 0.5), "float32") - float(_LEVELS // 2)


def _sum_in_order(numbers: Tensor) -> Tensor:
    """The float32 sum over the last axis, which stays with size 1, added from the first to the last.

    On TensorFlow `cumsum` does just that and is fast; on JAX it adds in another order, on PyTorch in float64.
    """
    if keras.backend.backend() == "tensorflow":
        return ops.cumsum(numbers, axis=-1)[..., -1:]
    total, _ = ops.scan(
        lambda total, each: (total + each, None), ops.zeros_like(numbers[..., 0]), ops.moveaxis(numbers, -1, 0)
    )
    return total[..., None]
