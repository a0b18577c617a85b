# SPDX-License-Identifier: Apache-2.0
"""Encoded images as a source of samples: decoded on all cores, kept when they fit into memory."""

import hashlib
from collections.abc import Sequence

import numpy as np

from lowbit.data.decode import Encoded, decode
from lowbit.data.parallel import map_threads
from lowbit.data.source import Array

INPUT = "image"


class ImageSource:
    """Images of one split. `keep`: decode all of them once, on first use, instead of for every batch."""

    def __init__(
        self, images: Sequence[Encoded], *, size: tuple[int, int], channels: int, resize: str, keep: bool
    ) -> None:
        self._images = list(images)
        self._size, self._channels, self._resize = size, channels, resize
        self._keep = keep
        self._kept: Array | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """`{"image": (height, width, channels)}`."""
        return {INPUT: (*self._size, self._channels)}

    @property
    def pixels(self) -> frozenset[str]:
        """Images are pixels."""
        return frozenset({INPUT})

    @property
    def in_memory(self) -> bool:
        """Whether the images are decoded once and kept."""
        return self._keep

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: Sequence[int] | Array) -> dict[str, Array]:
        """uint8 pixels, shape (len(indices), height, width, channels). Raises FileFormatError naming a damaged file."""
        if self._keep:
            self.check()
        if self._kept is not None:
            return {INPUT: self._kept[np.asarray(indices, np.int64)]}
        return {INPUT: self._decode([self._images[index] for index in indices])}

    def check(self) -> None:
        """Decode all images when they are to be kept; a set too large for that is checked while it is read."""
        if self._keep and self._kept is None:
            self._kept = self._decode(self._images)

    def fingerprints(self) -> list[str]:
        """Name and SHA-256 of each encoded image."""
        return map_threads(_fingerprint, self._images)

    def _decode(self, images: Sequence[Encoded]) -> Array:
        decoded = np.empty((len(images), *self._size, self._channels), np.uint8)

        def fill(position: int) -> None:
            decoded[position] = decode(images[position], size=self._size, channels=self._channels, resize=self._resize)

        map_threads(fill, range(len(images)))
        return decoded


def _fingerprint(image: Encoded) -> str:
    with image.open() as stream:
        return f"{image.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}"  # type: ignore[arg-type]
