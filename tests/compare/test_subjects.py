# SPDX-License-Identifier: Apache-2.0
"""Models from files and functions, and input that cannot be compared: one line each, and nothing left behind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from lowbit.card import card_path, read_card
from lowbit.compare import Comparison, compare
from lowbit.compare.folder import is_foreign
from lowbit.compare.jobs import modelling
from lowbit.compare.subject import sizes_of_data
from lowbit.errors import FileFormatError, InputError
from lowbit.runtime import inspect

Again = Callable[..., tuple[Comparison, list[str]]]


@pytest.fixture
def own_model(finished: Comparison, tmp_path: Path) -> Path:
    """A trained model of the user's, with its card."""
    path = Path(shutil.copy(finished.folder / "models" / "keras-float32.keras", tmp_path / "mine.keras"))
    shutil.copy(card_path(finished.folder / "models" / "keras-float32.keras"), card_path(path))
    return path


def test_a_loaded_model_is_kept_as_it_is_and_scratch_is_unsupported(
    own_model: Path, finished: Comparison, tmp_path: Path, again: Again
) -> None:
    comparison, _ = again(
        tmp_path / "run", model=str(own_model), recipes="keras-float32,float32,keras-qat-scratch-w8a8,qat-scratch-w8a8"
    )
    keras_row, file_row, *scratch = comparison.rows
    first = {row.recipe: row for row in finished.rows}
    assert keras_row.accuracy == first["keras-float32"].accuracy and keras_row.trained_epochs is None
    assert keras_row.notes["trained_epochs"] == "the model came trained"
    assert file_row.sha256 == first["float32"].sha256
    assert [row.status for row in scratch] == ["unsupported", "unsupported"] and comparison.ok
    assert all(row.reason and row.reason.startswith("received model 'mine', which comes trained") for row in scratch)


def test_a_model_function_is_built_for_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: Again) -> None:
    (tmp_path / "my_models.py").write_text(
        "import keras\n"
        "def tiny(inputs, classes):\n"
        "    layer = keras.Input(next(iter(inputs.values())), name='pixels')\n"
        "    hidden = keras.layers.Dense(8, 'relu', name='hidden')(keras.layers.Flatten(name='flat')(layer))\n"
        "    return keras.Model(layer, keras.layers.Dense(classes, name='logits')(hidden))\n"
    )
    monkeypatch.chdir(tmp_path)
    asked = {"model": "my_models:tiny", "recipes": "keras-float32,float32,ptq-w8a8", "preprocess": "0..1"}
    comparison, _ = again(tmp_path / "run", **asked)
    assert [(row.status, row.reason) for row in comparison.rows] == [("ok", None)] * 3
    assert comparison.results.model["name"] == "my_models.tiny"
    assert again(tmp_path / "run", **asked)[1] == []


@pytest.mark.slow
def test_free_sizes_become_those_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: Again) -> None:
    (tmp_path / "mine_of_free_sizes.py").write_text(
        "import keras\n"
        "from keras import layers\n"
        "def free():\n"
        "    image = keras.Input((None, None, 1), name='pixels')\n"
        "    hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation='relu')(image))\n"
        "    return keras.Model(image, layers.Dense(10, activation='softmax')(hidden))\n"
    )
    monkeypatch.chdir(tmp_path)
    names = "keras-float32,float32,ptq-w8a8,qat-w8a8"
    comparison, _ = again(tmp_path / "run", model="mine_of_free_sizes:free", recipes=names, preprocess="0..1", epochs=1)
    assert [(row.recipe, row.status, row.reason) for row in comparison.rows] == [
        (name, "ok", None) for name in names.split(",")
    ]
    for path in (tmp_path / "run" / "models").glob("*.tflite"):
        assert inspect(path).inputs[0].shape == (1, 8, 8, 1), path


@pytest.mark.parametrize(
    ("own", "data", "sizes"),
    [
        ({"a": (4, 3)}, {"x": (4, 3)}, None),
        ({"a": (None, 3)}, {"x": (4, 3)}, {"a": (4, 3)}),
        ({"a": (None, 3)}, {"x": (None, 3)}, None),
        ({"a": (None,), "b": (2,)}, {"b": (2,), "a": (5,)}, {"a": (5,), "b": (2,)}),
    ],
)
def test_sizes_of_data(own: dict[str, Any], data: dict[str, Any], sizes: dict[str, Any] | None) -> None:
    assert sizes_of_data(own, data) == sizes


def folder_of_images(folder: Path, classes: list[str], count: int = 6) -> Path:
    generator = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = generator.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def refused(tmp_path: Path, match: str, **options: Any) -> None:
    """The call is refused with this line, and the run folder is not there."""
    out = options.pop("out", tmp_path / "runs" / "bad")
    with pytest.raises(InputError, match=match):
        compare(out=out, **options)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"max_drop": -1}, "max_drop=-1"),
        ({"recipes": "ptq-w9a9"}, "recipe 'ptq-w9a9'.*did you mean"),
        ({"model": "smal_cnn"}, "model 'smal_cnn'.*did you mean 'small_cnn'"),
        ({"model": "missing.keras"}, "'missing.keras', which is no file"),
        ({"dataset": "no/such/folder"}, "no/such/folder"),
        ({"engine": "rays"}, "engine 'rays'"),
        ({"image_size": 1}, "image_size="),
        ({"preprocess": "0..2"}, "preprocess='0..2'"),
        ({"model_args": {"alpha": "1"}}, "alpha=1 for small_cnn"),
    ],
)
def test_wrong_usage(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    refused(tmp_path, match, **options)


def test_the_folder_of_another_model_is_kept_unless_fresh(
    own_model: Path, finished: Comparison, tmp_path: Path, again: Again
) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    with pytest.raises(InputError, match="holds results of model 'small_cnn'.*'mine'; choose another --out.*--fresh"):
        again(folder, model=str(own_model), recipes="float32")
    assert (folder / "models" / "qat-w8a8.tflite").exists()
    again(folder, model=str(own_model), recipes="float32", fresh=True)
    assert sorted(path.name for path in (folder / "models").glob("*.tflite")) == ["float32.tflite"]


def test_the_folder_of_another_data_set_is_known_by_its_name(finished: Comparison) -> None:
    with pytest.raises(InputError, match="holds results of dataset 'digits'; expected .* dataset 'mine.load'"):
        is_foreign(finished.folder, model="small_cnn", dataset="mine.load", backend="tensorflow", fresh=False)
    assert is_foreign(finished.folder, model="small_cnn", dataset="mine.load", backend="tensorflow", fresh=True)
    assert not is_foreign(finished.folder, model="small_cnn", dataset=None, backend="tensorflow", fresh=False)
    with pytest.raises(InputError, match="which holds results of backend 'tensorflow'; expected .* of backend 'jax'"):
        is_foreign(finished.folder, model="small_cnn", dataset=None, backend="jax", fresh=False)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(tmp_path, "which is a file", out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_unlabelled_images_cannot_be_compared(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "flat", ["."])
    refused(tmp_path, "without labels; expected labelled samples", dataset=str(folder))


def test_class_names_that_do_not_match(own_model: Path, tmp_path: Path) -> None:
    weeds = folder_of_images(tmp_path / "weeds", [f"weed{number}" for number in range(10)])
    refused(
        tmp_path, "class 0 is 'weed0'.*model's classes, where class 0 is '0'", dataset=str(weeds), model=str(own_model)
    )


def test_a_number_of_classes_that_does_not_match(own_model: Path, tmp_path: Path) -> None:
    few = folder_of_images(tmp_path / "few", ["0", "1", "2"])
    refused(tmp_path, "data of 3 classes for a model with 10 outputs", dataset=str(few), model=str(own_model))


def test_a_model_without_a_card_needs_its_preprocessing(own_model: Path, tmp_path: Path, again: Again) -> None:
    card_path(own_model).unlink()
    assert read_card(own_model) is None
    refused(tmp_path, "without a card beside it.*pass --preprocess", model=str(own_model))
    comparison, _ = again(tmp_path / "run", model=str(own_model), preprocess="0..1", recipes="float32")
    assert comparison.ok


def test_damaged_model_files(own_model: Path, tmp_path: Path) -> None:
    content = own_model.read_bytes()
    card_path(own_model).unlink()
    for name, damaged in {"cut.keras": content[: len(content) // 2], "noise.keras": b"\x13" * 4000}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(FileFormatError, match=name):
            compare(model=str(tmp_path / name), preprocess="0..1", out=tmp_path / "runs" / "bad")
        assert not (tmp_path / "runs").exists()


def test_nan_weights(own_model: Path, tmp_path: Path) -> None:
    model = keras.saving.load_model(own_model)
    model.layers[1].kernel.assign(np.full(model.layers[1].kernel.shape, np.nan))
    model.save(tmp_path / "nan.keras")
    refused(tmp_path, "nan.keras: weight .* NaN", model=str(tmp_path / "nan.keras"), preprocess="0..1")


def test_a_loss_that_is_not_finite_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*arguments: Any, **options: Any) -> None:
        raise InputError(received="loss nan in epoch 1", expected="a finite loss", mend="pass a smaller --lr")

    monkeypatch.setattr(modelling, "train", diverged)
    started: list[str] = []
    with pytest.raises(InputError, match="loss nan in epoch 1; expected a finite loss"):
        compare(
            recipes="float32,qat-scratch-w8a8", out=tmp_path / "run",
            on_event=lambda event: started.append(event.job) if event.kind == "started" else None,
        )  # fmt: skip
    assert started == ["model", "check", "train-float"]
    assert not (tmp_path / "run" / "models").exists()


def test_a_simulation_is_not_compared(finished: Comparison, tmp_path: Path) -> None:
    path = finished.folder / "models" / "keras-qat-w8a8.keras"
    refused(tmp_path, "which is a simulation already.*lowbit export", model=str(path))
