# SPDX-License-Identifier: Apache-2.0
"""Every example runs as a user would run it, on small data, and prints what it promises."""

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
TOLD_OTHERWISE = {"other_backend.py"}  # of JAX and PyTorch: tests/backends


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """Runs an example in an empty folder; what it printed."""
    monkeypatch.chdir(tmp_path)

    def started(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return started


@pytest.fixture(scope="module")
def folder_of_images(digits, tmp_path_factory) -> Path:
    """240 digits of four classes in colour, 16 x 16, in class folders."""
    folder = tmp_path_factory.mktemp("images")
    inputs, labels = next(iter(digits.train.batches(len(digits.train))))
    pixels = (np.asarray(next(iter(inputs.values()))) * 255).astype(np.uint8)[..., 0]
    for label in range(4):
        (folder / f"digit {label}").mkdir()
        for number, image in enumerate(pixels[labels == label][:60]):
            Image.fromarray(image).convert("RGB").resize((16, 16)).save(folder / f"digit {label}" / f"{number}.png")
    return folder


def percents(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"([\d.]+) ?%", text)]


def test_no_example_is_left_out() -> None:
    told = set(re.findall(r"\w+\.(?:py|ipynb)", Path(__file__).read_text()))
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} <= told | {"README.md"}
    assert {path.name for path in EXAMPLES.iterdir()} >= TOLD_OTHERWISE


def test_own_images_names_a_file(run, folder_of_images, tmp_path) -> None:
    said = run("own_images.py", str(folder_of_images), "--image-size", "16", "--epochs", "2")
    rows = re.findall(r"^(\S+) +[\d.]+% +[\d.]+ kB +[\d.]+ ms$", said, re.MULTILINE)
    assert rows == ["float32", "dynamic-w8", "ptq-w8a8", "float32-finetuned", "qat-w8a8"]
    assert re.search(r"^smallest that is good enough: \S+$", said, re.MULTILINE)
    assert (tmp_path / "runs/own_images/report.html").is_file()


def test_own_model_is_written_twice(run, digits_model_file, tmp_path) -> None:
    said = run("own_model.py", str(digits_model_file), "digits", "--epochs", "1")
    assert percents(said)[0] > 90 and percents(said)[1] == 100
    assert said.endswith("equal codes at the worst tensor: 100.00%\n")
    assert (tmp_path / "ptq.tflite").is_file() and (tmp_path / "qat.tflite").is_file()


def test_a_loop_of_ones_own_trains_what_the_file_computes(run) -> None:
    said = run("custom_loop.py", "--epochs", "2")
    first, last = re.findall(r"loss ([\d.]+)", said)
    assert float(last) < float(first)
    assert "equal codes at the worst tensor: 100.00%" in said and percents(said)[-1] > 90


def test_codes_go_into_the_microcontrollers_file_and_come_out(run, tmp_path) -> None:
    said = run("microcontroller.py")
    content = (tmp_path / "digits.tflite").read_bytes()
    assert f"{len(content):,} bytes" in said and "int8" in said and percents(said)[-1] > 85
    source = (tmp_path / "digits.h").read_text()
    assert bytes(int(byte, 16) for byte in re.findall(r"0x(..)", source)) == content
    assert source.endswith(f"digits_model_len = {len(content)};\n")


def small_base(input_shape: tuple[int, ...], alpha: float, include_top: bool, weights: Any) -> Any:
    """In the place of MobileNetV2, which takes minutes."""
    import keras

    entry = keras.Input(input_shape)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(entry)
    x = keras.layers.ReLU(6)(keras.layers.BatchNormalization()(x))
    return keras.Model(entry, x)


def test_the_notebook_fills_its_table(folder_of_images, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    settings = {
        "DATA": str(folder_of_images), "IMAGE_SIZE": 16, "BASE": small_base, "ALPHA": 1.0, "WEIGHTS": None, "EPOCHS": 1,
    }  # fmt: skip
    cells = json.loads((EXAMPLES / "guide.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            exec(compile(source, f"guide.ipynb {cell['id']}", "exec"), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                assert set(settings) == set(re.findall(r"^(\w+) =", source, re.MULTILINE))
                names |= settings
    said = capsys.readouterr().out
    assert "equal codes at the worst tensor: 100.00%, 100.00%" in said
    table = said[said.rindex("file  ") :]
    assert re.findall(r"^(\w+) +[\d.]+% +[\d.]+ MB", table, re.MULTILINE) == list(names["files"])
    assert set(names["measured"]) == set(names["files"])
