# SPDX-License-Identifier: Apache-2.0
"""Layers that move values without computing: their codes and scale pass through."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.registry import layer, operation
from lowbit.graph.steps import Builder, NoIntegerForm

PASSING = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
    layers.Identity,
    layers.RandomFlip,
    layers.RandomRotation,
    layers.RandomTranslation,
    layers.RandomZoom,
    layers.RandomContrast,
    layers.RandomBrightness,
    layers.RandomCrop,
)
"""Active in training at most, no operation in the file."""


@layer(*PASSING)
@operation("StopGradient", "Copy")
def _passed(b: Builder, node: Node) -> int:
    x = b.only_input()
    if isinstance(node.operation, layers.RandomCrop) and b.shape(x) != b.made_shapes()[0]:
        raise NoIntegerForm("a random crop to another size")
    return b.append("identity", (x,), b.shape(x), settings={"in_training": True})


@operation("ConvertToTensor")
def _converted(b: Builder, node: Node) -> int:
    """What Keras puts behind the inputs of a functional model that is called."""
    return b.only_input()


def channels_last(node: Node) -> None:
    if getattr(node.operation, "data_format", None) == "channels_first":
        raise NoIntegerForm("channels first")


def static(shape: Sequence[int | None]) -> list[int]:
    if any(size is None for size in shape):
        raise NoIntegerForm(f"the free shape {tuple(shape)}; give input_shape")
    return [int(size) for size in shape if size is not None]


def reshape(b: Builder, x: int, shape: Sequence[int | None], name: str = "") -> int:
    """`shape` without the batch axis."""
    return b.primitive("reshape", x, name=name, shape=[-1, *static(shape)])


@layer(layers.Flatten, layers.Reshape)
def _reshape(b: Builder, node: Node) -> int:
    channels_last(node)
    x = b.only_input()
    size = int(np.prod(static(b.shape(x)[1:])))
    if isinstance(node.operation, layers.Flatten):
        return reshape(b, x, [size])
    wanted = list(node.operation.target_shape)
    if -1 in wanted:
        wanted[wanted.index(-1)] = size // -int(np.prod(wanted))
    return reshape(b, x, wanted)


@layer(layers.Permute)
def _permute(b: Builder, node: Node) -> int:
    return b.primitive("transpose", b.only_input(), axes=[0, *node.operation.dims])


@layer(layers.RepeatVector)
def _repeat(b: Builder, node: Node) -> int:
    x = b.only_input()
    length = b.shape(x)[1]
    return b.primitive("broadcast", reshape(b, x, [1, length], "row"), shape=[int(node.operation.n), *static([length])])


@layer(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
def _zero_padding(b: Builder, node: Node) -> int:
    channels_last(node)
    return b.primitive("pad", b.only_input(), widths=[*_by_axis(node.operation.padding), [0, 0]])


@layer(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
def _cropping(b: Builder, node: Node) -> int:
    channels_last(node)
    x = b.only_input()
    sizes = static(b.shape(x)[1:])
    cut = [*_by_axis(node.operation.cropping), [0, 0]]
    stops = [size - end for size, (_, end) in zip(sizes, cut, strict=True)]
    return b.primitive("slice", x, starts=[start for start, _ in cut], stops=stops, steps=[1] * len(sizes))


def _by_axis(widths: Any) -> list[list[int]]:
    """(before, after) of each axis; a layer over one axis has just the pair."""
    pairs = [widths] if isinstance(widths[0], int) else widths
    return [[int(before), int(after)] for before, after in pairs]


@layer(layers.UpSampling1D)
def _up_sampling_1d(b: Builder, node: Node) -> int:
    x = b.only_input()
    length, channels = static(b.shape(x)[1:])
    image = reshape(b, x, [length, 1, channels], "image")
    longer = length * int(node.operation.size)
    resized = b.primitive("resize", image, name="resized", size=[longer, 1], method="nearest")
    return reshape(b, resized, [longer, channels])


@layer(layers.UpSampling2D)
def _up_sampling_2d(b: Builder, node: Node) -> int:
    channels_last(node)
    x = b.only_input()
    height, width, _ = static(b.shape(x)[1:])
    rows, columns = node.operation.size
    return resize(b, x, [height * rows, width * columns], node.operation.interpolation)


@layer(layers.Resizing)
@operation("Resize")
def _resizing(b: Builder, node: Node) -> int:
    channels_last(node)
    resizing = node.operation
    if resizing.crop_to_aspect_ratio or resizing.pad_to_aspect_ratio or getattr(resizing, "antialias", False):
        raise NoIntegerForm("a resize that keeps the aspect ratio or smooths")
    size = resizing.size if hasattr(resizing, "size") else (resizing.height, resizing.width)
    return resize(b, b.only_input(), [int(size[0]), int(size[1])], resizing.interpolation)


def resize(b: Builder, x: int, size: Sequence[int], method: str) -> int:
    if method not in ("nearest", "bilinear"):
        raise NoIntegerForm(f"{method} interpolation")
    return b.primitive("resize", x, size=list(size), method=method)
