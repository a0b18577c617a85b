# SPDX-License-Identifier: Apache-2.0
"""A picture of sample images with their class names."""

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lowbit.errors import InputError
from lowbit.files import replacing

TILE = 144  # pixels: the longer side of an image
GAP = 12
CAPTION = 22
_BACKGROUND, _INK, _FRAME = "white", "#1a1a1a", "#c8c8c8"


def samples_picture(
    images: Sequence[tuple[NDArray[np.uint8], str | None]], path: str | os.PathLike[str], *, title: str | None = None
) -> None:
    """Write a grid of images (uint8, HxW, HxWx1, HxWx3 or HxWx4), each over its class name.

    Small images are enlarged without smoothing, as a net sees them. Raises InputError for no image, or one of another
    form, and where the place cannot be written.
    """
    if not images:
        raise InputError(received="no image", expected="at least one sample image", mend="choose a split with samples")
    count = len(images)
    columns = _columns(count)
    rows = math.ceil(count / columns)
    top = GAP + (CAPTION + GAP if title else 0)
    canvas = Image.new("RGB", (GAP + columns * (TILE + GAP), top + rows * (TILE + CAPTION + GAP)), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((GAP, GAP), _shortened(title, canvas.width - 2 * GAP, _font(16)), fill=_INK, font=_font(16))
    for number, (pixels, name) in enumerate(images):
        row, column = divmod(number, columns)
        left, upper = GAP + column * (TILE + GAP), top + row * (TILE + CAPTION + GAP)
        image = _tile(pixels)
        corner = (left + (TILE - image.width) // 2, upper + (TILE - image.height) // 2)
        canvas.paste(image, corner)
        draw.rectangle((*corner, corner[0] + image.width - 1, corner[1] + image.height - 1), outline=_FRAME)
        if name is not None:
            text = _shortened(name, TILE, _font(13))
            draw.text((left + TILE / 2, upper + TILE + 4), text, fill=_INK, font=_font(13), anchor="ma")
    with replacing(path) as temporary:
        canvas.save(temporary)


def _columns(count: int) -> int:
    """About half as many again as rows, and as few places left empty as can be."""
    wanted = math.ceil(math.sqrt(1.6 * count))
    choices = range(min(count, max(wanted - 1, 4)), min(count, max(wanted + 1, 5)) + 1)
    return min(choices, key=lambda columns: (-count % columns, abs(columns - wanted)))


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise InputError(
            received=f"an image of shape {pixels.shape} and dtype {pixels.dtype}",
            expected="uint8 of shape HxW, HxWx1, HxWx3 or HxWx4",
            mend="pass the images as they are before preprocessing",
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image)
    factor = TILE / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    method = Image.Resampling.NEAREST if factor >= 3 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, method)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, cut with an ellipsis where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
