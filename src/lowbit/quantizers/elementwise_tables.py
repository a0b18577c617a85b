# SPDX-License-Identifier: Apache-2.0
"""LiteRT's int8 functions of one tensor, looked up in a table of all centred codes.

`centred` means code - zero point, an integer in -255..255 held in float32: whatever the zero point, 511 entries hold
them all. Results are codes of the output, NOT yet clamped to its range.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from lowbit.quantizers.affine import quotient, settled, square_root
from lowbit.quantizers.elementwise_fixed_point import (
    half_away,
    multiplier_of,
    multiply,
)
from lowbit.quantizers.on_jax import in_float64

Tensor = Any

_CENTRED = np.arange(-255, 256, dtype="float32")

def look_up(rule: Callable[[Tensor], Tensor], centred: Tensor) -> Tensor:
    """`rule(centred)` for a rule on single codes, computed 511 times only; NaN stays NaN, as in ops without a table."""
    table = ops.cast(rule(ops.convert_to_tensor(_CENTRED)), "float32")
    return taken(table, centred, first=255)


def taken(table: Tensor, codes: Tensor, first: int = 0) -> Tensor:
    """The entries of `table` for whole numbers from `-first`; NaN, which is no place in a table, stays NaN."""
    is_nan = ops.isnan(codes)
    places = ops.cast(ops.where(is_nan, 0.0, codes), "int32") + first
    return ops.where(is_nan, ops.cast(codes, table.dtype), ops.take(table, places))


@in_float64
def logistic(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """LOGISTIC in XNNPACK; its output scale is 1/256, its zero point -128."""
    return look_up(
        lambda c: _rounded_even(_exact(ops.sigmoid, _real(c, input_scale)), output_scale, zero_point), centred
    )


@in_float64
def square(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """MUL of a tensor with itself, which XNNPACK looks up as a function of one tensor: rounded other than a product."""
    return look_up(
        lambda c: _rounded_even(settled(ops.square(_real(c, input_scale))), output_scale, zero_point), centred
    )


@in_float64
def tanh(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """TANH in XNNPACK; its output scale is 1/128, its zero point 0."""
    return look_up(lambda c: _rounded_even(_exact(ops.tanh, _real(c, input_scale)), output_scale, zero_point), centred)


@in_float64
def gelu(
    centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor, *, approximate: bool
) -> Tensor:
    """GELU, a built-in kernel; `approximate` is the form with tanh.

    The other one takes C's `erfcf`, which no two mathematical libraries round alike: with glibc 2.36 four codes in
    twelve million differ from the correctly rounded function used here.
    """

    def rule(c: Tensor) -> Tensor:
        x = _real(c, input_scale)
        if approximate:
            bent = x + settled(settled(0.044715 * x) * x * x)
            gate = 1.0 + _exact(ops.tanh, bent * math.sqrt(2 / math.pi))
        else:
            gate = _exact(lambda wide: 1.0 + ops.erf(wide), x * math.sqrt(0.5))
        y = 0.5 * x * gate
        return _rounded_away(y, output_scale, zero_point)

    return look_up(rule, centred)


@in_float64
def sqrt(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """SQRT, a built-in kernel: cut off, not rounded. The runtime fails where centred is negative; here that gives 0."""

    def rule(c: Tensor) -> Tensor:
        root = square_root(_real(ops.maximum(c, 0.0), input_scale))
        return ops.floor(quotient(root, output_scale)) + zero_point

    return look_up(rule, centred)


@in_float64
def rsqrt(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """RSQRT, a built-in kernel. Centred 0 gives 127, and so do negative ones, where the runtime fails."""
    data = _roots_of_20_bits()

    def rule(c: Tensor) -> Tensor:
        step = ops.cast(square_root(input_scale) * output_scale, "float64")
        y = ops.cast(multiply(data, multiplier_of(ops.cast(1.0, "float64") / step, -20)), "float32")
        return ops.where(c > 0.0, y + zero_point, 127.0)

    return look_up(rule, centred)


def _roots_of_20_bits() -> np.ndarray:
    """`rint(2^20 / sqrt(code))` for each of `_CENTRED`; 1 less where the kernel's Newton iteration ends too low."""
    roots = np.floor(2.0**20 / np.sqrt(np.maximum(_CENTRED.astype("float64"), 1.0)) + 0.5)
    roots[np.isin(_CENTRED, (2, 8, 131))] -= 1.0
    return roots


def _real(centred: Tensor, scale: Tensor) -> Tensor:
    return settled(centred * scale)


def _exact(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function rounded to float32 as C's is; float32 approximations are a few units off in the last place."""
    return ops.cast(function(ops.cast(x, "float64")), "float32")


def _reciprocal(scale: Tensor) -> Tensor:
    """float32(1 / scale), through float64 as TensorFlow's compiled float32 reciprocal is approximate."""
    return ops.cast(ops.cast(1.0, "float64") / ops.cast(scale, "float64"), "float32")


def _rounded_even(real: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Rounded with the zero point taken in: 0.5000005 - 128 is -127.5 in float32 and gives -128."""
    return ops.round(settled(real * _reciprocal(scale)) + zero_point)


def _rounded_away(real: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    return half_away(settled(real * _reciprocal(scale))) + zero_point
