# SPDX-License-Identifier: Apache-2.0
"""5,310 real images in split and class folders; needs LOWBIT_TEST_DATA."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from lowbit.data import load_dataset


@pytest.fixture(scope="module")
def weeds(deepweeds):
    return load_dataset(deepweeds)


def test_what_it_holds(weeds):
    assert weeds.name == "deepweeds-128"
    assert weeds.counts == {"train": 3060, "validation": 900, "test": 1350}
    assert weeds.inputs == {"image": (128, 128, 3)}
    assert weeds.classes == 9
    assert weeds.class_names[-1] == "negative"  # not the alphabetical order
    assert np.bincount(weeds.test.labels).tolist() == [150] * 9


def test_pixels_are_those_of_the_files(weeds, deepweeds):
    files = sorted((deepweeds / "validation" / "lantana").iterdir())
    lantana = [inputs["image"][0] for inputs, [label] in weeds.validation.batches(1) if label == 1]
    expected = np.asarray(Image.open(files[7]), np.float32) / np.float32(255)
    assert np.array_equal(lantana[7], expected)


def test_fingerprints_agree_with_the_published_digests(weeds, deepweeds):
    rows = [line.split(",") for line in (deepweeds / "MANIFEST.csv").read_text().splitlines()[1:]]
    published = {f"{path} {digest} {label}" for split, label, _, path, _, digest in rows if split == "test"}
    assert set(weeds.test.fingerprints()) == published


def test_calibration_meets_every_class(weeds):
    calibration = weeds.calibration(256)
    assert set(calibration.labels.tolist()) == set(range(9))


def test_repeats(weeds, deepweeds):
    def digest(data):
        content = hashlib.sha256()
        for inputs, labels in data.validation.batches(64, shuffle=True, seed=3):
            content.update(inputs["image"].tobytes() + labels.tobytes())
        return content.hexdigest()

    again = load_dataset(deepweeds, keep=False)
    assert digest(again) == digest(weeds)
    assert again.manifest() == weeds.manifest()
