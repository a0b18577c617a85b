# SPDX-License-Identifier: Apache-2.0
"""What the caller of `load_dataset` asked for, checked before any data is touched."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lowbit.data.preprocessing import Preprocessing
from lowbit.errors import InputError

LARGEST_SIDE = 4096  # pixels; a batch of 32 such colour images in float32 is 6 GB already


@dataclass(frozen=True, kw_only=True)
class Options:
    """Arguments of `load_dataset`; None means "as the data is".

    Raises InputError for an unknown preprocessing or resize method, an impossible size or a negative seed.
    """

    preprocess: str | None = None
    resize: str = "bilinear"
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    seed: int = 0
    keep: bool = True
    tfds_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(received=f"seed={self.seed}", expected="a seed of 0 or more", mend="pass --seed 0")
        self.settings()

    def settings(
        self, *, preprocess: str = "0..1", image_size: tuple[int, int] | None = None, channels: int | None = None
    ) -> Preprocessing:
        """The preprocessing of a data set, with what the data itself says where the caller left it open."""
        return Preprocessing(
            preprocess=preprocess if self.preprocess is None else self.preprocess,
            resize=self.resize,
            image_size=self.image_size or image_size,
            channels=self.channels or channels,
        )


def image_size_of(value: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) in pixels of `128`, `(128, 96)` or `[128, 96]`; None stays None. Raises InputError otherwise.

    >>> image_size_of(128)
    (128, 128)
    """
    pair = (value, value) if isinstance(value, int) else value
    if pair is None:
        return None
    if (
        isinstance(pair, str)
        or len(pair) != 2
        or not all(isinstance(side, int) and 2 <= side <= LARGEST_SIDE for side in pair)
    ):
        raise InputError(
            received=f"image_size={value!r}",
            expected=f"a side, or height and width, of 2 to {LARGEST_SIDE} pixels",
            mend="pass for example image_size=128 (--image-size 128)",
        )
    return pair[0], pair[1]
