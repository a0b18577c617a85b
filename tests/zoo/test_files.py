# SPDX-License-Identifier: Apache-2.0
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from lowbit.errors import FileFormatError, InputError
from lowbit.zoo import load_file, save_model

Build = Callable[[], keras.Model]
IMAGES = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1])


@keras.saving.register_keras_serializable("test")
class Registered(keras.layers.Layer):
    def call(self, x: object) -> object:
        return x


def trained(model: keras.Model) -> keras.Model:
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(IMAGES, LABELS, verbose=0)
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model_comes_back_with_the_same_outputs(tiny_model: Build, tmp_path: Path, suffix: str) -> None:
    model = trained(tiny_model())
    save_model(model, tmp_path / f"model{suffix}")
    loaded = load_file(tmp_path / f"model{suffix}")
    assert np.array_equal(loaded(IMAGES), model(IMAGES))
    assert [path.name for path in tmp_path.iterdir()] == [f"model{suffix}"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_no_training_state_is_written_and_none_is_lost(tiny_model: Build, tmp_path: Path, suffix: str) -> None:
    model, plain = trained(tiny_model()), tiny_model()
    plain.set_weights(model.get_weights())
    optimizer = model.optimizer
    save_model(model, tmp_path / f"trained{suffix}")
    save_model(plain, tmp_path / f"plain{suffix}")
    assert (tmp_path / f"trained{suffix}").read_bytes() == (tmp_path / f"plain{suffix}").read_bytes()
    assert model.compiled and model.optimizer is optimizer
    assert not load_file(tmp_path / f"trained{suffix}").compiled
    model.fit(IMAGES, LABELS, verbose=0)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_equal_models_give_equal_bytes_at_any_time(
    tiny_model: Build, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tiny_model(), tmp_path / f"a{suffix}")
    tomorrow = time.time() + 86400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    save_model(tiny_model(), tmp_path / f"b{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_compiled_loss_is_restored(tiny_model: Build, tmp_path: Path) -> None:
    trained(tiny_model()).save(tmp_path / "compiled.keras")
    assert load_file(tmp_path / "compiled.keras").loss == "sparse_categorical_crossentropy"


def test_a_compiled_loss_that_is_not_known_is_left_out_with_a_warning(tiny_model: Build, tmp_path: Path) -> None:
    def home_made_loss(labels: object, outputs: object) -> object:
        return keras.losses.sparse_categorical_crossentropy(labels, outputs)

    model = tiny_model()
    model.compile("adam", home_made_loss)
    model.save(tmp_path / "compiled.keras")
    with pytest.warns(UserWarning, match="its compiled loss or metrics could not be restored .*home_made_loss"):
        loaded = load_file(tmp_path / "compiled.keras")
    assert not loaded.compiled


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tiny_model: Build, tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"model{suffix}"
    save_model(tiny_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FileFormatError, match=rf"received .*model{suffix}.*expected a whole {suffix} file"):
        load_file(path)


def test_a_flipped_byte_in_the_weights_is_noticed(tiny_model: Build, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save_model(tiny_model(), path)
    content = bytearray(path.read_bytes())
    content[content.index(tiny_model().get_weights()[0].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be read: BadZipFile.*CRC"):
        load_file(path)


def test_an_archive_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileFormatError, match="model.keras: .*expected a saved keras.Model"):
        load_file(tmp_path / "model.keras")


def test_a_layer_in_place_of_a_model_is_refused(tmp_path: Path) -> None:
    keras.saving.save_model(keras.Sequential([keras.Input((2,))]), tmp_path / "model.keras")
    content = io.BytesIO()
    layer = keras.saving.serialize_keras_object(keras.layers.Dense(2, name="dense"))
    with zipfile.ZipFile(tmp_path / "model.keras") as source, zipfile.ZipFile(content, "w") as target:
        for name in source.namelist():
            target.writestr(name, str(layer).replace("'", '"').replace("None", "null").replace("True", "true"))
    (tmp_path / "model.keras").write_bytes(content.getvalue())
    with pytest.raises(FileFormatError, match="received .*model.keras"):
        load_file(tmp_path / "model.keras")


def test_weights_without_a_model_are_refused(tiny_model: Build, tmp_path: Path) -> None:
    tiny_model().save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(FileFormatError, match="weights only.*expected a saved keras.Model"):
        load_file(tmp_path / "only.weights.h5")
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["rows"] = np.arange(3)
    with pytest.raises(FileFormatError, match="table.h5: .*expected a saved keras.Model"):
        load_file(tmp_path / "table.h5")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_not_run(tmp_path: Path, suffix: str) -> None:
    x = keras.Input((2,))
    path = tmp_path / f"unsafe{suffix}"
    keras.Model(x, keras.layers.Lambda(lambda value: value * 2)(x)).save(path)
    with pytest.raises(FileFormatError, match="needs unsafe deserialization.*safe mode stays on"):
        load_file(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_layer_that_is_not_known_is_named(tmp_path: Path, suffix: str) -> None:
    x = keras.Input((2,))
    keras.Model(x, Registered()(x)).save(tmp_path / f"custom{suffix}")
    registry = keras.saving.get_custom_objects()
    known = registry.pop("test>Registered")
    Registered.__module__, module = "a.module.that.is.gone", Registered.__module__
    try:
        with pytest.raises(FileFormatError, match="with '.*Registered', which is not known here.*register_keras"):
            load_file(tmp_path / f"custom{suffix}")
    finally:
        registry["test>Registered"], Registered.__module__ = known, module


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_weights_are_refused_by_layer(tiny_model: Build, tmp_path: Path, value: float) -> None:
    model = tiny_model()
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[0, 0, 0, 1] = value
    model.get_layer("conv").set_weights([kernel, bias])
    save_model(model, tmp_path / "model.keras")
    with pytest.raises(InputError, match="weight 'conv/kernel' with 1 of 18 values NaN or infinite"):
        load_file(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.keras", "received .*gone.keras, which is no file"),
        ("gone.h5", "received .*gone.h5, which is no file"),
        ("model.tflite", "received .*model.tflite; expected a .keras or .h5 file"),
    ],
)
def test_a_path_that_holds_no_model_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_file(tmp_path / name)


def test_a_model_is_written_whole_or_not_at_all(tiny_model: Build, tmp_path: Path) -> None:
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(InputError, match="received .*folder.keras: .*expected a place that can be written"):
        save_model(tiny_model(), tmp_path / "folder.keras")
    with pytest.raises(InputError, match="received .*model.onnx; expected a name that ends in .keras or .h5"):
        save_model(tiny_model(), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.keras"]
