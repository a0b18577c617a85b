# SPDX-License-Identifier: Apache-2.0
import inspect
import subprocess
import sys

import keras
import pytest

from lowbit.errors import InputError
from lowbit.zoo import default_image_size, default_preprocess, names
from lowbit.zoo.catalog import entry, is_name


@pytest.mark.parametrize(
    ("model", "preprocess", "image_size"),
    [
        ("small_cnn", "0..1", None),
        ("mobilenet_v2", "-1..1", 224),
        ("MobileNetV2", "-1..1", 224),
        ("mobilenet_v3_small", "0..255", 224),
        ("efficientnet_b3", "0..255", 300),
        ("densenet121", "imagenet", 224),
        ("ResNet50", "keras.applications.resnet:preprocess_input", 224),
        ("resnet50_v2", "-1..1", 224),
        ("model.keras", None, None),
        ("package.module:function", None, None),
    ],
)
def test_preprocessing_and_image_size_of_a_model(model: str, preprocess: str | None, image_size: int | None) -> None:
    assert default_preprocess(model, {}) == preprocess
    assert default_image_size(model) == image_size


def test_the_table_names_every_model_of_keras_applications() -> None:
    published = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert {entry(name).function for name in names()} - {None} == published


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("smal_cnn", "small_cnn"),
        ("mobilnet_v2", "mobilenet_v2"),
        ("MobileNetV22", "mobilenet_v2"),
        ("resnet5", "resnet50"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest(typed: str, meant: str) -> None:
    assert not is_name(typed)
    with pytest.raises(InputError, match=f"received model '{typed}'; .* did you mean '{meant}'?"):
        entry(typed)


def test_a_name_like_no_other_is_answered_with_what_exists() -> None:
    with pytest.raises(InputError, match="received model 'qqq'; .*; the zoo has small_cnn, mobilenet_v2"):
        entry("qqq")


def test_names_and_preprocessing_are_answered_without_keras() -> None:
    code = (
        "import sys; from lowbit.zoo import names, default_preprocess, default_image_size; "
        "names(); default_preprocess('mobilenet_v2', {}); default_image_size('mobilenet_v2'); "
        "sys.exit(bool({'keras', 'tensorflow', 'h5py'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
