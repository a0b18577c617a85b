# SPDX-License-Identifier: Apache-2.0
"""Layouts of image folders, and folders that are refused."""

import re

import numpy as np
import pytest

from lowbit.data import load_dataset
from lowbit.errors import FileFormatError, InputError


def values(split) -> list[int]:
    """Grey value of each image, which names it in these tests."""
    return [int(round(float(v))) for inputs, _ in split.batches() for v in inputs["image"][:, 0, 0, 0] * 255]


def test_class_folders_are_divided(class_folders):
    pets = load_dataset(class_folders)
    assert pets.name == "pets"
    assert pets.counts == {"train": 32, "validation": 4, "test": 4}
    assert pets.class_names == ("cat", "dog")
    assert pets.inputs == {"image": (6, 8, 3)}
    assert pets.preprocessing["image_size"] == [6, 8]
    everything = values(pets.train) + values(pets.validation) + values(pets.test)
    assert sorted(everything) == [*range(20), *range(100, 120)]
    for split in (pets.train, pets.validation, pets.test):
        assert [value >= 100 for value in values(split)] == split.labels.astype(bool).tolist()
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2


def test_division_repeats_with_the_seed(class_folders):
    first, again, other = (values(load_dataset(class_folders, seed=seed).test) for seed in (1, 1, 2))
    assert first == again != other


def test_split_folders(make_image, tmp_path):
    for split, count in (("train", 3), ("validation", 2), ("test", 1)):
        for index in range(count):
            make_image(f"{split}/a/{index}.png", value=index)
            make_image(f"{split}/b/deeper/{index}.png", value=10 + index)
    (tmp_path / "LICENSE").write_text("files beside the folders do not matter")
    data = load_dataset(tmp_path)
    assert data.counts == {"train": 6, "validation": 4, "test": 2}
    assert values(data.train) == [0, 1, 2, 10, 11, 12]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_validation_is_taken_from_train_when_missing(make_image, tmp_path):
    for index in range(10):
        make_image(f"train/a/{index}.png")
        make_image(f"train/b/{index}.png")
    make_image("test/a/0.png")
    make_image("test/b/0.png")
    assert load_dataset(tmp_path).counts == {"train": 18, "validation": 2, "test": 2}


def test_test_folder_alone_cannot_calibrate(make_image, tmp_path):
    make_image("test/a/0.png")
    make_image("test/b/0.png")
    data = load_dataset(tmp_path)
    assert data.counts == {"test": 2}
    with pytest.raises(InputError, match="holds test only; expected training data to calibrate with"):
        data.calibration()
    with pytest.raises(InputError, match="split 'train' of .*; expected one of test;"):
        data.split("train")


def test_flat_folder_is_unlabelled(make_image, tmp_path):
    for index in range(5):
        make_image(f"{index}.png", value=index)
    (tmp_path / "notes.txt").write_text("ignored")
    data = load_dataset(tmp_path)
    assert data.counts == {"train": 5}
    assert data.train.labels is None
    assert data.class_names is None
    assert data.classes is None
    assert sorted(values(data.calibration(3))) != []
    [(_, labels)] = data.train.batches()
    assert labels is None


def test_classes_file_gives_the_order(class_folders):
    (class_folders / "classes.txt").write_text("1,cat,Cat\n0,dog,Dog, the good one\n\n")
    pets = load_dataset(class_folders)
    assert pets.class_names == ("dog", "cat")
    assert [value < 100 for value in values(pets.test)] == pets.test.labels.astype(bool).tolist()


@pytest.mark.parametrize(
    "text, kind, message",
    [
        ("cat\ndog", FileFormatError, r"classes.txt, line 1: 'cat'; expected index,folder"),
        ("0,cat\n0,dog", FileFormatError, r"line 2: '0,dog'; expected index,folder or index,folder,name with each"),
        ("0,cat\n2,dog", FileFormatError, r"with the indices \[0, 2\]; expected 0 to 1 without a gap"),
        ("0,cat\n1,cow", InputError, r"class folders that differ in cow, dog; expected each class folder named once"),
        ("0,cat\n1,cat", InputError, r"differ in dog"),
        ("", InputError, r"differ in cat, dog"),
        (b"0,\xff", FileFormatError, r"cannot be read as text"),
    ],
)
def test_bad_classes_file(class_folders, text, kind, message):
    (class_folders / "classes.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(kind, match=message):
        load_dataset(class_folders)


def test_missing_folder():
    with pytest.raises(InputError, match=r"received no/such/folder, which is not there; expected a folder of images"):
        load_dataset("no/such/folder")


def test_file_in_place_of_a_folder(make_image):
    path = make_image("a.png")
    with pytest.raises(InputError, match=r"a.png, which is not a folder"):
        load_dataset(path)


def test_empty_folder(tmp_path):
    with pytest.raises(InputError, match=rf"received folder {re.escape(str(tmp_path))} without an image"):
        load_dataset(tmp_path)


def test_class_without_an_image(class_folders):
    (class_folders / "emu").mkdir()
    (class_folders / "emu" / ".DS_Store").write_text("")
    with pytest.raises(InputError, match=r"class folder .*emu without an image; expected at least one image"):
        load_dataset(class_folders)


def test_class_missing_in_a_split(make_image, tmp_path):
    for name in ("train/a/0.png", "train/b/0.png", "test/a/0.png"):
        make_image(name)
    with pytest.raises(InputError, match=r"folder .*test without the class b; expected the same class folders"):
        load_dataset(tmp_path)


def test_single_class(make_image, tmp_path):
    make_image("a/0.png")
    with pytest.raises(InputError, match="with 1 class folders; expected at least two classes"):
        load_dataset(tmp_path)


def test_split_folders_beside_others(make_image, tmp_path):
    make_image("train/a/0.png")
    make_image("cat/0.png")
    with pytest.raises(InputError, match="with train beside cat; expected only split folders"):
        load_dataset(tmp_path)


def test_images_beside_class_folders(class_folders, make_image):
    make_image("pets/stray.jpg")
    with pytest.raises(InputError, match=r"image .*stray.jpg beside the folder cat"):
        load_dataset(class_folders)


def test_other_file_among_the_images(class_folders):
    (class_folders / "cat" / "notes.txt").write_text("")
    with pytest.raises(FileFormatError, match=r"notes.txt among the images of a class; expected a file that ends in"):
        load_dataset(class_folders)


@pytest.mark.parametrize(
    "content, message",
    [(None, "which is damaged"), (b"text", "which is not an image")],
    ids=["truncated", "text"],
)
def test_damaged_image_is_found_while_loading(class_folders, content, message):
    path = class_folders / "dog" / "07.png"
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(FileFormatError, match=rf"dog/07.png, {message}"):
        load_dataset(class_folders)


def test_damaged_image_is_found_when_read_where_nothing_is_kept(class_folders):
    path = class_folders / "dog" / "07.png"
    path.write_bytes(path.read_bytes()[:-30])
    pets = load_dataset(class_folders, keep=False)
    with pytest.raises(FileFormatError, match="dog/07.png, which is damaged"):
        list(pets.train.batches(8))
        list(pets.validation.batches(8))
        list(pets.test.batches(8))


def test_one_pixel_image(class_folders, make_image):
    make_image("pets/cat/tiny.png", size=(1, 1))
    with pytest.raises(InputError, match=r"cat/tiny.png of 1 x 1 pixels; expected at least 2 x 2 pixels"):
        load_dataset(class_folders, image_size=8)


def test_several_sizes_need_one_asked_for(class_folders, make_image):
    make_image("pets/dog/wide.png", size=(6, 20))
    with pytest.raises(
        InputError, match=r"cat/00.png is 6 x 8 .*wide.png is 6 x 20; expected one size; .*--image-size"
    ):
        load_dataset(class_folders)
    assert load_dataset(class_folders, image_size=(10, 12)).inputs == {"image": (10, 12, 3)}


def test_broken_link(class_folders):
    (class_folders / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"gone.png, which cannot be read"):
        load_dataset(class_folders)


def test_channels_of_files(class_folders):
    assert load_dataset(class_folders, channels=1).inputs == {"image": (6, 8, 1)}
    with pytest.raises(InputError, match="channels=4; expected 1 .* or 3"):
        load_dataset(class_folders, channels=4)
