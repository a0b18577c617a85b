# SPDX-License-Identifier: Apache-2.0
"""What must not happen: a lost model, code run unasked, wrong figures without a word, a hang, a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from lowbit.card import card_path, read_card
from lowbit.cli.making import _show_file
from lowbit.cli.measuring import _unlike_others
from lowbit.cli.session import Session
from lowbit.cli.timing import _shown_names
from lowbit.recipes.recipe import Made
from lowbit.results import ParityResult, TensorParity

BIG = "2147483648"


def copied(source: Path, folder: Path, **preprocessing: object) -> Path:
    """A copy of a model, with its card changed by hand."""
    path = folder / source.name
    shutil.copy(source, path)
    card = json.loads(card_path(source).read_text())
    card["preprocessing"] |= preprocessing
    card_path(path).write_text(json.dumps(card))
    return path


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_input_is_never_overwritten(lowbit, digits_keras, tmp_path, link) -> None:
    model = copied(digits_keras, tmp_path)
    out, before = model, model.read_bytes()
    if link is not None:
        out = tmp_path / "other.keras"
        link(model, out)
    answer = lowbit("qat", model, "--data", "digits", "-o", out, "--epochs", "1")
    answer.refused("which is the input", "another output path")
    assert model.read_bytes() == before


def test_a_function_in_a_card_is_not_called_unasked(lowbit, digits_tflite, tmp_path) -> None:
    file = copied(digits_tflite, tmp_path, preprocess="evil_card:f")
    Path("evil_card.py").write_text("open('ran', 'w').close()\ndef f(x):\n    return x / 255\n")
    lowbit("evaluate", file, "--data", "digits").refused("evil_card:f", "pass --preprocess evil_card:f to allow it")
    assert not Path("ran").exists()
    assert lowbit("evaluate", file, "--data", "digits", "--preprocess", "evil_card:f").code == 0


def test_a_function_in_the_card_of_a_keras_file(lowbit, digits_keras, tmp_path) -> None:
    file = copied(digits_keras, tmp_path, preprocess="evil_card:f")
    words = ("quantize", file, "-o", "q.tflite", "--data", "digits")
    lowbit(*words).refused("pass --preprocess evil_card:f to allow it")


@pytest.mark.parametrize(
    "change",
    [{"colour": 1}, {"preprocess": 3}, {"resize": None}, {"image_size": "8x8"}, {"image_size": [8]}, {"channels": "1"}],
)
def test_a_card_edited_wrongly_is_named(lowbit, digits_tflite, tmp_path, change: dict[str, object]) -> None:
    file = copied(digits_tflite, tmp_path, **change)
    lowbit("evaluate", file, "--data", "digits").refused("digits.tflite.json", next(iter(change)))


def test_a_card_without_end(lowbit, digits_tflite, tmp_path) -> None:
    file = copied(digits_tflite, tmp_path)
    card_path(file).write_text('{"schema": 1, "made_by": ' + '{"a": ' * 100_000)
    lowbit("evaluate", file, "--data", "digits").refused("digits.tflite.json")


def test_a_card_without_preprocessing(lowbit, digits_tflite, tmp_path) -> None:
    file = copied(digits_tflite, tmp_path)
    card = json.loads(card_path(file).read_text())
    card_path(file).write_text(json.dumps(card | {"preprocessing": {}}))
    lowbit("evaluate", file, "--data", "digits").refused("whose card names no preprocessing")
    assert lowbit("evaluate", file, "--data", "digits", "--preprocess", "0..1", "--json").json["accuracy"] > 0.9


def test_labels_beyond_the_outputs_are_other_data(lowbit, digits_tflite, tmp_path) -> None:
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    np.savez(tmp_path / "other.npz", x_test=x, y_test=np.full(40, 99), x_train=x, y_train=np.arange(40) % 10)
    lowbit("evaluate", digits_tflite, "--data", tmp_path / "other.npz").refused(
        "label 99", "labels 0..9 for 10 outputs"
    )


def test_images_of_a_size_that_nothing_takes(lowbit, digits_tflite, tmp_path) -> None:
    words = ("evaluate", digits_tflite, "--data", "digits", "--image-size")
    lowbit(*words, "100000").refused("100000", "2 to 4096 pixels")
    lowbit(*words, "16").refused("16x16", "8x8")
    lowbit("compare", "--image-size", "100000").refused("2 to 4096 pixels")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_among_the_images(lowbit, tmp_path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name / "1.png")
    os.mkfifo(tmp_path / "images" / "dog" / "2.png")
    lowbit("compare", "--dataset", tmp_path / "images").refused("2.png", "no regular file")


def test_names_are_printed_as_they_are(lowbit, digits_keras) -> None:
    for name in ("q[bold].tflite", "a[/b].tflite", "a:smile:.tflite"):
        answer = lowbit("quantize", digits_keras, "-o", name, "--recipe", "float32")
        assert answer.code == 0 and f"wrote {name}:" in answer.out


def test_threads_that_no_machine_has(lowbit, digits_tflite) -> None:
    lowbit("benchmark", digits_tflite, "--threads", BIG).refused(f"--threads {BIG}", "1 to 1024")
    lowbit("evaluate", digits_tflite, "--data", "digits", "--threads", BIG).refused(f"--threads {BIG}", "1 to 1024")


def test_names_in_a_narrow_terminal() -> None:
    paths = [Path("runs/a-long-folder/of-runs/a.tflite"), Path("runs/a-long-folder/of-runs/b.tflite")]
    assert _shown_names(paths, 100) == [str(path) for path in paths]
    assert _shown_names(paths, 20) == ["a.tflite", "b.tflite"]
    assert _shown_names([paths[0], Path("x") / paths[0]], 20) == ["…er/of-runs/a.tflite"] * 2


def test_an_untrained_zoo_model_is_told(lowbit) -> None:
    answer = lowbit("quantize", "small_cnn", "-o", "q.tflite", "--data", "digits")
    assert answer.code == 0 and "small_cnn is untrained" in answer.err
    assert "parity" not in answer.err


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves a small calibrated simulation of given bits."""
    from lowbit.simulation import quantize_model
    from lowbit.zoo import save_model

    def save(spec: str, name: str = "image") -> Path:
        inputs = keras.Input((8, 8, 1), name=name)
        hidden = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
        model = keras.Model(inputs, keras.layers.Softmax()(hidden))
        batch = np.random.default_rng(0).random((32, 8, 8, 1), np.float32)
        path = tmp_path_factory.mktemp("saved") / f"{spec}.keras"
        save_model(quantize_model(model, spec, calibration=[batch]), path)
        return path

    return save


def test_int8_io_needs_8_bit_activations(lowbit, saved) -> None:
    lowbit("export", saved("w8a16"), "-o", "e.tflite", "--io", "int8").refused("--io int8", "8-bit activations")


def test_parity_of_strangers_and_of_all_equal(lowbit, saved) -> None:
    first, second = saved("w8a8"), saved("w8a8", "picture")
    assert lowbit("export", first, "-o", "e.tflite").code == 0
    words = ("--data", "digits", "--preprocess", "0..1")
    lowbit("parity", second, "e.tflite", *words).refused("e.tflite", "image", "picture")
    answer = lowbit("parity", first, "e.tflite", *words)
    assert answer.code == 0 and "every tensor equal" in answer.out and "codes in use" not in answer.out
    many = lowbit("parity", first, "e.tflite", *words, "--samples", "5000", "--json")
    assert many.json["samples"] == 179


def test_layers_kept_float_are_named(lowbit, tmp_path) -> None:
    from lowbit.simulation import quantize_model
    from lowbit.zoo import save_model

    inputs = keras.Input((8, 8, 1))
    normalized = keras.layers.ELU(name="between")(keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(10)(normalized))
    batch = np.random.default_rng(0).random((32, 8, 8, 1), np.float32)
    save_model(quantize_model(model, "w8a8", calibration=[batch]), tmp_path / "kept.keras")
    answer = lowbit("export", tmp_path / "kept.keras", "-o", "e.tflite")
    assert answer.code == 0 and "kept in float: between: " in answer.out
    again = lowbit("export", tmp_path / "kept.keras", "-o", "e.tflite", "--json")
    assert list(again.json["kept_float"]) == ["between"]
    save_model(model, tmp_path / "float.keras")
    words = ("--data", "digits", "--preprocess", "0..1")
    assert "kept in float: between: " in lowbit("quantize", tmp_path / "float.keras", "-o", "q.tflite", *words).out


@pytest.mark.parametrize("equal, warned", [(1.0, False), (0.999, True), (1 - 1e-12, True)])
def test_a_file_that_differs_from_its_simulation_is_told(capsys, equal: float, warned: bool) -> None:
    measured = TensorParity(name="conv", op="CONV_2D", elements=1000, equal=equal, within_one=1.0, distinct_codes=9)
    found = ParityResult.of([measured], top1_agreement=1.0, output_max_codes=1)
    made = Made(path=Path("q.tflite"), size_bytes=1, sha256="", seconds=1.0, quantized_tensors=1, parity=found)
    inside = SimpleNamespace(compressed_bytes=1, n_ops=1, float_ops=0, weights_dtype="int8", weights={"int8": 1})
    with Session() as session:
        _show_file(session, {}, made, inside)
    err = capsys.readouterr().err
    assert ("at conv: the file does not compute the simulation to the last code" in err) == warned
    assert "100.0000%" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words, code",
    [
        ("recipes >/dev/full", 2),
        ("recipes --json >/dev/full", 2),
        ("--help >/dev/full", 2),
        ("--version >/dev/full", 2),
        ("recipes -v >/dev/full", 2),
        ("recipes >&-", 2),
        ("recipes 2>&-", 0),
        ("inspect missing.tflite 2>/dev/full", 2),
        ("inspect missing.tflite 2>&-", 2),
    ],
)
def test_no_place_for_the_output(words: str, code: int) -> None:
    command = f"{sys.executable} -m lowbit.cli {words}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == code, done
    lines = done.stderr.splitlines()
    assert len(lines) == (code > 0 and "2>" not in words) and all(line.startswith("error: ") for line in lines), lines


def test_the_card_of_the_test_is_read(digits_tflite, tmp_path) -> None:
    assert read_card(copied(digits_tflite, tmp_path)) == read_card(digits_tflite)


def test_an_interruption_says_what_is_kept(capsys) -> None:
    for kept in (None, "all of it"):
        with pytest.raises(KeyboardInterrupt), Session() as session:
            session.if_interrupted = kept or session.if_interrupted
            raise KeyboardInterrupt
        assert f"interrupted: {kept or 'nothing was kept'}\n" in capsys.readouterr().err


def test_a_partial_figure_says_which_classes_it_is_of() -> None:
    seen = SimpleNamespace(class_accuracy=(0.5, None, None))
    assert _unlike_others(seen) == "all of 1 of the 3 classes: nothing is said of the others"
    assert _unlike_others(SimpleNamespace(class_accuracy=(0.5, 0.7))) == "which need not be like the others"
    assert _unlike_others(SimpleNamespace(class_accuracy=())) == "which need not be like the others"  # no classes
