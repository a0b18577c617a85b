# SPDX-License-Identifier: Apache-2.0
"""Poolings: MEAN for global averages, MAX_POOL_2D for global maxima (REDUCE_MAX has no integer form in the file)."""

from typing import Any

import numpy as np
from keras import layers

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.arithmetic import axes_of, mean
from lowbit.graph.lowering.moving import channels_last, reshape, static
from lowbit.graph.lowering.registry import layer, operation
from lowbit.graph.steps import Builder, NoIntegerForm


@layer(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)
def _global_average(b: Builder, node: Node) -> int:
    channels_last(node)
    x = b.only_input()
    return mean(b, x, list(range(1, len(b.shape(x)) - 1)), node.operation.keepdims)


@layer(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D)
def _global_maximum(b: Builder, node: Node) -> int:
    channels_last(node)
    return _over_all_places(b, b.only_input(), node.operation.keepdims)


@operation("Max", "Amax")
def _maximum(b: Builder, node: Node) -> int:
    x, largest = b.only_input(), node.operation
    axes = axes_of(b, x, largest.axis)
    if axes != list(range(1, len(b.shape(x)) - 1)) or not axes or getattr(largest, "initial", None) is not None:
        raise NoIntegerForm("a maximum over other axes than all between batch and channels")
    return _over_all_places(b, x, largest.keepdims)


def _over_all_places(b: Builder, x: int, keepdims: bool) -> int:
    *sizes, channels = static(b.shape(x)[1:])
    rows, columns = (sizes[0], int(np.prod(sizes[1:])))
    image = x if len(sizes) == 2 else reshape(b, x, [rows, columns, channels], "image")
    window = [rows, columns]
    largest = b.primitive("max_pool", image, name="pooled", size=window, strides=window, padding="valid")
    return reshape(b, largest, [*([1] * len(sizes) if keepdims else []), channels])


@layer(layers.MaxPooling1D, layers.MaxPooling2D)
@operation("MaxPool")
def _max_pool(b: Builder, node: Node) -> int:
    return _pool(b, node, "max_pool")


@layer(layers.AveragePooling1D, layers.AveragePooling2D)
@operation("AveragePool")
def _average_pool(b: Builder, node: Node) -> int:
    return _pool(b, node, "average_pool")


def _pool(b: Builder, node: Node, kind: str) -> int:
    """Windows over one axis are windows of one column over an image one column wide."""
    channels_last(node)
    x, pooling = b.only_input(), node.operation
    rank = len(b.shape(x)) - 2
    size = _sizes(pooling.pool_size, rank)
    strides = _sizes(pooling.strides or pooling.pool_size, rank)
    if rank == 2:
        return b.primitive(kind, x, size=size, strides=strides, padding=pooling.padding)
    if rank != 1:
        raise NoIntegerForm(f"pooling over {rank} axes")
    length, channels = static(b.shape(x)[1:])
    image = reshape(b, x, [length, 1, channels], "image")
    pooled = b.primitive(kind, image, name="pooled", size=[*size, 1], strides=[*strides, 1], padding=pooling.padding)
    return reshape(b, pooled, [b.shape(pooled)[1], channels])


def _sizes(value: Any, rank: int) -> list[int]:
    return [int(value)] * rank if isinstance(value, int) else [int(size) for size in value]
