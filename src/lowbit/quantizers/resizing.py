# SPDX-License-Identifier: Apache-2.0
"""LiteRT's int8 RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR, on integer-valued float32 tensors.

Read off LiteRT 2.3 on x86 and confirmed code by code. The scale passes through, so all works on codes, raw or centred;
weights and positions follow from the shapes alone. Results lie in the input's range.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

Tensor = Any

_BITS = 11
"""Fractional bits of one axis's weight."""


class _Axis(NamedTuple):
    """For each output position the two input positions and the second one's weight in 2^-11."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray


def resize_bilinear(
    codes: Tensor, size: tuple[int, int], *, align_corners: bool = False, half_pixel_centers: bool = True
) -> Tensor:
    """RESIZE_BILINEAR in XNNPACK: 11-bit weights for each axis, rounded once, half up.

    Args:
        codes: raw codes, shape (batch, rows, columns, channels).
        size: rows and columns of the output.
        align_corners: corners stay corners; it overrides `half_pixel_centers`.
    """
    rows = _bilinear_axis(codes.shape[1], size[0], align_corners, half_pixel_centers)
    columns = _bilinear_axis(codes.shape[2], size[1], align_corners, half_pixel_centers)
    values = ops.cast(codes, "int32")
    upper, lower = (_blend(ops.take(values, part, axis=1), columns, axis=2) for part in (rows.first, rows.second))
    weight = ops.convert_to_tensor(rows.weight.reshape(1, -1, 1, 1))
    blended = upper * 2**_BITS + (lower - upper) * weight
    return ops.cast(ops.right_shift(blended + 2 ** (2 * _BITS - 1), 2 * _BITS), "float32")


def resize_nearest(
    codes: Tensor, size: tuple[int, int], *, align_corners: bool = False, half_pixel_centers: bool = False
) -> Tensor:
    """RESIZE_NEAREST_NEIGHBOR, a built-in kernel; arguments as in `resize_bilinear`, but both flags count."""
    for axis, length in ((1, size[0]), (2, size[1])):
        chosen = _nearest_positions(codes.shape[axis], length, align_corners, half_pixel_centers)
        codes = ops.take(codes, chosen, axis=axis)
    return codes


def _blend(values: Tensor, axis_weights: _Axis, axis: int) -> Tensor:
    shape = [1] * 4
    shape[axis] = -1
    first, second = (ops.take(values, part, axis=axis) for part in (axis_weights.first, axis_weights.second))
    return first * 2**_BITS + (second - first) * ops.convert_to_tensor(axis_weights.weight.reshape(shape))


def _bilinear_axis(length: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> _Axis:
    """All in float32, as the runtime does it: the last bit decides a weight."""
    position = np.arange(wanted, dtype="float32")
    factor = _factor(length, wanted, align_corners)
    half = np.float32(0.5)
    if half_pixel_centers and not align_corners:
        position = np.clip((position + half) * factor - half, np.float32(0), np.float32(length - 1))
    else:
        position = position * factor
    first = np.minimum(position.astype("int32"), length - 1)
    second = np.minimum(first + 1, length - 1)
    weight = np.rint((position - first.astype("float32")) * np.float32(2**_BITS))
    return _Axis(first, second, weight.astype("int32"))


def _nearest_positions(length: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    half = np.float32(0.5)
    position = np.arange(wanted, dtype="float32") + (half if half_pixel_centers else np.float32(0))
    position = position * _factor(length, wanted, align_corners)
    position = np.floor(position + half) if align_corners else np.floor(position)
    return np.clip(position, 0, length - 1).astype("int32")


def _factor(length: int, wanted: int, align_corners: bool) -> np.float32:
    if align_corners and wanted > 1:
        return np.float32(length - 1) / np.float32(wanted - 1)
    return np.float32(length) / np.float32(wanted)
