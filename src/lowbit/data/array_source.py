# SPDX-License-Identifier: Apache-2.0
"""Arrays in memory as a source of samples, images among them fitted to the size and channels asked for."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lowbit.data.decode import RESAMPLING
from lowbit.data.parallel import map_threads
from lowbit.data.source import Array
from lowbit.errors import InputError

_LUMA = np.array([0.299, 0.587, 0.114])  # red, green, blue; ITU-R 601


@dataclass(frozen=True)
class ArrayPart:
    """Arrays of one given split, or of data without splits: inputs by name, and class indices or None."""

    inputs: Mapping[str, Array]
    labels: Array | None


@dataclass(frozen=True)
class Fit:
    """Shape (height, width, channels) that pixel arrays are brought to, and the filter that resizes them."""

    shape: tuple[int, int, int]
    resize: str

    def __call__(self, images: Array) -> Array:
        """Batch of pixels, uint8 or float32, shape (batch, height, width, channels) -> (batch, *shape), same dtype."""
        images = _with_channels(images, self.shape[2])
        if images.shape[1:] == self.shape:
            return images
        return np.stack(map_threads(self._resized, list(images)))

    def _resized(self, image: Array) -> Array:
        height, width, channels = self.shape
        planes = [
            Image.fromarray(np.ascontiguousarray(image[..., channel])).resize((width, height), RESAMPLING[self.resize])
            for channel in range(channels)
        ]
        return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _with_channels(images: Array, channels: int) -> Array:
    have = images.shape[-1]
    if have == channels:
        return images
    if have == 1:
        return np.repeat(images, channels, axis=-1)
    if (have, channels) == (3, 1):
        grey = (images @ _LUMA)[..., None]
        return np.rint(grey).astype(np.uint8) if images.dtype == np.uint8 else grey.astype(images.dtype)
    raise InputError(
        received=f"images of {have} channels where {channels} are asked for",
        expected="the same number, 1 repeated, or 3 reduced to 1",
        mend=f"pass channels={have} or convert the images",
    )


class ArraySource:
    """Named arrays of one split, samples along the first axis; `fits` names those brought to another shape.

    `keep`: fit all samples now instead of batch by batch.
    """

    def __init__(
        self, inputs: Mapping[str, Array], *, pixels: frozenset[str], fits: Mapping[str, Fit], keep: bool = True
    ) -> None:
        self._fingerprinted = dict(inputs)
        self._inputs = dict(inputs)
        if keep:
            self._inputs |= {name: fit(inputs[name]) for name, fit in fits.items()}
        self._fits = {} if keep else dict(fits)
        self._pixels = pixels
        self._shapes = {name: fits[name].shape if name in fits else values.shape[1:] for name, values in inputs.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample by input name, after fitting."""
        return dict(self._shapes)

    @property
    def pixels(self) -> frozenset[str]:
        """Names of the inputs that hold pixel values 0..255."""
        return self._pixels

    @property
    def in_memory(self) -> bool:
        """False when images are fitted batch by batch."""
        return not self._fits

    def __len__(self) -> int:
        return len(next(iter(self._inputs.values())))

    def take(self, indices: Sequence[int] | Array) -> dict[str, Array]:
        """The samples at these positions, by input name."""
        chosen = np.asarray(indices, np.int64)
        taken = {name: values[chosen] for name, values in self._inputs.items()}
        return {name: self._fits[name](values) if name in self._fits else values for name, values in taken.items()}

    def check(self) -> None:
        """Nothing to decode: arrays were checked when they were read."""

    def fingerprints(self) -> list[str]:
        """SHA-256 of each sample's values, shapes and types, before fitting."""
        return [self._fingerprint(index) for index in range(len(self))]

    def _fingerprint(self, index: int) -> str:
        digest = hashlib.sha256()
        for name in sorted(self._fingerprinted):
            sample = self._fingerprinted[name][index]
            little = np.ascontiguousarray(sample, dtype=sample.dtype.newbyteorder("<"))
            digest.update(f"{name} {little.dtype.str} {little.shape} ".encode())
            digest.update(little.tobytes())
        return digest.hexdigest()
