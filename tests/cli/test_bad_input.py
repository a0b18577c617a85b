# SPDX-License-Identifier: Apache-2.0
"""Bad input: exit code 2, one line that says what was received and how to mend it, nothing half-written."""

import shutil
import struct
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

GOOD_SIZE = (8, 8)


def image(path: Path, size: tuple[int, int] = GOOD_SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 128, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes of twenty images each, all good."""
    for name in ("cat", "dog"):
        for number in range(20):
            image(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def bomb(path: Path) -> None:
    """A PNG whose header promises 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


# --- words and numbers


@pytest.mark.parametrize(
    "options, words",
    [
        (("--recipes", "ptq-w8a9"), ("ptq-w8a9", "did you mean 'ptq-w8a8'")),
        (("--recipes", ","), ("recipes",)),
        (("--dataset", "digit"), ("digit", "digits")),
        (("--model", "mobilnet_v2"), ("mobilnet_v2", "did you mean 'mobilenet_v2'")),
        (("--model", "missing.keras"), ("missing.keras", "check the path")),
        (("--model", "no.such.module:build"), ("no.such.module",)),
        (("--model-arg", "alpha"), ("--model-arg alpha",)),
        (("--epochs", "0"), ("epochs=0",)),
        (("--epochs", "many"), ("--epochs",)),
        (("--qat-epochs", "0"), ("qat_epochs=0",)),
        (("--max-drop", "-1"), ("max_drop=-1",)),
        (("--max-drop", "1000"), ("max_drop=1000",)),
        (("--max-drop", "nan"), ("max_drop=nan",)),
        (("--lr", "0"), ("lr=0",)),
        (("--calibration-samples", "0"), ("calibration_samples=0",)),
        (("--threads", "0"), ("threads=0",)),
        (("--image-size", "big"), ("--image-size big",)),
        (("--preprocess", "0..2"), ("0..2",)),
        (("--engine", "slurm"), ("slurm", "local")),
        (("--nonsense",), ("--nonsense",)),
    ],
)
def test_compare_options(lowbit, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    lowbit("compare", *options).refused(*words)


@pytest.mark.parametrize(
    "command, words",
    [
        (("quantise",), ("quantise",)),
        (("quantize",), ("MODEL",)),
        (("quantize", "m.keras", "-o", "q.onnx", "--recipe", "float32"), ("q.onnx", ".tflite")),
        (("quantize", "m.keras", "-o", "q.tflite"), ("without data", "--data")),
        (("quantize", "m.keras", "-o", "q.tflite", "--recipe", "qat-w8a8"), ("needs training", "lowbit qat")),
        (("quantize", "m.keras", "-o", "q.tflite", "--recipe", "auto-size"), ("lowbit compare",)),
        (("quantize", "m.keras", "-o", "q.tflite", "--recipe", "float16", "--io", "int8"), ("io='int8'", "--io")),
        (("quantize", "m.keras", "-o", "q.tflite", "--data", "digits", "--io", "uint8"), ("io='uint8'", "--io")),
        (("qat", "m.keras", "--data", "digits", "-o", "s.tflite"), ("s.tflite", ".keras")),
        (("qat", "m.keras", "--data", "digits", "-o", "s.keras", "--spec", "w3a8"), ("weights=3",)),
        (("qat", "m.keras", "--data", "digits", "-o", "s.keras", "--epochs", "0"), ("epochs=0",)),
        (("qat", "small_cnn", "--data", "digits", "-o", "s.keras"), ("not trained", "lowbit compare")),
        (("export", "missing.keras", "-o", "e.tflite"), ("missing.keras",)),
        (("evaluate", "missing.tflite", "--data", "digits"), ("missing.tflite",)),
        (("benchmark", "missing.tflite"), ("missing.tflite",)),
        (("inspect", "model.txt"), ("model.txt", ".tflite")),
        (("report", "nowhere"), ("nowhere", "lowbit compare")),
        (("compare", "--study", "nothing"), ("nothing", "deep_weeds")),
        (("compare", "--study", "deep_weeds", "--recipes", "default"), ("--recipes", "--seeds")),
        (("compare", "--study", "deep_weeds", "--seed", "0"), ("--seed",)),
        (("compare", "--study", "deep_weeds", "--model-arg", "alpha=1.0"), ("alpha",)),
        (("coverage", "small_cnn", "--image-size", "99999999"), ("2 to 4096 pixels",)),
    ],
)
def test_other_commands(lowbit, command: tuple[str, ...], words: tuple[str, ...]) -> None:
    lowbit(*command).refused(*words)


def test_numbers_of_measuring_commands(lowbit, digits_tflite) -> None:
    lowbit("benchmark", digits_tflite, "--runs", "0").refused("--runs 0")
    lowbit("benchmark", digits_tflite, "--threads", "0").refused("--threads 0")
    lowbit("evaluate", digits_tflite, "--data", "digits", "--threads", "-2").refused("--threads -2")
    lowbit("evaluate", digits_tflite, "--data", "digits", "--split", "tset").refused("tset", "train, validation, test")


# --- data


def test_a_missing_and_an_empty_folder(lowbit, tmp_path) -> None:
    lowbit("compare", "--dataset", tmp_path / "nowhere").refused("nowhere", "check the path")
    (tmp_path / "empty").mkdir()
    lowbit("compare", "--dataset", tmp_path / "empty").refused("empty")


def test_a_class_without_an_image(lowbit, folder) -> None:
    (folder / "bird").mkdir()
    lowbit("compare", "--dataset", folder).refused("bird")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "spoil",
    [_truncate, lambda path: path.write_text("no image"), lambda path: image(path, (1, 1)), bomb],
    ids=["truncated", "no image", "1 pixel", "bomb"],
)
def test_an_image_that_cannot_be_used(lowbit, folder, spoil) -> None:
    spoil(folder / "dog" / "7.png")
    lowbit("compare", "--dataset", folder, "--recipes", "float32").refused("7.png")


def test_nan_in_data(lowbit, tmp_path) -> None:
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    x[3, 2, 1] = np.nan
    np.savez(tmp_path / "broken.npz", x=x, y=np.arange(40) % 4)
    lowbit("compare", "--dataset", tmp_path / "broken.npz").refused("broken.npz", "NaN")


def test_labels_and_class_names_that_do_not_fit_the_model(
    lowbit, folder, digits_keras, digits_tflite, tmp_path
) -> None:
    words = ("--image-size", "8", "--preprocess", "0..1")
    lowbit("evaluate", digits_tflite, "--data", folder, *words).refused("class")
    lowbit("compare", "--model", digits_keras, "--dataset", folder).refused("2 classes", "10 outputs")
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    np.savez(tmp_path / "more.npz", x=x, y=np.arange(40) % 12)
    lowbit("compare", "--model", digits_keras, "--dataset", tmp_path / "more.npz").refused("12 classes")


def test_calibration_data_of_another_shape(lowbit, digits_keras, tmp_path) -> None:
    np.savez(tmp_path / "wide.npz", x=np.zeros((20, 8, 9, 1), np.float32), y=np.arange(20) % 10)
    lowbit("quantize", digits_keras, "-o", "q.tflite", "--data", tmp_path / "wide.npz").refused("(8, 9, 1)", "(8, 8)")


def test_a_missing_extra_names_the_pip_command(lowbit, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    lowbit("compare", "--dataset", "deep_weeds").refused("pip install 'lowbit[tfds]'")


# --- models and files


def test_a_keras_file_that_cannot_be_used(lowbit, digits_keras, tmp_path) -> None:
    for name, spoil in (("truncated.keras", _truncate), ("text.keras", lambda path: path.write_text("no model"))):
        shutil.copy(digits_keras, tmp_path / name)
        spoil(tmp_path / name)
        lowbit("quantize", tmp_path / name, "-o", "q.tflite", "--recipe", "float32").refused(name)
        lowbit("compare", "--model", tmp_path / name).refused(name)


def test_a_keras_file_that_needs_unsafe_deserialization(lowbit, tmp_path) -> None:
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(inputs)))
    keras.Model(inputs, outputs).save(tmp_path / "unsafe.keras")
    lowbit("quantize", tmp_path / "unsafe.keras", "-o", "q.tflite", "--recipe", "float32").refused("unsafe", "Lambda")


def test_nan_in_weights(lowbit, digits_keras, tmp_path) -> None:
    model = keras.models.load_model(digits_keras)
    kernel = model.get_layer("stem_conv").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(tmp_path / "nan.keras")
    lowbit("quantize", tmp_path / "nan.keras", "-o", "q.tflite", "--recipe", "float32").refused("stem_conv", "NaN")


def test_nan_in_the_loss(lowbit, digits_keras, tmp_path) -> None:
    """Inputs near the end of float32 overflow in the first convolution."""
    x = np.full((40, 8, 8, 1), 3e38, np.float32)
    np.savez(tmp_path / "huge.npz", x=x, y=np.arange(40) % 10)
    lowbit("qat", digits_keras, "--data", tmp_path / "huge.npz", "-o", "s.keras", "--epochs", "1").refused("expected")


@pytest.mark.parametrize("command", ["inspect", "benchmark", "evaluate"])
def test_a_tflite_file_that_cannot_be_used(lowbit, digits_tflite, tmp_path, command: str) -> None:
    whole = digits_tflite.read_bytes()
    random = np.random.default_rng(0).bytes(5000)
    contents = {
        "half": whole[: len(whole) // 2],
        "noise": random,
        "mark": random[:4] + b"TFL3" + random[8:],
        "empty": b"",
    }
    more = ("--data", "digits", "--preprocess", "0..1") if command == "evaluate" else ()
    for name, content in contents.items():
        (tmp_path / f"{name}.tflite").write_bytes(content)
        lowbit(command, tmp_path / f"{name}.tflite", *more).refused(f"{name}.tflite")


def test_a_float_model_is_no_simulation(lowbit, digits_keras, digits_tflite) -> None:
    lowbit("export", digits_keras, "-o", "e.tflite").refused("a float model", "lowbit qat")
    lowbit("parity", digits_keras, digits_tflite, "--data", "digits").refused("a float model")


# --- places


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="/proc is the read-only place that even root finds on Linux"
)
def test_a_place_that_cannot_be_written(lowbit, digits_keras) -> None:
    lowbit("compare", "--recipes", "float32", "--out", "/proc/nowhere").refused("/proc/nowhere", "--out")
    lowbit("quantize", digits_keras, "-o", "/proc/q.tflite", "--recipe", "float32").refused("/proc")


def test_an_output_that_is_written_as_a_folder(lowbit, digits_keras) -> None:
    answer = lowbit("quantize", digits_keras, "--data", "digits", "-o", "model.tflite/")
    answer.refused("output model.tflite/, which names a folder", "leave the slash at its end out")


def test_two_outputs_want_labels_each(lowbit, tmp_path) -> None:
    tensor = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Flatten()(tensor)
    heads = [keras.layers.Dense(10, name=name)(x) for name in ("digit", "style")]
    keras.Model(tensor, heads).save(tmp_path / "two.keras")
    answer = lowbit("quantize", tmp_path / "two.keras", "--data", "digits", "--preprocess", "0..1", "-o", "m.tflite")
    answer.refused("with 2 outputs: digit, style", "expected labels for each output", "lowbit.export(model")


def test_a_file_in_the_place_of_a_folder(lowbit, digits_keras, tmp_path) -> None:
    (tmp_path / "file").write_text("here first")
    lowbit("compare", "--recipes", "float32", "--out", tmp_path / "file").refused("file", "--out")
    lowbit("quantize", digits_keras, "-o", tmp_path / "file" / "q.tflite", "--recipe", "float32").refused("file")
    assert (tmp_path / "file").read_text() == "here first"


def test_a_full_folder(lowbit, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 0))
    lowbit("compare", "--recipes", "float32", "--out", "run").refused("0 MiB free", "--out")


def test_debug_shows_the_traceback_too(lowbit) -> None:
    answer = lowbit("inspect", "model.txt", "--debug")
    assert answer.code == 2 and answer.err.splitlines()[-1].startswith("error: received")
    assert answer.err.startswith("Traceback")
    assert "Traceback" not in lowbit("inspect", "model.txt").err


def test_no_interpreter_of_that_name(lowbit, digits_keras, digits_simulation_file) -> None:
    for words in (("quantize", digits_keras, "--recipe", "float32"), ("export", digits_simulation_file)):
        lowbit(*words, "-o", "m.tflite", "--python", "nowhere").refused("python='nowhere'", "cannot be started")
