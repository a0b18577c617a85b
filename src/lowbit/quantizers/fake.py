# SPDX-License-Identifier: Apache-2.0
"""Rounding to a grid while training; the gradient passes straight through (Bengio et al. 2013, arXiv:1308.3432)."""

from typing import Any

import keras
from keras import ops

from lowbit.quantizers.kernels import KERNELS
from lowbit.quantizers.mode import is_for_xla


def trained_fake_quantize(x: Any, low: Any, high: Any, bits: int) -> Any:
    """As `fake_quantize`, and the gradient of the values below and above the range reaches its ends."""
    return keras.quantizers.fake_quant_with_min_max_vars(x, low, high, num_bits=bits, narrow_range=bits == 16)


def fake_quantize(x: Any, low: Any, high: Any, bits: int) -> Any:
    """`x` on the grid of `bits` from `low` to `high`, float32 scalars; the gradient passes between them, only."""
    if KERNELS is not None and not is_for_xla():
        return KERNELS.fake_quantize(ops.convert_to_tensor(x), low, high, bits)
    return trained_fake_quantize(x, low, high, bits)
