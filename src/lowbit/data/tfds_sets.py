# SPDX-License-Identifier: Apache-2.0
"""Image classification sets of TensorFlow Datasets, by name. The only file of this room that needs the extra `tfds`.

The images are taken as tfds stores them (JPEG or PNG bytes) and decoded like files in a folder.
"""

import importlib.util
import socket
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lowbit.data.dataset import Dataset
from lowbit.data.decode import EncodedBytes
from lowbit.data.images import ImagePart, from_images
from lowbit.data.names import closest
from lowbit.data.options import Options
from lowbit.errors import InputError, MissingExtraError, UnsupportedError

# Names worth a "pip install" instead of "unknown" while tfds itself cannot be asked.
WELL_KNOWN = (
    "deep_weeds", "mnist", "fashion_mnist", "emnist", "kmnist", "cifar10", "cifar100", "svhn_cropped", "stl10",
    "imagenet2012", "imagenette", "food101", "oxford_flowers102", "oxford_iiit_pet", "tf_flowers", "cats_vs_dogs",
    "beans", "plant_village", "eurosat", "horses_or_humans", "rock_paper_scissors", "caltech101", "stanford_dogs",
    "patch_camelyon", "malaria", "colorectal_histology", "uc_merced", "cassava", "citrus_leaves",
)  # fmt: skip
_PROBE_SECONDS = 5.0


def load_tfds(word: str, options: Options) -> Dataset:
    """The data set of a tfds name, `name[/config][:version]`.

    Prepared data is used as it lies; else tfds downloads it, once the source has answered. Without splits of its
    own: `train[:80%]`, `train[80%:90%]`, `train[90%:]`. Encoded images stay in memory. Raises MissingExtraError
    without tfds, InputError for an unknown name or a download that fails, UnsupportedError for data that is not
    images with one class each.
    """
    name = word.partition("/")[0].partition(":")[0].lower()
    if importlib.util.find_spec("tensorflow_datasets") is None:
        if name in WELL_KNOWN:
            raise MissingExtraError("tensorflow-datasets", "tfds")
        raise _unknown(word, WELL_KNOWN, " (for other names of tfds: pip install 'lowbit[tfds]')")
    import tensorflow_datasets as tfds  # heavy, and optional

    try:
        builder = tfds.builder(word, data_dir=options.tfds_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise _unknown(word, tfds.list_builders(with_community_datasets=False), "") from error
    except (ValueError, AssertionError) as error:
        raise InputError(
            received=f"{word!r} ({error})",
            expected="a configuration and version that tfds knows",
            mend="leave them out",
        ) from error
    if not builder.is_prepared():
        _download(builder)
    image, label = _keys(builder.info, word)
    parts = {}
    for split, slices in _slices(builder.info.splits).items():
        samples = builder.as_dataset(
            split=slices,
            decoders={image: tfds.decode.SkipDecoding()},
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        parts[split] = _part(samples.as_numpy_iterator(), f"{builder.name} {slices}", image, label)
    told = (builder.info.redistribution_info.license, builder.info.citation)
    dataset = from_images(
        builder.name,
        parts,
        options,
        class_names=tuple(builder.info.features[label].names),
        channels=1 if builder.info.features[image].shape[-1] == 1 else 3,
    )
    return replace(dataset, attribution=" ".join(" ".join(filter(None, told)).split()) or None)


def _slices(splits: Mapping[str, Any]) -> dict[str, str]:
    """Our split -> slices of theirs; nothing serves twice.

    >>> _slices({"train": 0, "test": 0})
    {'train': 'train[:90%]', 'validation': 'train[90%:]', 'test': 'test'}
    """
    if {"train", "validation", "test"} <= set(splits):
        return {"train": "train", "validation": "validation", "test": "test"}
    held_out = next((name for name in ("test", "validation") if name in splits), None)
    if "train" in splits and held_out is not None:
        return {"train": "train[:90%]", "validation": "train[90%:]", "test": held_out}
    only = "train" if "train" in splits else next(iter(splits))
    return {"train": f"{only}[:80%]", "validation": f"{only}[80%:90%]", "test": f"{only}[90%:]"}


def _part(samples: Any, where: str, image: str, label: str) -> ImagePart:
    images, labels = [], []
    for index, sample in enumerate(samples):
        images.append(EncodedBytes(sample[image], f"{where} image {index}"))
        labels.append(int(sample[label]))
    if not images:
        raise InputError(received=f"no image in {where}", expected="at least one", mend="use a larger data set")
    return ImagePart(images, np.array(labels, np.int64))


def _keys(info: Any, word: str) -> tuple[str, str]:
    """Names of the image and the class among the features; raises UnsupportedError when there is no such pair."""
    features = dict(info.features.items()) if hasattr(info.features, "items") else {}
    supervised = info.supervised_keys or tuple(features)
    images = [key for key in supervised if _is_image(features.get(key))]
    labels = [key for key in supervised if type(features.get(key)).__name__ == "ClassLabel"]
    if len(images) != 1 or len(labels) != 1:
        raise UnsupportedError(
            received=f"{word} with the features {', '.join(sorted(features)) or info.features}",
            expected="an image classification set: 8-bit images with one class each",
            mend="choose another set, or write a function that returns arrays (package.module:function)",
        )
    return images[0], labels[0]


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image" and np.dtype(feature.np_dtype) == np.uint8


def _download(builder: Any) -> None:
    """Let tfds download and prepare; raises InputError at once when the source cannot be reached.

    tfds by itself would retry for minutes.
    """
    local = (
        "prepare it with tfds on a machine with a network and set TFDS_DATA_DIR, or put the images into class folders "
        "and pass that folder"
    )
    try:
        _reach(builder)
        builder.download_and_prepare()
    except (OSError, AssertionError) as error:
        raise InputError(
            received=f"{builder.name}, which is not in {builder.data_dir} and cannot be downloaded ({error})",
            expected="prepared data, or a network",
            mend=local,
        ) from error


def _reach(builder: Any) -> None:
    """Open one connection to where the data comes from; raises OSError. Not done behind a proxy."""
    hosts = [urllib.parse.urlsplit(str(url)).hostname for url in builder.url_infos]
    if urllib.request.getproxies() or not hosts or hosts[0] is None:
        return
    socket.create_connection((hosts[0], 443), timeout=_PROBE_SECONDS).close()


def _unknown(word: str, tfds_names: Any, more: str) -> InputError:
    return InputError(
        received=f"unknown data set {word!r}",
        expected="digits, a folder of images, a .npz, package.module:function, or a tfds name" + more,
        mend=closest(word, ["digits", *tfds_names]) + "check the spelling or the path",
    )
