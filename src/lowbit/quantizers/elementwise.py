# SPDX-License-Identifier: Apache-2.0
"""LiteRT's int8 ops on two tensors, and RELU by itself, on integer-valued float32 tensors.

`centred` means code - zero point. Results are codes of the output, NOT yet clamped to its range; two operands may
broadcast.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from lowbit.quantizers import elementwise_tables, integer
from lowbit.quantizers.elementwise_fixed_point import multiplier_of
from lowbit.quantizers.elementwise_fixed_point import multiply as fixed_point_product
from lowbit.quantizers.on_jax import in_float64

Tensor = Any

_LEAST_RATIO, _RATIO_LIMIT = 2.0**-10, 2.0**8
"""XNNPACK adds where both scales / output scale lie in this range, its end left out."""


LEAST_PRODUCT_RATIO, PRODUCT_RATIO_LIMIT = 2.0**-16, 2.0**8
"""XNNPACK multiplies where product of scales / output scale lies in this range, its end left out.

Beyond its end every product but 0 is out of the output's codes, and the built-in kernel's 16-bit sum overflows to the
codes' other end (in whole blocks of 16 or 32 only): every file must keep away from that.
"""


@in_float64
def multiply(centred: Sequence[Tensor], scales: Sequence[Tensor], output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """MUL of two tensors: in XNNPACK, or in the built-in kernel where the output's scale is too coarse."""
    ratio = scales[0] * scales[1] / output_scale
    return ops.cond(
        ratio >= LEAST_PRODUCT_RATIO,
        lambda: _multiply_xnnpack(centred, ratio, zero_point),
        lambda: _codes(fixed_point_product(centred[0] * centred[1], multiplier_of(ratio)), zero_point),
    )


def square(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """MUL of a tensor with itself, by a table in XNNPACK; in the built-in kernel it is a product like others."""
    ratio = input_scale * input_scale / output_scale
    return ops.cond(
        ratio >= LEAST_PRODUCT_RATIO,
        lambda: elementwise_tables.square(centred, input_scale, output_scale, zero_point),
        lambda: multiply([centred, centred], [input_scale, input_scale], output_scale, zero_point),
    )


def _multiply_xnnpack(centred: Sequence[Tensor], ratio: Tensor, zero_point: Tensor) -> Tensor:
    # TensorFlow's graph optimizer turns (a * b) * scalar into (a * scalar) * b, which rounds otherwise; the rounding of
    # a product that is an integer already keeps it from that.
    product = ops.round(centred[0] * centred[1])
    return integer.requantize(product, ratio, zero_point)


def add(centred: Sequence[Tensor], scales: Sequence[Tensor], output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """ADD: in XNNPACK (`integer.add`), or in the built-in kernel where a scale is too far from the output's."""
    ratios = [scale / output_scale for scale in scales]
    low, high = ops.minimum(*ratios), ops.maximum(*ratios)
    spread = [centred[0] + ops.zeros_like(centred[1]), centred[1] + ops.zeros_like(centred[0])]
    return ops.cond(
        ops.logical_and(low >= _LEAST_RATIO, high < _RATIO_LIMIT),
        lambda: integer.add(spread, scales, output_scale, zero_point),
        lambda: add_fixed_point(spread, scales, output_scale, zero_point),
    )


def subtract(centred: Sequence[Tensor], scales: Sequence[Tensor], output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """SUB: ADD with the second operand's sign turned."""
    return add([centred[0], -centred[1]], scales, output_scale, zero_point)


@in_float64
def add_fixed_point(
    centred: Sequence[Tensor], scales: Sequence[Tensor], output_scale: Tensor, zero_point: Tensor
) -> Tensor:
    """ADD in LiteRT's built-in kernel, which runs where a scale / output scale is outside XNNPACK's 2^-10..2^8.

    SUB there is the same with the second operand's sign turned.
    """
    operands, grid = _on_one_grid(centred, scales, 20)
    ratio = grid * 2.0**-20 / ops.cast(output_scale, "float64")
    return _codes(fixed_point_product(operands[0] + operands[1], multiplier_of(ratio)), zero_point)


def _on_one_grid(centred: Sequence[Tensor], scales: Sequence[Tensor], bits: int) -> tuple[list[Tensor], Tensor]:
    """Both operands in steps of `grid / 2^bits`, and grid: twice the larger scale (float64)."""
    first, second = (ops.cast(scale, "float64") for scale in scales)
    grid = ops.cast(ops.maximum(*scales) * 2.0, "float64")
    operands = [
        fixed_point_product(ops.cast(values, "float64") * 2.0**bits, multiplier_of(scale / grid))
        for values, scale in zip(centred, (first, second), strict=True)
    ]
    return operands, grid


@in_float64
def rescale_fixed_point(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """QUANTIZE between int8 and int16 codes, a built-in kernel."""
    ratio = ops.cast(input_scale, "float64") / ops.cast(output_scale, "float64")
    return _codes(fixed_point_product(centred, multiplier_of(ratio)), zero_point)


@in_float64
def relu(centred: Tensor, input_scale: Tensor, output_scale: Tensor, zero_point: Tensor) -> Tensor:
    """RELU as an op by itself, a built-in kernel."""
    ratio = input_scale / output_scale
    return ops.maximum(_codes(fixed_point_product(centred, multiplier_of(ratio)), zero_point), zero_point)


def _codes(centred: Tensor, zero_point: Tensor) -> Tensor:
    return ops.cast(centred, "float32") + zero_point
