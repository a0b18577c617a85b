# SPDX-License-Identifier: Apache-2.0
"""Names of tfds, offline: builders prepared in a temporary folder, missing data, missing tfds."""

import importlib.util
import socket

import numpy as np
import pytest

from lowbit.data import load_dataset
from lowbit.data.tfds_sets import _slices
from lowbit.errors import InputError, MissingExtraError, UnsupportedError

needs_tfds = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_datasets") is None,
    reason="tensorflow-datasets is not installed (the extra tfds)",
)
CLASSES = ("Chinee apple", "Lantana", "Parkinsonia")


def prepare(folder, name, counts, features=None, shape=(12, 10, 3)):
    """Write a tfds set: per split, image i of the split is filled with the value i and has class i % 3."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    features = features or {
        "image": tfds.features.Image(shape=(None, None, shape[-1])),
        "label": tfds.features.ClassLabel(names=CLASSES),
    }
    splits = {}
    for split, count in counts.items():
        images = np.stack([np.full(shape, index, np.uint8) for index in range(count)])
        rows = {key: (images if key == "image" else np.arange(count) % 3) for key in features}
        splits[split] = tf.data.Dataset.from_tensor_slices(rows)
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="3.0.0",
        data_dir=folder,
        features=tfds.features.FeaturesDict(features),
        split_datasets=splits,
        disable_shuffling=True,
    )
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)


@needs_tfds
def test_the_guides_slices(tmp_path, no_network):
    prepare(tmp_path, "deep_weeds", {"train": 50})
    data = load_dataset("deep_weeds", tfds_dir=tmp_path)
    assert data.name == "deep_weeds"
    assert data.counts == {"train": 40, "validation": 5, "test": 5}
    assert data.class_names == CLASSES
    assert data.inputs == {"image": (12, 10, 3)}
    [(inputs, labels)] = data.validation.batches()
    assert np.rint(inputs["image"][:, 0, 0, 0] * 255).tolist() == [40, 41, 42, 43, 44]
    assert labels.tolist() == [40 % 3, 41 % 3, 42 % 3, 43 % 3, 44 % 3]
    again = load_dataset("deep_weeds:3.0.0", tfds_dir=tmp_path, image_size=8)
    assert again.inputs == {"image": (8, 8, 3)}
    assert load_dataset("deep_weeds", tfds_dir=tmp_path).manifest() == data.manifest()


@needs_tfds
def test_splits_of_their_own_and_greyscale(tmp_path, no_network):
    prepare(tmp_path, "our_digits", {"train": 20, "test": 6}, shape=(8, 8, 1))
    data = load_dataset("our_digits", tfds_dir=tmp_path)
    assert data.counts == {"train": 18, "validation": 2, "test": 6}
    assert data.inputs == {"image": (8, 8, 1)}


@pytest.mark.parametrize(
    "theirs, ours",
    [
        (["train"], ["train[:80%]", "train[80%:90%]", "train[90%:]"]),
        (["train", "test"], ["train[:90%]", "train[90%:]", "test"]),
        (["train", "validation"], ["train[:90%]", "train[90%:]", "validation"]),
        (["train", "validation", "test", "extra"], ["train", "validation", "test"]),
        (["full"], ["full[:80%]", "full[80%:90%]", "full[90%:]"]),
    ],
)
def test_slices(theirs, ours):
    assert list(_slices(dict.fromkeys(theirs)).values()) == ours


@needs_tfds
def test_offline_names_the_local_alternative(tmp_path, no_network):
    message = "deep_weeds, which is not in .* cannot be downloaded .*unreachable.*class folders and pass that folder"
    with pytest.raises(InputError, match=message):
        load_dataset("deep_weeds", tfds_dir=tmp_path)
    assert not list(tmp_path.rglob("*.*"))


@needs_tfds
def test_no_images_with_classes(tmp_path, no_network):
    import tensorflow_datasets as tfds

    prepare(tmp_path, "ages", {"train": 5}, {"image": tfds.features.Image(), "age": tfds.features.Scalar(np.int64)})
    with pytest.raises(UnsupportedError, match="received ages with the features age, image; expected an image classif"):
        load_dataset("ages", tfds_dir=tmp_path)


@needs_tfds
@pytest.mark.parametrize("word, like", [("digitz", "digits"), ("deep_weedz", "deep_weeds"), ("cifar_10", "cifar10")])
def test_unknown_name(word, like, tmp_path):
    with pytest.raises(InputError, match=f"received unknown data set '{word}'; .*did you mean '{like}'"):
        load_dataset(word, tfds_dir=tmp_path)


@needs_tfds
def test_unknown_version(tmp_path):
    with pytest.raises(InputError, match="'deep_weeds:9.9.9' .*expected a configuration and version that tfds knows"):
        load_dataset("deep_weeds:9.9.9", tfds_dir=tmp_path)


@pytest.fixture
def without_tfds(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorflow_datasets" else found(name, *rest)
    )


def test_missing_extra(without_tfds):
    with pytest.raises(MissingExtraError, match=r"run: pip install 'lowbit\[tfds\]'"):
        load_dataset("deep_weeds")


def test_unknown_name_without_tfds(without_tfds):
    with pytest.raises(InputError, match=r"unknown data set 'digitz'; .*pip install 'lowbit\[tfds\]'.*mean 'digits'"):
        load_dataset("digitz")
