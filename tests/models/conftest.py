# SPDX-License-Identifier: Apache-2.0
"""Data for whole models, and each model trained as a simulation and exported once for all tests."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lowbit.errors import LowbitError

sys.path.insert(0, str(Path(__file__).parent))

SAMPLES = 512


@pytest.fixture(scope="session")
def samples(digits):
    """By the name of a kind of data: inputs and labels."""
    inputs, labels = next(iter(digits.train.batches(SAMPLES)))
    images = np.asarray(inputs["image"], dtype="float32")
    rows = images[..., 0]
    both = {"image": images, "numbers": rows.mean(axis=2)}
    generator = np.random.default_rng(11)
    return {
        "images": (images, labels),
        "rows": (rows, labels),
        "pixels": (images, (rows > 0.5).astype("int32")),
        "images_and_numbers": (both, {"digit": labels, "size": rows.mean(axis=(1, 2))[:, None]}),
        "tones": _tones(generator),
        "words": _words(generator),
    }


def _tones(generator):
    """Four frequencies of random phase and loudness, in noise: (SAMPLES, 256, 1)."""
    labels = generator.integers(0, 4, SAMPLES)
    time = np.arange(256) / 256
    phase, loudness = generator.uniform(0, 2 * np.pi, (SAMPLES, 1)), generator.uniform(0.5, 1, (SAMPLES, 1))
    cycles = np.array([8, 16, 32, 64])[labels][:, None]
    sound = loudness * np.sin(2 * np.pi * cycles * time + phase) + 0.1 * generator.normal(size=(SAMPLES, 256))
    return sound[..., None].astype("float32"), labels


def _words(generator):
    """12 of 50 words; class 1 has more words above 25 than below."""
    words = generator.integers(0, 50, (SAMPLES, 12)).astype("int32")
    return words, ((words > 25).mean(axis=1) > 0.5).astype("int32")


@pytest.fixture(scope="session")
def weeds(test_data):
    """128 photographs of DeepWeeds at 96 px, -1..1, and their classes."""
    from lowbit.data import load_dataset

    data = load_dataset(str(test_data / "deepweeds-128"), image_size=96, preprocess="-1..1")
    inputs, labels = next(iter(data.train.batches(128, shuffle=True)))
    return np.asarray(inputs["image"]), labels


@pytest.fixture(scope="session")
def whole_models(tmp_path_factory):
    """What was made so far, by name, and where files go."""
    return {}, tmp_path_factory.mktemp("whole_models")


@pytest.fixture
def whole(request, samples, whole_models):
    """The model of the case a test is parametrized with, on its way from float to file."""
    from whole import make_whole

    case, (made, folder) = request.param, whole_models
    if case.name not in made:
        build, data = case.build, samples.get(case.data)
        if case.data == "weeds":
            weights = request.getfixturevalue("test_data") / "weights" / "mobilenet_v2_0.35_224_no_top.h5"
            build, data = partial(case.build, weights), request.getfixturevalue("weeds")
        try:
            made[case.name] = make_whole(case, build, *data, folder)
        except LowbitError as error:
            made[case.name] = error
    if isinstance(made[case.name], LowbitError):
        raise made[case.name]
    return made[case.name]
