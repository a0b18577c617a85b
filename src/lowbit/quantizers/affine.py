# SPDX-License-Identifier: Apache-2.0
"""Affine quantization: real = scale x (code - zero point).

Source: Jacob et al. 2018 (arXiv:1712.05877) and LiteRT's 8-bit quantization specification. Every
function works on tensors of the current Keras backend in float32, so that the scale a simulation
trains with is, bit for bit, the scale that is written into the file.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.quantizers.on_jax import in_float64

Tensor = Any

MINIMAL_RANGE = 1e-4
"""Real units. Narrower ranges give scales that LiteRT's delegate refuses to load (measured)."""


def reciprocal(number: float) -> float:
    """1 / number in float32, to multiply by.

    A division by a constant is turned into this multiplication by TensorFlow's graph optimizer, and not in eager mode;
    written as a multiplication the result is the same bits everywhere.
    """
    return float(np.float32(1) / np.float32(number))


def settled(number: Tensor) -> Tensor:
    """A finite float32 number unchanged, rounded as it is: no compiler looks through the maximum.

    TensorFlow's graph optimizer reorders products. So does XLA (always on JAX), which also rounds a product and a sum
    together in one multiply-add, and drops a rounding to float32 between two float64 numbers. Next to a half each
    changes a code.
    """
    return ops.maximum(number, -3e38)


@in_float64
def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Of float32 numbers, correctly rounded, where the denominator is broadcast.

    XLA multiplies by the float32 reciprocal of such a one. In float64 that is too near to the quotient to be rounded
    to another float32 number.
    """
    if keras.backend.backend() != "jax":
        return numerator / denominator
    return settled(ops.cast(ops.cast(numerator, "float64") / ops.cast(denominator, "float64"), "float32"))


@in_float64
def square_root(number: Tensor) -> Tensor:
    """In float32, correctly rounded; PyTorch's own float32 root is off by one unit in the last place here and there."""
    return settled(ops.cast(ops.sqrt(ops.cast(number, "float64")), "float32"))


def code_range(bits: int, *, narrow: bool = False) -> tuple[int, int]:
    """Smallest and largest code of a signed integer; `narrow` leaves out the lowest.

    >>> code_range(8), code_range(4, narrow=True)
    ((-128, 127), (-7, 7))
    """
    highest = 2 ** (bits - 1) - 1
    return (-highest if narrow else -highest - 1), highest


def activation_parameters(
    minimum: Tensor, maximum: Tensor, bits: int, *, symmetric: bool = False
) -> tuple[Tensor, Tensor]:
    """Scale and zero point (both float32 scalars) that represent `[minimum, maximum]` and exactly 0.

    8 bits: asymmetric over all 256 codes, or `symmetric` with zero point 0. 16 bits: always symmetric, codes in
    +-32767.
    A range of zero width is widened to `MINIMAL_RANGE`.
    """
    low = ops.minimum(minimum, 0.0)
    high = ops.maximum(maximum, 0.0)
    lowest, highest = code_range(bits)
    if bits == 16 or symmetric:
        bound = ops.maximum(ops.maximum(-low, high), MINIMAL_RANGE)
        return settled(bound * reciprocal(highest)), ops.zeros_like(bound)
    scale = settled(ops.maximum(high - low, MINIMAL_RANGE) * reciprocal(highest - lowest))
    zero_point = ops.clip(ops.round(float(lowest) - low / scale), lowest, highest)
    return scale, zero_point


@in_float64
def widened(scale: Tensor, zero_point: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and zero point in 16 bits of the range that an 8-bit grid has; as litert-quantizer derives them."""
    lowest, highest = code_range(8)
    steps = ops.maximum(zero_point - float(lowest), float(highest) - zero_point)
    bound = ops.cast(scale, "float64") * ops.cast(steps, "float64")
    return settled(ops.cast(bound / float(code_range(16)[1]), "float32")), ops.zeros_like(zero_point)


def fake_quantize_range(scale: Tensor, zero_point: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """The real values of the lowest and highest code, as fake-quantization ops take them."""
    lowest, highest = code_range(bits, narrow=bits == 16)
    return (float(lowest) - zero_point) * scale, (float(highest) - zero_point) * scale


def range_in_float64(scale: float, zero_point: int, bits: int) -> tuple[float, float]:
    """A (min, max) from which litert-quantizer derives exactly this scale and zero point."""
    lowest, highest = code_range(bits, narrow=bits == 16)
    exact = float(np.float32(scale))
    return (lowest - zero_point) * exact, (highest - zero_point) * exact
