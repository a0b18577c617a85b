# SPDX-License-Identifier: Apache-2.0
"""Multiplication by a real number as LiteRT's built-in kernels do it: a 31-bit significand, then a shift.

Source: gemmlowp's fixed-point arithmetic, rounded twice. Everything is an integer (or a power of two) in float64: call
these functions from a rule that is `in_float64`.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

Tensor = Any

_LOWEST, _HIGHEST = -63, 95
_POWERS = 2.0 ** np.arange(_LOWEST, _HIGHEST + 1)


class Multiplier(NamedTuple):
    """`significand x 2^-31 x left x right`: significand an integer in 2^30..2^31, the others powers of two.

    `left` is at least 1 and applied before the product, `right` at most 1 and applied after it. All float64, of the
    shape of the number they stand for.
    """

    significand: Tensor
    left: Tensor
    right: Tensor


def power_of_two(exponent: Tensor) -> Tensor:
    """2^exponent in float64, exact (a computed power need not be); exponent int32 in -63..95."""
    return ops.take(ops.convert_to_tensor(_POWERS, "float64"), exponent - _LOWEST)


def exponent_of(number: Tensor) -> Tensor:
    """The int32 e with `2^(e - 1) <= number < 2^e`, as C's frexp, but at least -63; number positive, below 2^95."""
    number = ops.expand_dims(ops.cast(number, "float64"), -1)
    return ops.sum(ops.cast(number >= ops.convert_to_tensor(_POWERS, "float64"), "int32"), axis=-1) + _LOWEST


def significand_of(number: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """`number = significand x 2^(exponent - bits)`: an integer rounded half up (float64), and an int32."""
    exponent = exponent_of(number)
    significand = floor(ops.cast(number, "float64") * power_of_two(bits - exponent) + 0.5)
    overflows = significand >= 2.0**bits
    return ops.where(overflows, significand * 0.5, significand), exponent + ops.cast(overflows, "int32")


def multiplier_of(number: Tensor, shift: int = 0) -> Multiplier:
    """The fixed-point form of `number x 2^shift`; number positive (best computed in float64), below 2^62.

    Below 2^-63 the significand has fewer bits; no code is large enough for that to tell.
    """
    significand, exponent = significand_of(number, 31)
    exponent = exponent + shift
    return Multiplier(significand, power_of_two(ops.maximum(exponent, 0)), power_of_two(ops.minimum(exponent, 0)))


def floor(number: Tensor) -> Tensor:
    """In the number's own type: on PyTorch `ops.floor` makes float32 of float64 (Keras 3.15)."""
    nearest = ops.round(number)
    return nearest - ops.cast(nearest > number, number.dtype)


def half_up_product(integers: Tensor, significand: Tensor) -> Tensor:
    """`floor(integers x significand / 2^31 + 1/2)`, exact for 31-bit integers although float64 holds 53 bits."""
    upper = floor(significand * 2.0**-16)
    lower = significand - upper * 2.0**16
    high = integers * upper * 2.0**-15
    whole = floor(high)
    return whole + floor((high - whole) + (integers * lower + 2.0**30) * 2.0**-31)


def half_away(number: Tensor) -> Tensor:
    """Rounded to the nearest integer, half away from zero."""
    return ops.sign(number) * floor(ops.abs(number) + 0.5)


def multiply(integers: Tensor, multiplier: Multiplier) -> Tensor:
    """Integers x the multiplier: half up at the product, half away from zero at the shift right. float64."""
    product = half_up_product(ops.cast(integers, "float64") * multiplier.left, multiplier.significand)
    return half_away(product * multiplier.right)
