# SPDX-License-Identifier: Apache-2.0
"""Real values to integer codes and back, for files whose inputs or outputs are integers.

The formulas of LiteRT's QUANTIZE and DEQUANTIZE, bit for bit: a file with integer input fed through `to_codes`
computes what the same file with float input computes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowbit.errors import InputError


def to_codes(values: NDArray[np.floating], scale: float, zero_point: int, dtype: type) -> NDArray[np.integer]:
    """`rint(values * (1 / scale)) + zero_point` in float32, half to even, clamped to the range of `dtype`.

    LiteRT multiplies by the reciprocal; dividing gives other codes at halves.

    >>> to_codes(np.array([-1.0, 0.0, 0.25, 9.0], "float32"), scale=0.5, zero_point=3, dtype=np.int8)
    array([ 1,  3,  3, 21], dtype=int8)
    """
    limits = np.iinfo(dtype)
    codes = np.multiply(values, np.float32(1) / np.float32(scale), dtype=np.float32)
    np.rint(codes, out=codes)
    codes += np.float32(zero_point)
    np.clip(codes, limits.min, limits.max, out=codes)
    return codes.astype(dtype)


def to_real(codes: NDArray[np.integer], scale: float, zero_point: int) -> NDArray[np.float32]:
    """`(codes - zero_point) * scale` in float32.

    >>> to_real(np.array([1, 3, 21], "int8"), scale=0.5, zero_point=3)
    array([-1.,  0.,  9.], dtype=float32)
    """
    return (codes.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def to_integers(values: NDArray[Any], dtype: type, name: str) -> NDArray[np.integer]:
    """Values for an integer input without a scale (token ids, say): unchanged, in `dtype`.

    Raises InputError naming the input when a value has a fraction or does not fit.
    """
    values = np.asarray(values)
    limits = np.iinfo(dtype)
    inside = (values >= limits.min) & (values <= limits.max) & (np.floor(values) == values)
    if not inside.all():
        raise InputError(
            received=f"value {values[~inside][0]} for input {name!r}",
            expected=f"whole numbers from {limits.min} to {limits.max}: this input has no scale",
            mend="feed the integers that the model was made for",
        )
    return values.astype(dtype)
