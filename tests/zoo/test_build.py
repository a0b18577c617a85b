# SPDX-License-Identifier: Apache-2.0
import urllib.error
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import FileFormatError, InputError
from lowbit.zoo import build_model

DIGITS = {"image": (8, 8, 1)}
PHOTOS = {"image": (32, 32, 3)}
# Every kind of layer that small_cnn is to exercise.
KINDS = {
    "Conv2D",
    "BatchNormalization",
    "ReLU",
    "DepthwiseConv2D",
    "Add",
    "GlobalAveragePooling2D",
    "Dense",
}


def weights_equal(a: keras.Model, b: keras.Model) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_small_cnn_has_every_kind_of_layer_and_about_20000_parameters() -> None:
    model = build_model("small_cnn", inputs=DIGITS, classes=10)
    assert {type(layer).__name__ for layer in model.layers} - {"InputLayer"} == KINDS
    assert model.count_params() == 22402
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.output_shape == (None, 10)


def test_names_and_weights_depend_on_the_seed_only_not_on_what_was_built_before() -> None:
    first = build_model("small_cnn", inputs=DIGITS, classes=10, seed=3)
    again = build_model("small_cnn", inputs=DIGITS, classes=10, seed=3)
    other = build_model("small_cnn", inputs=DIGITS, classes=10, seed=4)
    assert [layer.name for layer in first.layers] == [layer.name for layer in again.layers]
    assert weights_equal(first, again)
    assert not weights_equal(first, other)


def test_unnamed_layers_of_an_application_get_the_same_names_each_time() -> None:
    first, again = (
        build_model("mobilenet_v3_small", inputs=PHOTOS, classes=4, model_args={"weights": "none"}) for _ in range(2)
    )
    assert [op.name for op in first.operations] == [op.name for op in again.operations]
    assert first.get_layer("re_lu") is first.operations[[op.name for op in first.operations].index("re_lu")]
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    assert np.array_equal(first(image), again(image))


def test_mobilenet_v2_has_the_guides_head_and_is_flat() -> None:
    arguments = {"alpha": "0.35", "weights": "none"}
    model = build_model("MobileNetV2", inputs=PHOTOS, classes=9, model_args=arguments)
    assert [layer.name for layer in model.layers][-4:] == [
        "head_pool",
        "head_dense_1",
        "head_dense_2",
        "head_predictions",
    ]
    assert [layer.units for layer in model.layers[-3:]] == [128, 128, 9]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


def test_a_weight_file_gives_the_base_its_weights(imagenet_weights: Path) -> None:
    arguments = {"alpha": "0.35", "weights": str(imagenet_weights)}
    model = build_model("mobilenet_v2", inputs=PHOTOS, classes=9, model_args=arguments)
    other_seed = build_model("mobilenet_v2", inputs=PHOTOS, classes=9, model_args=arguments, seed=1)
    for name in ("Conv1", "bn_Conv1", "Conv_1"):
        for a, b in zip(model.get_layer(name).get_weights(), other_seed.get_layer(name).get_weights(), strict=True):
            assert np.array_equal(a, b)
    assert not weights_equal(model, other_seed)


def test_weights_of_another_alpha_are_refused(imagenet_weights: Path) -> None:
    with pytest.raises(FileFormatError, match="expected a weight file of mobilenet_v2 .* of the same alpha"):
        build_model(
            "mobilenet_v2", inputs=PHOTOS, classes=9, model_args={"alpha": "0.5", "weights": str(imagenet_weights)}
        )


def test_a_damaged_weight_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(FileFormatError, match="received weights=.*weights.h5"):
        build_model("mobilenet_v2", inputs=PHOTOS, classes=9, model_args={"alpha": "0.35", "weights": str(path)})


def test_imagenet_weights_offline_name_the_local_alternative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_network(*arguments: Any, **options: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(
        InputError, match=r"could not be downloaded .*; pass a local file with --model-arg weights=FILE"
    ):
        build_model("mobilenet_v2", inputs=PHOTOS, classes=9, model_args={"alpha": "0.35"})


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("small_cnn", {"alpha": "0.5"}, "received model argument alpha=0.5 for small_cnn; expected no arguments"),
        ("densenet121", {"alpha": "0.5"}, "received model argument alpha=0.5 for densenet121; expected .* weights"),
        (
            "mobilenet_v2",
            {"alpa": "0.5"},
            "received model argument alpa=0.5 .* expected arguments among alpha, weights",
        ),
        ("mobilenet_v2", {"alpha": "wide"}, "received alpha=wide; expected a width multiplier"),
        ("mobilenet_v2", {"alpha": "-1"}, "received alpha=-1; expected a width multiplier"),
        ("mobilenet_v2", {"weights": "gone.h5"}, "received weights=gone.h5, which is no file"),
    ],
)
def test_unsuitable_arguments_are_refused(model: str, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(model, inputs=PHOTOS, classes=9, model_args=arguments)


@pytest.mark.parametrize(
    ("inputs", "classes", "message"),
    [
        (DIGITS, 1, "received classes=1; expected at least 2 classes"),
        ({"image": (None, None, 3)}, 9, "expected one image input .* pass --image-size"),
        ({"left": (8, 8, 1), "right": (8, 8, 1)}, 9, "received data with inputs .*left.*right"),
        ({"signal": (100,)}, 9, "received data with inputs .*signal"),
    ],
)
def test_unsuitable_data_is_refused(inputs: dict[str, Any], classes: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model("small_cnn", inputs=inputs, classes=classes)


def test_images_too_small_for_an_application_are_refused() -> None:
    with pytest.raises(InputError, match=r"received images of shape \(8, 8, 1\) for mobilenet_v2; .* --image-size"):
        build_model("mobilenet_v2", inputs=DIGITS, classes=9, model_args={"weights": "none"})
