# SPDX-License-Identifier: Apache-2.0
"""The runtime's integer arithmetic, computed on integer-valued float32 tensors.

Source: XNNPACK's requantization as LiteRT 2.3 runs it on x86, read off and confirmed code by code.
`centred` means code - zero point. All rounding is half to even unless said otherwise.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from lowbit.quantizers.elementwise_fixed_point import floor, half_away, half_up_product, multiplier_of
from lowbit.quantizers.on_jax import in_float64

Tensor = Any

_EXACT = float(2**24)
"""float32 holds every integer below this."""

_DIGIT = 16
_POWERS = np.array([2.0**k for k in range(-12, 10)], dtype="float32")


def clamp(codes: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    return ops.minimum(ops.maximum(codes, lowest), highest)


def requantize(accumulator: Tensor, multiplier: Tensor, zero_point: Tensor) -> Tensor:
    """`rint(float32(accumulator) * multiplier) + zero point`, not yet clamped."""
    return ops.round(accumulator * multiplier) + zero_point


@in_float64
def requantize_fixed_point(
    accumulator: Tensor, scales: Sequence[Tensor], zero_point: Tensor, *, half_up: Tensor | bool
) -> Tensor:
    """As LiteRT's built-in kernels do, rounded twice as by `elementwise_fixed_point.multiply`; found by comparing codes
    with LiteRT 2.3 on x86.

    `scales` are those of input, weights and output. `half_up`, for each channel or all: half up at the shift, else
    half away from zero.
    """
    input_scale, weight_scale, output_scale = (ops.cast(scale, "float64") for scale in scales)
    multiplier = multiplier_of(input_scale * weight_scale / output_scale)
    high = half_up_product(ops.cast(accumulator, "float64") * multiplier.left, multiplier.significand)
    shifted = high * multiplier.right
    rounded = ops.where(half_up, floor(shifted + 0.5), half_away(shifted))
    return ops.cast(rounded, "float32") + zero_point


def exact_product_sum(
    product: Callable[[Tensor, Tensor], Tensor],
    centred: Tensor,
    codes: Tensor,
    bias_codes: Tensor,
    *,
    terms: int,
    largest_code: int,
) -> Tensor:
    """`float32(int32(product(centred, codes) + bias))`, exact although float32 does the work.

    Args:
        product: a convolution or matmul, linear in its second argument.
        centred: input codes - zero point, in +-255.
        codes: weight codes, in +-largest_code.
        bias_codes: shape (channels,), in int32's range.
        terms: products summed for one output value.

    When the sum could pass 2^24, the weight codes are written in base 16, each digit summed
    exactly by itself, and the digits joined in int32.
    """
    if 255.0 * largest_code * terms < _EXACT:
        return product(centred, codes) + bias_codes
    total = ops.cast(bias_codes, "int32")
    for weight, digit in _digits(codes, largest_code, terms):
        total = total + ops.cast(product(centred, digit), "int32") * weight
    return ops.cast(total, "float32")


def _digits(codes: Tensor, largest_code: int, terms: int) -> list[tuple[int, Tensor]]:
    base = _DIGIT
    while 255.0 * (base // 2) * terms >= _EXACT and base > 2:
        base //= 2
    digits, weight, bound = [], 1, largest_code
    while bound > base // 2:
        rest = ops.round(codes / float(base))
        digits.append((weight, codes - rest * float(base)))
        codes, weight, bound = rest, weight * base, (bound + base // 2) // base
    return [*digits, (weight, codes)]


def add(centred: Sequence[Tensor], scales: Sequence[Tensor], output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """Two centred inputs -> codes: 20-bit fixed-point multipliers, half up, then an arithmetic shift."""
    ratios = [scale / output_scale for scale in scales]
    largest = ops.maximum(ratios[0], ratios[1])
    exponent = ops.sum(ops.cast(largest >= ops.convert_to_tensor(_POWERS), "int32")) - 13
    shift = 20 - exponent
    power = ops.take(ops.convert_to_tensor(2.0 ** np.arange(0, 40), "float32"), shift)
    total = ops.left_shift(ops.ones_like(shift), shift - 1)
    for values, ratio in zip(centred, ratios, strict=True):
        multiplier = ops.cast(ops.round(ratio * power), "int32")
        total = total + ops.cast(values, "int32") * multiplier
    return ops.cast(ops.right_shift(total, shift), "float32") + zero_point


def mean_half_away(total: Tensor, count: Tensor) -> Tensor:
    """`total / count` of integers in float32, rounded half away from zero, in integer arithmetic."""
    total, count = ops.cast(total, "int32"), ops.cast(count, "int32")
    magnitude = ops.floor_divide(2 * ops.abs(total) + count, 2 * count)
    return ops.cast(ops.sign(total) * magnitude, "float32")
