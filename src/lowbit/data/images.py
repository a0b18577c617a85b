# SPDX-License-Identifier: Apache-2.0
"""From lists of encoded images and their labels to a data set, whether they come from a folder or from tfds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lowbit.data.dataset import Dataset, assemble
from lowbit.data.decode import Encoded, probe
from lowbit.data.image_source import ImageSource
from lowbit.data.options import Options
from lowbit.data.partition import plan
from lowbit.data.source import MEMORY_LIMIT_BYTES, Array
from lowbit.errors import InputError


@dataclass(frozen=True)
class ImagePart:
    """Images of one given split, or of data without splits; labels are class indices or None."""

    images: Sequence[Encoded]
    labels: Array | None


def from_images(
    name: str,
    parts: Mapping[str, ImagePart],
    options: Options,
    *,
    class_names: tuple[str, ...] | None,
    channels: int = 3,
) -> Dataset:
    """The data set of these images, every header checked, every image decoded when they fit into memory.

    `channels` (1 or 3) holds when the options leave it open. Raises InputError for images that are damaged, too
    small, too large, or of several sizes when no size is asked for.
    """
    channels = options.channels or channels
    if channels not in (1, 3):
        raise InputError(
            received=f"channels={channels}", expected="1 (greyscale) or 3 (colour) for images", mend="pass channels=3"
        )
    everything = [image for part in parts.values() for image in part.images]
    sizes = probe(everything)
    size = options.image_size or _common_size(everything, sizes)
    settings = options.settings(image_size=size, channels=channels)
    keep = options.keep and len(everything) * math.prod(size) * channels <= MEMORY_LIMIT_BYTES
    splits = plan({key: (len(part.images), part.labels) for key, part in parts.items()}, seed=options.seed)
    sources = {}
    for split, (key, indices) in splits.items():
        part = parts[key]
        source = ImageSource(
            [part.images[index] for index in indices.tolist()],
            size=size,
            channels=channels,
            resize=options.resize,
            keep=keep,
        )
        sources[split] = source, None if part.labels is None else np.asarray(part.labels)[indices]
    return assemble(name=name, sources=sources, settings=settings, class_names=class_names)


def _common_size(images: Sequence[Encoded], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The (height, width) that all images share; raises InputError naming two that differ."""
    first = sizes[0]
    for image, size in zip(images, sizes):
        if size != first:
            raise InputError(
                received=f"images of several sizes: {images[0].where} is {first[0]} x {first[1]} (height x width), "
                f"{image.where} is {size[0]} x {size[1]}",
                expected="one size",
                mend="pass the size to resize them to, for example image_size=128 (--image-size 128)",
            )
    return first
