# SPDX-License-Identifier: Apache-2.0
"""The table of the zoo's names. Imports no keras: it is asked before any model is built."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lowbit.errors import InputError

OWN = "small_cnn"
_CAFFE_RESNET = "keras.applications.resnet:preprocess_input"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name of the zoo.

    `function` is the constructor in `keras.applications`, None for lowbit's own model. `image_size` is the side in
    pixels that the published weights were trained at, None where any size will do. `preprocess` is a preprocessing
    word of the data room; "0..255" where the model rescales pixel values itself.
    """

    name: str
    function: str | None
    image_size: int | None
    preprocess: str
    takes_alpha: bool = False


# name, constructor in keras.applications, side in pixels, preprocessing
_APPLICATIONS = (
    ("convnext_base", "ConvNeXtBase", 224, "0..255"),
    ("convnext_large", "ConvNeXtLarge", 224, "0..255"),
    ("convnext_small", "ConvNeXtSmall", 224, "0..255"),
    ("convnext_tiny", "ConvNeXtTiny", 224, "0..255"),
    ("convnext_xlarge", "ConvNeXtXLarge", 224, "0..255"),
    ("densenet121", "DenseNet121", 224, "imagenet"),
    ("densenet169", "DenseNet169", 224, "imagenet"),
    ("densenet201", "DenseNet201", 224, "imagenet"),
    ("efficientnet_b0", "EfficientNetB0", 224, "0..255"),
    ("efficientnet_b1", "EfficientNetB1", 240, "0..255"),
    ("efficientnet_b2", "EfficientNetB2", 260, "0..255"),
    ("efficientnet_b3", "EfficientNetB3", 300, "0..255"),
    ("efficientnet_b4", "EfficientNetB4", 380, "0..255"),
    ("efficientnet_b5", "EfficientNetB5", 456, "0..255"),
    ("efficientnet_b6", "EfficientNetB6", 528, "0..255"),
    ("efficientnet_b7", "EfficientNetB7", 600, "0..255"),
    ("efficientnet_v2_b0", "EfficientNetV2B0", 224, "0..255"),
    ("efficientnet_v2_b1", "EfficientNetV2B1", 240, "0..255"),
    ("efficientnet_v2_b2", "EfficientNetV2B2", 260, "0..255"),
    ("efficientnet_v2_b3", "EfficientNetV2B3", 300, "0..255"),
    ("efficientnet_v2_l", "EfficientNetV2L", 480, "0..255"),
    ("efficientnet_v2_m", "EfficientNetV2M", 480, "0..255"),
    ("efficientnet_v2_s", "EfficientNetV2S", 384, "0..255"),
    ("inception_resnet_v2", "InceptionResNetV2", 299, "-1..1"),
    ("inception_v3", "InceptionV3", 299, "-1..1"),
    ("mobilenet", "MobileNet", 224, "-1..1"),
    ("mobilenet_v2", "MobileNetV2", 224, "-1..1"),
    ("mobilenet_v3_large", "MobileNetV3Large", 224, "0..255"),
    ("mobilenet_v3_small", "MobileNetV3Small", 224, "0..255"),
    ("nasnet_large", "NASNetLarge", 331, "-1..1"),
    ("nasnet_mobile", "NASNetMobile", 224, "-1..1"),
    ("resnet50", "ResNet50", 224, _CAFFE_RESNET),
    ("resnet50_v2", "ResNet50V2", 224, "-1..1"),
    ("resnet101", "ResNet101", 224, _CAFFE_RESNET),
    ("resnet101_v2", "ResNet101V2", 224, "-1..1"),
    ("resnet152", "ResNet152", 224, _CAFFE_RESNET),
    ("resnet152_v2", "ResNet152V2", 224, "-1..1"),
    ("vgg16", "VGG16", 224, "keras.applications.vgg16:preprocess_input"),
    ("vgg19", "VGG19", 224, "keras.applications.vgg19:preprocess_input"),
    ("xception", "Xception", 299, "-1..1"),
)

_ENTRIES = {
    OWN: Entry(name=OWN, function=None, image_size=None, preprocess="0..1"),
    **{
        name: Entry(
            name=name,
            function=function,
            image_size=size,
            preprocess=preprocess,
            takes_alpha=name.startswith("mobilenet"),
        )
        for name, function, size, preprocess in _APPLICATIONS
    },
}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_BY_PLAIN_NAME = {_plain(name): name for name in _ENTRIES}


def names() -> tuple[str, ...]:
    """Every name of the zoo, lowbit's own first."""
    return tuple(_ENTRIES)


def is_name(model: str) -> bool:
    """Whether `model` is a name of the zoo; case, "_" and "-" do not matter.

    >>> is_name("MobileNetV2"), is_name("mobilenet.keras")
    (True, False)
    """
    return _plain(model) in _BY_PLAIN_NAME


def entry(model: str) -> Entry:
    """The entry of a zoo name; raises InputError naming the closest one for any other word."""
    if is_name(model):
        return _ENTRIES[_BY_PLAIN_NAME[_plain(model)]]
    close = difflib.get_close_matches(_plain(model), _BY_PLAIN_NAME, n=1, cutoff=0.5)
    question = f"did you mean {_BY_PLAIN_NAME[close[0]]!r}? " if close else ""
    raise InputError(
        received=f"model {model!r}",
        expected="a name of the zoo, a .keras or .h5 file, or package.module:function",
        mend=f"{question}the zoo has {OWN}, mobilenet_v2 and the other names of keras.applications",
    )


def default_preprocess(model: str, model_args: Mapping[str, str] | None = None) -> str | None:
    """The preprocessing word a zoo model was made for; None for files and functions, whose card may tell.

    `model_args` change nothing today: they are the arguments a model is built with, and may one day.

    >>> default_preprocess("mobilenet_v2"), default_preprocess("mine.keras")
    ('-1..1', None)
    """
    return entry(model).preprocess if is_name(model) else None


def default_image_size(model: str) -> int | None:
    """Side in pixels of the images a zoo model was made for; None where the data's own size will do, or is not known.

    >>> default_image_size("mobilenet_v2"), default_image_size("small_cnn")
    (224, None)
    """
    return entry(model).image_size if is_name(model) else None
