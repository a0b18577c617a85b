# SPDX-License-Identifier: Apache-2.0
"""Every command and every Python block of the documentation is run, in a folder that holds what its names say."""

import os
import re
import shlex
import shutil
import webbrowser
from collections.abc import Container
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import lowbit
from lowbit.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/studies/*.md"))]
OWN_TESTS = {"README.md", "from_tfmot.md", "training.md"}  # their Python, in tests of these names
TOO_LONG = ("--study", "deepweeds-128")  # hours; their options are checked by test_readme.py
SHORT = ("--epochs", "1", "--qat-epochs", "1")
MAY_SAY_NO = ("--fail-if", "--against")  # exit code 1: the condition holds


def commands() -> list[str]:
    """Every indented line `lowbit …`, each once."""
    found = [line for page in PAGES for line in re.findall(r"^ {4}(lowbit [^#\n]+)", page.read_text(), re.MULTILINE)]
    return [line.strip() for line in dict.fromkeys(found) if not any(word in line for word in TOO_LONG)]


def blocks() -> list[Any]:
    """The Python of each page, joined, as it builds on itself."""
    pages = {
        page.name: "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
        for page in PAGES
        if page.name not in OWN_TESTS
    }
    return [pytest.param(code, id=name) for name, code in pages.items() if code]


@pytest.fixture(scope="module")
def place(digits, digits_model_file, tmp_path_factory) -> Path:
    """A folder with all that the pages name: models, files, images, runs."""
    folder = tmp_path_factory.mktemp("pages")
    inputs, labels = next(iter(digits.train.batches(300)))
    pixels = (np.asarray(next(iter(inputs.values()))) * 255).astype(np.uint8)[..., 0]
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "images" / str(label) / f"{number}.png")
    shutil.copytree(folder / "images", folder / "DATA")
    shutil.copy(digits_model_file, folder / "model.keras")  # without a card, as a reader's own is
    (folder / "rules.yaml").write_text('- match: "*"\n  per_channel: false\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said("qat", "model.keras", "--data", "images/", "--preprocess", "0..1", "-o", "sim.keras", "--epochs", "1")
        said("export", "sim.keras", "-o", "model.tflite", "--data", "images/")
        for end in (".keras", ".keras.json"):
            shutil.copy(f"sim{end}", f"simulation{end}")
        run = lowbit.compare(recipes="float32,ptq-w8a8", epochs=1).folder
        for name in ("RUN", "RUN_DIR", "OLD_RUN", "runs/first", "runs/second"):
            shutil.copytree(run, folder / name)
        for name, made in {"a": "float32", "b": "ptq-w8a8", "float32": "float32", "ptq-w8a8": "ptq-w8a8"}.items():
            shutil.copy(run / "models" / f"{made}.tflite", f"{name}.tflite")
        device = said("benchmark", "RUN_DIR/models/ptq-w8a8.tflite", "--runs", "5", "--json")
        Path("device.json").write_text(device)
    return folder


def said(*words: str, codes: Container[int] = (0,)) -> str:
    """Run a command in this process; what it printed on stdout."""
    result = CliRunner().invoke(app, list(words), prog_name="lowbit")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in codes, result.output
    return result.stdout


def test_there_is_something_to_run() -> None:
    assert len(commands()) > 20 and len(blocks()) > 2


@pytest.mark.parametrize("line", commands())
def test_a_command_runs(line: str, place, tmp_path, monkeypatch) -> None:
    shutil.copytree(place, tmp_path / "here", copy_function=os.link)  # files are replaced whole, never written into
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(webbrowser, "open", lambda page: True)
    words = shlex.split(line)[1:]
    if words[0] == "compare":
        words += [*SHORT, *(() if "--recipes" in words else ("--recipes", "float32,ptq-w8a8"))]
    assert said(*words, codes=(0, 1) if any(word in MAY_SAY_NO for word in words) else (0,))


@pytest.mark.parametrize("code", blocks())
def test_the_python_of_a_page_runs(code: str, place, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = keras.models.load_model(place / "model.keras")
    exec(compile(code, "page", "exec"), {"model": model, "lowbit": lowbit, "keras": keras})
