# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from lowbit.errors import InputError
from lowbit.report import samples_picture
from lowbit.report.picture import GAP, TILE


def test_images_in_their_colours_over_their_names(tmp_path):
    red = np.zeros((8, 8, 3), "uint8")
    red[..., 0] = 200
    samples_picture([(red, "red"), (np.full((8, 8, 1), 90, "uint8"), "grey")], tmp_path / "s.png", title="two")
    pixels = np.asarray(Image.open(tmp_path / "s.png"))
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3)}
    assert (200, 0, 0) in colours
    assert (90, 90, 90) in colours
    assert (pixels == (200, 0, 0)).all(axis=-1).sum() > 0.9 * (TILE - 2) ** 2


def test_small_images_are_enlarged_without_smoothing(tmp_path):
    checker = (np.indices((4, 4)).sum(axis=0) % 2 * 255).astype("uint8")
    samples_picture([(checker, None)], tmp_path / "s.png")
    tile = np.asarray(Image.open(tmp_path / "s.png"))[GAP + 1 : GAP + TILE - 1, GAP + 1 : GAP + TILE - 1]
    assert set(np.unique(tile)) == {0, 255}


def test_shape_is_kept_and_transparent_is_white(tmp_path):
    clear = np.zeros((10, 40, 4), "uint8")
    samples_picture([(clear, "a name that is far too long for one tile to hold")], tmp_path / "s.png")
    tile = np.asarray(Image.open(tmp_path / "s.png"))[GAP + TILE // 2, GAP + 2 : GAP + TILE - 2]
    assert (tile == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (10, 5), (18, 6), (20, 5)])
def test_few_places_stay_empty(tmp_path, count, columns):
    samples_picture([(np.zeros((8, 8), "uint8"), "0")] * count, tmp_path / "s.png")
    assert Image.open(tmp_path / "s.png").width == GAP + columns * (TILE + GAP)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "no image"),
        ([(np.zeros((8, 8, 3), "float32"), "x")], "dtype float32"),
        ([(np.zeros((8, 8, 2), "uint8"), "x")], r"shape \(8, 8, 2\)"),
    ],
)
def test_what_is_no_image(tmp_path, images, words):
    with pytest.raises(InputError, match=words):
        samples_picture(images, tmp_path / "s.png")
    assert not list(tmp_path.iterdir())
