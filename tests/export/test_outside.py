# SPDX-License-Identifier: Apache-2.0
"""Files made by a process of their own: the same bytes, and what can go wrong on the way."""

import importlib
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from lowbit.errors import ExportError, InputError
from lowbit.export import export, export_variant
from lowbit.simulation import quantize_model

PIXELS = np.random.default_rng(0).uniform(0, 1, (8, 8, 8, 1)).astype("float32")

CUSTOM = """
import keras

@keras.saving.register_keras_serializable("tests_outside")
class Bent(keras.layers.Layer):
    def call(self, x):
        taken = keras.ops.max(x) > 0.0
        return keras.ops.cond(taken, lambda: keras.ops.softplus(x), lambda: keras.ops.elu(x))
"""


def with_layer(layer: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), name="image")
    x = layer(keras.layers.Conv2D(2, 3, name="conv")(inputs))
    return keras.Model(inputs, keras.layers.Dense(4, name="dense")(keras.layers.Flatten()(x)))


def a_simulation(layer: keras.layers.Layer | None = None):
    return quantize_model(with_layer(layer or keras.layers.ReLU(6.0, name="relu6")), calibration=[PIXELS])


@pytest.mark.parametrize("io", [pytest.param("float32", marks=pytest.mark.slow), "int8"])
def test_another_process_makes_the_same_bytes(io, tmp_path):
    simulation = a_simulation()
    simulation.compile(loss=lambda labels, outputs: 0.0)  # what cannot be saved is not asked for
    here = export(simulation, tmp_path / "here.tflite", io=io)
    there = export(simulation, tmp_path / "there.tflite", io=io, parity=[PIXELS], python=sys.executable)
    assert (there.sha256, there.parity.worst_equal) == (here.sha256, 1.0)
    assert simulation.compiled


def test_the_float_forms_too(tmp_path):
    model = with_layer(keras.layers.ReLU(name="relu"))
    made = [
        export_variant(model, tmp_path / f"{number}.tflite", "dynamic-w8", python=python).sha256
        for number, python in enumerate((None, sys.executable))
    ]
    assert made[0] == made[1]


@pytest.mark.parametrize("python", ["nowhere/python", "."])
def test_no_such_interpreter(python, tmp_path):
    with pytest.raises(InputError, match=f"python='{python}', which cannot be started.*--python"):
        export(a_simulation(), tmp_path / "m.tflite", python=python)
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_without_packages(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(InputError, match=f"{python}', which has no package .* run: {python} -m pip install lowbit"):
        export(a_simulation(), tmp_path / "m.tflite", python=python)


def test_an_interpreter_without_tensorflow(tmp_path, monkeypatch):
    text = "raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')"
    (tmp_path / "tensorflow.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="which has no package 'tensorflow'.*pip install lowbit"):
        export(a_simulation(), tmp_path / "m.tflite", python=sys.executable)


def test_what_is_no_python(tmp_path):
    with pytest.raises(ExportError, match="the process that makes the file, /bin/ls, failed"):
        export(a_simulation(), tmp_path / "m.tflite", python="/bin/ls")


@pytest.fixture
def bent(tmp_path, monkeypatch):
    """A custom layer that is kept float whole, in a module of the program's."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "bent_layers.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("bent_layers").Bent
    del sys.modules["bent_layers"]
    keras.saving.get_custom_objects().pop("tests_outside>Bent")


def test_a_custom_layer_is_imported_by_its_module(bent, tmp_path):
    simulation = a_simulation(bent(name="bent"))
    here = export(simulation, tmp_path / "here.tflite")
    assert export(simulation, tmp_path / "there.tflite", python=sys.executable).sha256 == here.sha256


def test_a_custom_layer_whose_module_is_gone(bent, tmp_path):
    simulation = a_simulation(bent(name="bent"))
    (Path(sys.modules["bent_layers"].__file__)).unlink()
    with pytest.raises(InputError, match="'Bent' of the module 'bent_layers'.*No module named.*move Bent to a file"):
        export(simulation, tmp_path / "m.tflite", python=sys.executable)


@pytest.mark.slow
def test_a_custom_layer_of_the_program_itself(bent, tmp_path):
    bent.__module__ = "__main__"
    with pytest.raises(InputError, match="'Bent' of the module '__main__'.*does not register it.*move Bent to a file"):
        export(a_simulation(bent(name="bent")), tmp_path / "m.tflite", python=sys.executable)
