# SPDX-License-Identifier: Apache-2.0
"""What a layer that stays float costs: multiply-accumulates and weights, as they are counted in a file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

Shape = Sequence[int]


def multiply_accumulates(layer: Any, input_shape: Shape, output_shape: Shape) -> int:
    """Products summed for one sample; shapes without the batch axis. A recurrent layer's loop body counts once.

    What `TimeDistributed` wraps counts for every step: the file holds it that often.
    """
    if isinstance(layer, layers.Bidirectional):
        directions = (layer.forward_layer, layer.backward_layer)
        return sum(multiply_accumulates(one, input_shape, output_shape) for one in directions)
    if isinstance(layer, layers.TimeDistributed):
        return int(input_shape[0]) * multiply_accumulates(layer.layer, input_shape[1:], output_shape[1:])
    cell = getattr(layer, "cell", None)
    if cell is not None:
        return _places(layer, output_shape) * _in_cell(cell)
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        channels = int(layer.depthwise_kernel.shape[-2] * layer.depth_multiplier)
        places = int(np.prod(output_shape[:-1]))
        window = int(np.prod(layer.kernel_size))
        return places * channels * (window + int(output_shape[-1]))
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)):
        return int(np.prod(input_shape)) * int(np.prod(kernel.shape[:-1]))
    if isinstance(layer, layers.EinsumDense):
        return _einsum(layer, output_shape)
    is_depthwise = isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D))
    return int(np.prod(output_shape)) * int(np.prod(kernel.shape[: -2 if is_depthwise else -1]))


def weight_count(layer: Any) -> int:
    """Weights and biases of the file; a batch norm is a factor and a shift there."""
    if isinstance(layer, layers.BatchNormalization):
        return 2 * int(layer.moving_mean.shape[0])
    return sum(_size(weight) for weight in getattr(layer, "weights", ()))


def _in_cell(cell: Any) -> int:
    """Products of one step, at one place; `StackedRNNCells` holds several cells."""
    cells = getattr(cell, "cells", (cell,))
    return sum(_size(getattr(one, name, None)) for one in cells for name in ("kernel", "recurrent_kernel"))


def _places(layer: Any, output_shape: Shape) -> int:
    """Where a step's products are made: once, or at each place of a recurrent convolution's output."""
    rank = getattr(layer.cell, "rank", 0)
    if not rank:
        return 1
    is_last = layer.cell.data_format == "channels_last"
    return int(np.prod(output_shape[-rank - 1 : -1] if is_last else output_shape[-rank:]))


def _einsum(layer: layers.EinsumDense, output_shape: Shape) -> int:
    operands, made = layer.equation.split("->")
    kernel = operands.split(",")[1].replace("...", "")
    summed = [int(size) for letter, size in zip(kernel, layer.kernel.shape, strict=True) if letter not in made]
    return int(np.prod(output_shape)) * int(np.prod(summed))


def _size(weight: Any) -> int:
    return 0 if weight is None else int(np.prod(weight.shape))
