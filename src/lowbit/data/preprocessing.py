# SPDX-License-Identifier: Apache-2.0
"""From pixel values 0..255 to the numbers a model was trained on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lowbit.data.source import Array
from lowbit.errors import InputError
from lowbit.functions import is_function_word, resolve

# Mean and standard deviation of ImageNet's channels, for pixel values 0..1 (red, green, blue).
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

RESIZES = ("nearest", "bilinear", "bicubic", "lanczos", "area")


def _unit(values: Array) -> Array:
    values /= np.float32(255)
    return values


def _symmetric(values: Array) -> Array:
    values /= np.float32(127.5)
    values -= np.float32(1)
    return values


def _imagenet(values: Array) -> Array:
    values /= np.float32(255)
    values -= IMAGENET_MEAN
    values /= IMAGENET_DEVIATION
    return values


def _unchanged(values: Array) -> Array:
    return values


# Each works in place on float32 pixel values 0..255 of shape (batch, height, width, channels).
PREPROCESSES: dict[str, Callable[[Array], Array]] = {
    "0..1": _unit,
    "-1..1": _symmetric,
    "0..255": _unchanged,
    "imagenet": _imagenet,
    "none": _unchanged,
}

# What values of an already preprocessed array may lie in, by what the model wants.
RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0), "imagenet": (-2.2, 2.7)}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes a model's input; written on a model's card and read back from it.

    `preprocess` is one of `PREPROCESSES` or `module:function` (a function of a float32 batch of pixel values 0..255
    that returns such a batch). `image_size` is (height, width): the whole image is resized to it, its sides not kept
    in proportion, with Pillow's filter `resize` (which smooths when it shrinks). `channels` is 1 or 3 for image files.

    >>> Preprocessing(preprocess="-1..1").apply(np.array([[[[0.0], [255.0]]]], np.float32)).ravel().tolist()
    [-1.0, 1.0]
    """

    preprocess: str = "0..1"
    resize: str = "bilinear"
    image_size: tuple[int, int] | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.preprocess not in PREPROCESSES and not is_function_word(self.preprocess):
            raise InputError(
                received=f"preprocess={self.preprocess!r}",
                expected=f"one of {', '.join(PREPROCESSES)} or module:function",
                mend="pass for example --preprocess 0..1",
            )
        if self.resize not in RESIZES:
            raise InputError(
                received=f"resize={self.resize!r}",
                expected=f"one of {', '.join(RESIZES)}",
                mend="pass for example resize='bilinear'",
            )
        if self.channels is not None and self.channels < 1:
            raise InputError(
                received=f"channels={self.channels}", expected="1 (greyscale) or 3 (colour)", mend="pass channels=3"
            )
        if self.preprocess == "imagenet" and self.channels not in (None, 3):
            raise InputError(
                received=f"preprocess='imagenet' for images of {self.channels} channels",
                expected="3 channels (red, green, blue)",
                mend="pass channels=3 or another preprocessing",
            )

    @property
    def is_function(self) -> bool:
        """Whether the caller's own function does the work."""
        return self.preprocess not in PREPROCESSES

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data; `load_dataset(data, **this)` prepares the same data in the same way."""
        values = asdict(self)
        values["image_size"] = None if self.image_size is None else list(self.image_size)
        return values

    def apply(self, pixels: Array) -> Array:
        """float32 model inputs from pixel values 0..255, shape (batch, height, width, channels).

        Raises InputError when a function of the caller returns another number of samples, or values that are not
        finite numbers.
        """
        values = pixels.astype(np.float32)
        if not self.is_function:
            return PREPROCESSES[self.preprocess](values)
        made = np.asarray(resolve(self.preprocess)(values))
        if made.ndim == 0 or len(made) != len(pixels) or made.dtype.kind not in "fiu":
            raise InputError(
                received=f"{made.dtype} {made.shape} from {self.preprocess} for a batch of shape {pixels.shape}",
                expected=f"numbers with first axis {len(pixels)}",
                mend="return one array for each image of the batch",
            )
        made = made.astype(np.float32)
        if not np.isfinite(made).all():
            raise InputError(
                received=f"NaN or infinite values from {self.preprocess}",
                expected="finite numbers",
                mend="look for a division by zero in that function",
            )
        return made
