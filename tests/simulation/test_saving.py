# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from lowbit.errors import FileFormatError
from lowbit.simulation import Simulation, quantize_model

FRESH = """
import sys, numpy as np, keras, lowbit.simulation
simulation = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], simulation.predict(np.load(sys.argv[2]), verbose=0))
"""


@pytest.mark.parametrize(("spec", "suffix"), [("w8a8", "keras"), ("w4a8", "h5")])
def test_a_saved_simulation_comes_back_bit_equal(every_layer, images, tmp_path, suffix, spec):
    simulation = quantize_model(every_layer, spec, calibration=[images])
    simulation.save(tmp_path / f"simulation.{suffix}")
    loaded = keras.models.load_model(tmp_path / f"simulation.{suffix}")
    assert isinstance(loaded, Simulation)
    assert loaded.spec == simulation.spec
    assert np.array_equal(loaded.predict(images, verbose=0), simulation.predict(images, verbose=0))
    loaded.compile("adam", "sparse_categorical_crossentropy")
    loaded.fit(images, np.zeros(len(images)), verbose=0)


def test_a_fresh_process_predicts_the_same_bits(every_layer, images, tmp_path):
    simulation = quantize_model(every_layer, calibration=[images])
    simulation.save(tmp_path / "simulation.keras")
    np.save(tmp_path / "images.npy", images)
    arguments = [str(tmp_path / name) for name in ("simulation.keras", "images.npy", "outputs.npy")]
    subprocess.run([sys.executable, "-c", FRESH, *arguments], check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "outputs.npy"), simulation.predict(images, verbose=0))


def test_another_format_version_is_refused(every_layer, tmp_path):
    path = tmp_path / "simulation.keras"
    quantize_model(every_layer).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["lowbit_format"] = 99
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises((FileFormatError, TypeError), match="format 99"):
        keras.models.load_model(path)
