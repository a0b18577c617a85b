# SPDX-License-Identifier: Apache-2.0
"""The built-in digits: real values, a stated division, exact preprocessing."""

from importlib.resources import files

import numpy as np
import pytest

from lowbit.data import load_dataset
from lowbit.errors import InputError

# Digest of the first division: a change here changes every figure measured on digits.
MANIFEST = "85a984dcb0f96fc8debe666b8e69272aa27c0c0c021a2cb97b80cc8b5dc28d06"


def test_what_it_holds():
    digits = load_dataset("digits")
    assert digits.name == "digits"
    assert digits.task == "classification"
    assert digits.counts == {"train": 719, "validation": 179, "test": 899}
    assert digits.inputs == {"image": (8, 8, 1)}
    assert digits.class_names == tuple("0123456789")
    assert digits.classes == 10
    assert digits.preprocessing == {"preprocess": "0..1", "resize": "bilinear", "image_size": [8, 8], "channels": 1}
    assert digits.manifest() == MANIFEST


def test_licence_and_source_lie_beside_the_file():
    text = (files("lowbit.data") / "digits.LICENSE.txt").read_text()
    assert "CC BY 4.0" in text
    assert "10.24432/C50P49" in text


def test_values_are_exact_sixteenths():
    [(inputs, labels)] = load_dataset("digits").test.batches(1000)
    sixteenths = inputs["image"] * 16
    assert inputs["image"].dtype == np.float32
    assert labels.dtype == np.int64
    assert set(np.unique(sixteenths)) == set(range(17))


@pytest.mark.parametrize("preprocess, low, high", [("-1..1", -1, 1), ("0..255", 0, 255), ("none", 0, 255)])
def test_other_ranges(preprocess, low, high):
    [(inputs, _)] = load_dataset("digits", preprocess=preprocess).test.batches(1000)
    assert inputs["image"].min() == low
    assert inputs["image"].max() == high


def test_as_larger_colour_images():
    digits = load_dataset("digits", image_size=(12, 16), channels=3)
    inputs, _ = next(iter(digits.train.batches(2)))
    assert inputs["image"].shape == (2, 12, 16, 3)
    assert np.array_equal(inputs["image"][..., 0], inputs["image"][..., 2])


def test_seed_divides_and_repeats():
    first, again, other = (load_dataset("digits", seed=seed) for seed in (3, 3, 4))
    assert first.manifest() == again.manifest() != other.manifest()
    assert np.array_equal(first.test.labels, again.test.labels)


def test_classes_are_in_proportion():
    digits = load_dataset("digits")
    for split, fraction in (("train", 0.4), ("validation", 0.1), ("test", 0.5)):
        counts = np.bincount(digits.split(split).labels)
        assert np.abs(counts - fraction * 179.7).max() < 3.5


def test_splits_hold_different_images():
    digits = load_dataset("digits")
    seen = [set(split.fingerprints()) for split in (digits.train, digits.validation, digits.test)]
    assert len(seen[0] | seen[1] | seen[2]) == 1797


def test_imagenet_preprocessing_needs_three_channels():
    with pytest.raises(InputError, match=r"preprocess='imagenet' for images of 1 channels.*pass channels=3"):
        load_dataset("digits", preprocess="imagenet")
