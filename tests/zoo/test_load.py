# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from lowbit.card import Card, write_card
from lowbit.errors import FileFormatError, InputError
from lowbit.zoo import load_model, save_model

Build = Callable[[], keras.Model]
MODULE = """
import keras

NUMBER = 1

def plain():
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])

def fitted(inputs, classes, width=2):
    x = keras.Input(inputs["image"], name="image")
    y = keras.layers.Dense(int(width), name="hidden")(keras.layers.Flatten()(x))
    return keras.Model(x, keras.layers.Dense(classes)(y))

def unbuilt():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])

def broken():
    model = plain()
    model.layers[-1].bias.assign([0.0, float("nan"), 0.0])
    return model

def asks(depth):
    return plain()

def number():
    return 7
"""


@pytest.fixture(autouse=True)
def my_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `my_models` in the current folder."""
    (tmp_path / "my_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_models", raising=False)


def test_a_zoo_model_is_not_trained_and_knows_its_preprocessing() -> None:
    loaded = load_model("small_cnn", inputs={"image": (8, 8, 1)}, classes=10)
    assert (loaded.name, loaded.trained, loaded.preprocess) == ("small_cnn", False, "0..1")
    assert not loaded.has_pretrained_base


def test_imagenet_weights_are_a_pretrained_base_but_no_training(imagenet_weights: Path) -> None:
    arguments = {"alpha": "0.35", "weights": str(imagenet_weights)}
    loaded = load_model("mobilenet_v2", inputs={"image": (32, 32, 3)}, classes=3, model_args=arguments)
    assert (loaded.trained, loaded.has_pretrained_base, loaded.preprocess) == (False, True, "-1..1")


def test_a_zoo_model_needs_data() -> None:
    with pytest.raises(InputError, match="received zoo model 'small_cnn' without data"):
        load_model("small_cnn")


def test_a_file_is_trained_and_its_card_tells_the_rest(tiny_model: Build, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    save_model(tiny_model(), path)
    loaded = load_model(str(path), inputs={"image": (4, 4, 1)}, classes=3)
    assert (loaded.name, loaded.trained, loaded.preprocess, loaded.class_names) == ("mine", True, None, None)
    write_card(path, Card(recipe="x", preprocessing={"preprocess": "-1..1"}, class_names=("a", "b", "c")))
    loaded = load_model(str(path))
    assert (loaded.preprocess, loaded.class_names) == ("-1..1", ("a", "b", "c"))


def test_a_card_of_another_file_is_refused(tiny_model: Build, tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    save_model(tiny_model(), path)
    write_card(path, Card(recipe="x"))
    other = tiny_model()
    other.set_weights([weight + 1 for weight in other.get_weights()])
    save_model(other, path)
    with pytest.raises(FileFormatError, match="a card for other contents than those of mine.keras"):
        load_model(str(path))


def test_functions_get_what_their_parameters_name() -> None:
    loaded = load_model("my_models:plain", inputs={"image": (4, 4, 1)}, classes=3)
    assert (loaded.name, loaded.trained) == ("plain", True)
    loaded = load_model("my_models:fitted", inputs={"image": (6, 6, 1)}, classes=5, model_args={"width": "7"})
    assert loaded.model.get_layer("hidden").units == 7
    assert loaded.model.output_shape == (None, 5)
    assert load_model("my_models:unbuilt", inputs={"image": (4, 4, 1)}).model.built


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("smal_cnn", "received model 'smal_cnn'; .*did you mean 'small_cnn'"),
        ("my_models:plian", "module 'my_models' has no function 'plian'; .*did you mean 'plain'"),
        ("my_models:NUMBER", "module 'my_models' has no function 'NUMBER'"),
        ("my_modules:plain", "received 'my_modules:plain': No module named 'my_modules'.*run from the folder"),
        ("my_models:number", "received 'my_models:number', which returned int; expected .*keras.Model"),
        ("my_models:asks", "whose parameter 'depth' has no default; .*--model-arg depth="),
        ("my_models:fitted", "whose parameter 'inputs' has no default"),
        ("my_models:unbuilt", "which returned a model that knows no input shape"),
        ("my_models:broken", "my_models:broken: weight '.*/bias' with 1 of 3 values NaN or infinite"),
        ("gone/model.keras", "received gone/model.keras, which is no file"),
        ("my_models.py", "received my_models.py; expected a .keras or .h5 file"),
    ],
)
def test_words_that_mean_no_model_are_refused(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(word)


def test_a_model_that_does_not_fit_the_data_is_refused(tiny_model: Build, tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "mine.keras")
    with pytest.raises(InputError, match=r"inputs image \(8, 8, 1\) for mine.keras; expected inputs image \(4, 4, 1\)"):
        load_model("mine.keras", inputs={"image": (8, 8, 1)}, classes=3)
    with pytest.raises(InputError, match="received data of 9 classes for a model with 3 outputs"):
        load_model("mine.keras", inputs={"image": (4, 4, 1)}, classes=9)
    with pytest.raises(InputError, match="received model argument 'alpha' for the file mine.keras"):
        load_model("mine.keras", model_args={"alpha": "1"})


def test_an_errors_in_a_users_function_passes_through(tmp_path: Path) -> None:
    (tmp_path / "my_models.py").write_text("def build():\n    return 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_model("my_models:build")


def test_a_simulation_loads_by_file(tmp_path: Path) -> None:
    simulation_room = pytest.importorskip("lowbit.simulation")
    model = load_model("small_cnn", inputs={"image": (8, 8, 1)}, classes=10).model
    images = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype(np.float32)
    simulation = simulation_room.quantize_model(model, "w8a8", calibration=[images])
    for suffix in (".keras", ".h5"):
        save_model(simulation, tmp_path / f"sim{suffix}")
        loaded = load_model(str(tmp_path / f"sim{suffix}")).model
        assert np.array_equal(loaded(images), simulation(images))
