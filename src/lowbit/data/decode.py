# SPDX-License-Identifier: Apache-2.0
"""One encoded image -> uint8 pixels, by one stated rule; anything else than a whole image is refused by name.

The rule: the first frame; turned upright as its EXIF orientation says; transparency laid over white; 16-bit greyscale
divided by 257; then 3 channels (greyscale repeated) or 1 (luma, ITU-R 601); then resized as a whole.
"""

import io
import struct
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from lowbit.data.parallel import map_threads
from lowbit.data.source import Array
from lowbit.errors import FileFormatError, InputError

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}

# Only these are tried: other decoders of Pillow start programs (EPS) or read several files.
_FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
    GifImagePlugin.GifImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    PpmImagePlugin.PpmImageFile.format,
)
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap height and width
_EIGHT_BIT = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})

# What Pillow's decoders raise on damaged bytes, by format.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error)


class Encoded(Protocol):
    """An image as it is stored: a file, or bytes out of a data base."""

    @property
    def name(self) -> str:
        """Its place in the data set, the same on every machine."""

    @property
    def where(self) -> str:
        """Where a person finds it."""

    def open(self) -> BinaryIO:
        """A binary stream of its encoded bytes."""


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """An image file below the data folder `root`. Two strings, as there may be a million: a `Path` takes more memory
    than the rest of what is known of an image."""

    path: str
    root: str

    @property
    def name(self) -> str:
        """Its path below the folder, with one spelling of accents: macOS stores them decomposed, and the manifest must
        be the same everywhere."""
        return unicodedata.normalize("NFC", Path(self.path).relative_to(self.root).as_posix())

    @property
    def where(self) -> str:
        return self.path

    def open(self) -> BinaryIO:
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise InputError(
                received=f"image {self.path}, which cannot be read ({error.strerror})",
                expected="a readable file",
                mend="correct its permissions or remove it",
            ) from error


@dataclass(frozen=True)
class EncodedBytes:
    """An encoded image in memory; `name` says which of which set."""

    content: bytes
    name: str

    @property
    def where(self) -> str:
        return self.name

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


def probe(images: Sequence[Encoded]) -> list[tuple[int, int]]:
    """(height, width) of every image, upright, from its header alone.

    Raises FileFormatError for what is not an image, InputError for one of a single pixel's height or width, or one
    so large that decoding it might exhaust the memory (Pillow's limit; its warning counts as an error).
    """
    with warnings.catch_warnings():
        # Filters belong to the process, so they are set once here and not in each thread.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return map_threads(_upright_size, images)


def decode(image: Encoded, *, size: tuple[int, int], channels: int, resize: str) -> Array:
    """uint8 pixels of shape (height, width, channels), by the rule of this module.

    Raises FileFormatError naming the file when it is truncated or not an image, InputError as `probe` does.
    """
    with _opened(image) as opened:
        upright = ImageOps.exif_transpose(opened) if _orientation(opened) != 1 else opened
        pixels = _eight_bit(upright, image, "L" if channels == 1 else "RGB")
        if pixels.size != size[::-1]:
            pixels = pixels.resize(size[::-1], RESAMPLING[resize])
        return np.asarray(pixels).reshape(*size, channels)


def _upright_size(image: Encoded) -> tuple[int, int]:
    with _opened(image) as opened:
        width, height = opened.size
        return (width, height) if _orientation(opened) >= 5 else (height, width)


def _orientation(opened: Image.Image) -> int:
    """EXIF orientation 1 to 8, from what stands before the pixels (Pillow would decode a whole PNG to look behind)."""
    if opened.format == "PNG" and not {"exif", "Raw profile type exif"} & opened.info.keys():
        return 1
    return int(opened.getexif().get(_ORIENTATION, 1))


@contextmanager
def _opened(image: Encoded) -> Iterator[Image.Image]:
    """The image, header read; whatever goes wrong with it inside the block becomes an error that names it."""
    with image.open() as stream:
        try:
            with Image.open(stream, formats=_FORMATS) as opened:
                if min(opened.size) < 2:
                    raise InputError(
                        received=f"image {image.where} of {opened.width} x {opened.height} pixels",
                        expected="at least 2 x 2 pixels",
                        mend="replace or remove it",
                    )
                yield opened
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise InputError(
                received=f"image {image.where}, a possible decompression bomb ({error})",
                expected=f"at most {Image.MAX_IMAGE_PIXELS} pixels",
                mend="shrink or remove it",
            ) from error
        except UnidentifiedImageError as error:
            raise FileFormatError(
                received=f"{image.where}, which is not an image",
                expected="a JPEG, PNG, BMP, GIF, WebP, TIFF or PPM image",
                mend="replace or remove it",
            ) from error
        except _DAMAGED as error:
            raise FileFormatError(
                received=f"image {image.where}, which is damaged ({error})",
                expected="a whole image",
                mend="copy it anew or remove it",
            ) from error


def _eight_bit(opened: Image.Image, image: Encoded, mode: str) -> Image.Image:
    """The image in mode "L" or "RGB"."""
    if opened.mode.startswith("I;16"):
        deep = np.asarray(opened).astype(np.uint32)
        opened = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if opened.mode not in _EIGHT_BIT:
        raise InputError(
            received=f"image {image.where} with pixels of kind {opened.mode!r}",
            expected="8-bit greyscale or colour, or 16-bit greyscale",
            mend="convert it, or store such data in a .npz as float32",
        )
    if opened.has_transparency_data:
        layer = opened.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        opened = Image.alpha_composite(white, layer).convert("RGB")
    return opened if opened.mode == mode else opened.convert(mode)
