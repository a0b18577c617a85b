# SPDX-License-Identifier: Apache-2.0
"""The rule of decoding, pixel by pixel, and images that are refused by name."""

import io
import re
import warnings

import numpy as np
import pytest
from PIL import Image

from lowbit.data.decode import EncodedBytes, decode, probe
from lowbit.errors import FileFormatError, InputError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> EncodedBytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return EncodedBytes(stream.getvalue(), "picture")


def decoded(image: EncodedBytes, size=(2, 2), channels=3) -> np.ndarray:
    return decode(image, size=size, channels=channels, resize="nearest")


def grey(values) -> Image.Image:
    return Image.fromarray(np.array(values, np.uint8))


def test_greyscale_is_repeated():
    pixels = decoded(encoded(grey([[0, 1], [2, 255]])))
    assert pixels.shape == (2, 2, 3)
    assert pixels.dtype == np.uint8
    assert pixels[..., 1].tolist() == [[0, 1], [2, 255]]
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_colour_to_one_channel_is_luma():
    red_green = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]] * 2, np.uint8))
    assert decoded(encoded(red_green), channels=1)[0, :, 0].tolist() == [76, 150]  # 0.299 and 0.587 of 255


def test_transparency_lies_over_white():
    layer = np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]] * 2, np.uint8)  # clear, black
    assert decoded(encoded(Image.fromarray(layer)))[0, :, 0].tolist() == [255, 0]
    half = np.array([[[100, 0], [100, 255]]] * 2, np.uint8)
    assert decoded(encoded(Image.fromarray(half, "LA")), channels=1)[0, :, 0].tolist() == [255, 100]


def test_transparent_palette_colour():
    palette = grey([[0, 1], [0, 1]]).convert("P")
    assert decoded(encoded(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]


def test_sixteen_bit_greyscale_is_scaled():
    deep = Image.fromarray(np.array([[0, 257], [32896, 65535]], np.uint16))
    assert decoded(encoded(deep), channels=1)[..., 0].tolist() == [[0, 1], [128, 255]]


def test_cmyk_becomes_colour():
    assert decoded(encoded(Image.new("CMYK", (2, 2)), "JPEG"))[0, 0].tolist() == [255, 255, 255]


# Where the top left pixel of the stored image is shown, for a 2 x 3 image, by EXIF orientation.
@pytest.mark.parametrize(
    "orientation, size, place",
    [
        (1, (2, 3), (0, 0)),
        (2, (2, 3), (0, 2)),
        (3, (2, 3), (1, 2)),
        (4, (2, 3), (1, 0)),
        (5, (3, 2), (0, 0)),
        (6, (3, 2), (0, 1)),
        (7, (3, 2), (2, 1)),
        (8, (3, 2), (2, 0)),
    ],
)
def test_exif_orientation(orientation, size, place):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = encoded(grey([[200, 0, 0], [0, 0, 0]]), exif=exif)
    assert probe([image]) == [size]
    pixels = decoded(image, size=size, channels=1)
    assert pixels[(*place, 0)] == 200
    assert pixels.sum() == 200


def test_resize_takes_the_whole_image():
    image = encoded(grey([[0, 0, 200, 200]] * 4))
    pixels = decode(image, size=(2, 2), channels=1, resize="area")
    assert pixels[..., 0].tolist() == [[0, 200], [0, 200]]


def test_first_frame_of_an_animation():
    frames = [grey(np.full((2, 2), value)) for value in (10, 20)]
    assert decoded(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[0, 0, 0] == 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_truncated(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    cut = EncodedBytes(whole.content[: len(whole.content) // 2], "half.bin")
    with pytest.raises(FileFormatError, match="half.bin"):
        probe([cut])
        decoded(cut, size=(64, 64))


@pytest.mark.parametrize("content", [b"", b"not an image", bytes(range(256)) * 4], ids=["empty", "text", "bytes"])
def test_not_an_image(content):
    with pytest.raises(FileFormatError, match="received junk.jpg, which is not an image; expected a JPEG, PNG"):
        probe([EncodedBytes(content, "junk.jpg")])


def test_postscript_is_not_run():
    with pytest.raises(FileFormatError, match="evil.jpg, which is not an image"):
        probe([EncodedBytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "evil.jpg")])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_one_pixel(size):
    width, height = size
    with pytest.raises(InputError, match=rf"image picture of {width} x {height} pixels; expected at least 2 x 2"):
        probe([encoded(Image.new("L", size))])


@pytest.mark.parametrize("times", [1.5, 3], ids=["warning", "error"])
def test_decompression_bomb(monkeypatch, times):
    """Pillow warns above its limit and raises above twice the limit; both are refused, with nothing else printed."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(100 / times))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match=r"image picture, a possible decompression bomb.*expected at most \d+ pix"):
            probe([encoded(Image.new("L", (10, 10)))])
    assert not seen


def test_float_image_is_refused():
    image = encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")
    with pytest.raises(InputError, match=re.escape("pixels of kind 'F'")):
        decoded(image)


def test_the_first_bad_image_is_named():
    good, bad = encoded(Image.new("L", (4, 4))), [EncodedBytes(b"", f"bad{index}") for index in range(2)]
    with pytest.raises(FileFormatError, match="bad0"):
        probe([good, *bad] * 20)
