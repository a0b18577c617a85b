# SPDX-License-Identifier: Apache-2.0
"""Epochs, shuffling, reading ahead, drawing subsets, renaming inputs."""

import threading

import numpy as np
import pytest

from lowbit.data import load_dataset, rename_inputs
from lowbit.errors import FileFormatError, InputError


@pytest.fixture(scope="module")
def train():
    return load_dataset("digits").train


def labels(batches) -> list[int]:
    return np.concatenate([labels for _, labels in batches]).tolist()


@pytest.mark.parametrize("size, count, last", [(32, 23, 15), (719, 1, 719), (1000, 1, 719), (1, 719, 1)])
def test_sizes(train, size, count, last):
    batches = train.batches(size)
    assert len(batches) == count
    assert len(list(batches)[-1][1]) == last


def test_without_shuffling_every_epoch_is_the_same(train):
    batches = train.batches()
    assert labels(batches) == labels(batches) == train.labels.tolist()


def test_shuffling_differs_by_epoch_and_repeats_by_seed(train):
    batches, again, other = (
        train.batches(shuffle=True),
        train.batches(shuffle=True),
        train.batches(shuffle=True, seed=1),
    )
    first, second = labels(batches), labels(batches)
    assert [first, second] == [labels(again), labels(again)]
    assert first != second
    assert first != labels(other)
    assert sorted(first) == sorted(train.labels.tolist())


def test_an_epoch_left_early_counts(train):
    left, whole = train.batches(shuffle=True), train.batches(shuffle=True)
    next(iter(left))
    list(whole)
    assert labels(left) == labels(whole)


def test_images_and_labels_stay_together(train):
    expected = {inputs["image"].tobytes(): int(label) for inputs, [label] in train.batches(1)}
    for inputs, shuffled in train.batches(50, shuffle=True):
        assert [expected[image.tobytes()] for image in inputs["image"]] == shuffled.tolist()


def test_limit_is_spread_over_the_classes(class_folders):
    pets = load_dataset(class_folders)
    assert labels(pets.train.batches(limit=4)) == [0, 0, 1, 1]
    assert sum(len(found) for _, found in pets.train.batches(limit=1000)) == 32


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"limit": 0}, {"seed": -1}])
def test_bad_arguments(train, arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(InputError, match=f"received {name}={value}; expected"):
        train.batches(**arguments)


def test_calibration_is_a_seeded_part_of_train():
    digits = load_dataset("digits")
    small, large, other = digits.calibration(10), digits.calibration(50), digits.calibration(10, seed=1)
    assert (small.name, len(small)) == ("calibration", 10)
    assert small.fingerprints() == large.fingerprints()[:10]
    assert small.fingerprints() != other.fingerprints()
    assert set(large.fingerprints()) < set(digits.train.fingerprints())
    assert len(digits.calibration(10_000)) == 719
    with pytest.raises(InputError, match="received samples=0; expected at least 1 sample"):
        digits.calibration(0)


def test_preview_is_before_preprocessing():
    images = load_dataset("digits", preprocess="-1..1").test.preview(5)
    assert len(images) == 5
    assert {image.shape for image, _ in images} == {(8, 8, 1)}
    assert {image.dtype for image, _ in images} == {np.dtype(np.uint8)}
    assert max(image.max() for image, _ in images) == 255


def streamed(folder, monkeypatch):
    monkeypatch.setattr("lowbit.data.images.MEMORY_LIMIT_BYTES", 1000)
    return load_dataset(folder)


def test_large_sets_are_streamed_with_equal_batches(class_folders, monkeypatch):
    kept = load_dataset(class_folders)
    large = streamed(class_folders, monkeypatch)
    assert large.manifest() == kept.manifest()
    pairs = zip(kept.train.batches(3, shuffle=True), large.train.batches(3, shuffle=True), strict=True)
    for (expected, expected_labels), (inputs, found) in pairs:
        assert np.array_equal(inputs["image"], expected["image"])
        assert np.array_equal(found, expected_labels)


def test_leaving_a_stream_early_ends_its_thread(class_folders, monkeypatch):
    batches = iter(streamed(class_folders, monkeypatch).train.batches(1))
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lowbit")]


def test_a_damaged_image_in_a_stream_is_named(class_folders, monkeypatch):
    large = streamed(class_folders, monkeypatch)
    for path in class_folders.glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileFormatError, match=r"cat/\d\d.png, which is (damaged|not an image)"):
        list(large.train.batches())


def test_rename_one_input(train):
    renamed = rename_inputs(train.batches(100), ["input_layer"])
    assert len(renamed) == 8
    assert renamed.input_names == ("input_layer",)
    for _ in range(2):
        assert [list(inputs) for inputs, _ in renamed] == [["input_layer"]] * 8


@pytest.mark.parametrize(
    "batch, names, expected",
    [
        (({"a": 1, "b": 2}, 0), ["b", "a"], ({"b": 2, "a": 1}, 0)),
        (({"a": 1}, 0), ["z"], ({"z": 1}, 0)),
        ((1, 0), ["z"], ({"z": 1}, 0)),
        ([{"a": 1}, 0, 0.5], ["a"], ({"a": 1}, 0, 0.5)),
        ({"a": 1}, ["z"], {"z": 1}),
        (1, ["z"], {"z": 1}),
    ],
)
def test_rename_batches_of_any_kind(batch, names, expected):
    assert list(rename_inputs([batch], names)) == [expected]


def test_rename_that_cannot_match(train):
    with pytest.raises(InputError, match="received data with inputs image; expected the model's inputs left, right"):
        rename_inputs(train.batches(), ["left", "right"])
    with pytest.raises(InputError, match="received data with inputs a, b; expected the model's inputs a, c"):
        list(rename_inputs([({"a": 1, "b": 2}, 0)], ["a", "c"]))
