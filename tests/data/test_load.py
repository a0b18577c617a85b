# SPDX-License-Identifier: Apache-2.0
"""Words and options of `load_dataset`, the manifest, and what importing the room loads."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from lowbit.data import PREPROCESSES, RESIZES, Preprocessing, load_dataset
from lowbit.errors import InputError


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_size": 1}, "image_size=1; expected a side, or height and width, of 2 to 4096 pixels"),
        ({"image_size": (8, 0)}, r"image_size=\(8, 0\)"),
        ({"image_size": (8, 8, 3)}, r"image_size=\(8, 8, 3\)"),
        ({"preprocess": "0..2"}, r"preprocess='0..2'; expected one of 0..1, -1..1, 0..255, imagenet, none or module"),
        ({"resize": "cubic"}, "resize='cubic'; expected one of nearest, bilinear"),
        ({"channels": -1}, "channels=-1; expected 1"),
        ({"seed": -1}, "seed=-1; expected a seed of 0 or more"),
    ],
)
def test_options_are_checked_before_the_data_is_touched(options, message):
    with pytest.raises(InputError, match=message):
        load_dataset("no/such/folder", **options)


@pytest.mark.parametrize("word", ["", "  "])
def test_empty_word(word):
    with pytest.raises(InputError, match="received an empty name"):
        load_dataset(word)


def test_word_too_long_for_a_path():
    with pytest.raises(InputError, match="which is not there"):
        load_dataset("x/" * 5000)


def test_preprocessing_reproduces(class_folders):
    first = load_dataset(class_folders, image_size=(8, 10), preprocess="-1..1", resize="area", channels=1)
    settings = json.loads(json.dumps(first.preprocessing))
    assert settings == {"preprocess": "-1..1", "resize": "area", "image_size": [8, 10], "channels": 1}
    assert load_dataset(class_folders, **settings).manifest() == first.manifest()


@pytest.mark.parametrize(
    "preprocess, expected",
    [
        ("0..1", [0.0, 0.2, 1.0]),
        ("-1..1", [-1.0, -0.6, 1.0]),
        ("0..255", [0.0, 51.0, 255.0]),
        ("none", [0.0, 51.0, 255.0]),
    ],
)
def test_exact_values(preprocess, expected):
    made = Preprocessing(preprocess=preprocess).apply(np.array([0, 51, 255], np.uint8))
    assert made.dtype == np.float32
    assert made.tolist() == [np.float32(value) for value in expected]


def test_imagenet_values():
    white = Preprocessing(preprocess="imagenet").apply(np.full((1, 1, 1, 3), 255, np.uint8))
    assert white.ravel() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-4)


def test_preprocessing_leaves_its_input_alone():
    pixels = np.full((1, 2, 2, 3), 9, np.float32)
    for preprocess in PREPROCESSES:
        Preprocessing(preprocess=preprocess).apply(pixels)
    assert (pixels == 9).all()


@pytest.mark.parametrize("resize", RESIZES)
def test_every_resize_method(class_folders, resize):
    [(inputs, _)] = load_dataset(class_folders, image_size=4, resize=resize).test.batches()
    assert inputs["image"].shape == (4, 4, 4, 3)


def test_manifest_does_not_depend_on_the_place(class_folders, tmp_path):
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(class_folders, copy)
    assert load_dataset(copy).manifest() == load_dataset(class_folders).manifest()


@pytest.mark.parametrize("change", ["pixel", "name", "label", "class order", "seed", "preprocess"])
def test_manifest_notices(class_folders, make_image, change):
    before = load_dataset(class_folders).manifest()
    options = {}
    if change == "pixel":
        make_image("pets/cat/00.png", value=55)
    elif change == "name":
        (class_folders / "cat" / "00.png").rename(class_folders / "cat" / "z.png")
    elif change == "label":
        (class_folders / "cat" / "00.png").rename(class_folders / "dog" / "z.png")
    elif change == "class order":
        (class_folders / "classes.txt").write_text("0,dog\n1,cat")
    else:
        options = {"seed": 1} if change == "seed" else {"preprocess": "-1..1"}
    assert load_dataset(class_folders, **options).manifest() != before


def test_importing_the_room_loads_nothing_heavy():
    heavy = {"keras", "tensorflow", "tensorflow_datasets", "scipy", "rich", "matplotlib"}
    code = f"import sys, lowbit.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
