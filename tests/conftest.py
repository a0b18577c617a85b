# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: a model trained on digits, its simulations and exported files, made once."""

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Keras and TensorFlow make objects by the million while a graph is traced: with Python's own threshold of 700, a sixth
# of a test's time was looking for garbage among them (docs/decisions/0019).
gc.set_threshold(50_000, 50, 100)

from alone import alone  # noqa: E402  from the folder above


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real images and weights; tests that need it skip without it."""
    folder = os.environ.get("LOWBIT_TEST_DATA")
    if not folder:
        pytest.skip("LOWBIT_TEST_DATA is not set: no real images and weights to test with")
    return Path(folder)


@pytest.fixture(scope="session")
def digits():
    from lowbit.data import load_dataset

    return load_dataset("digits", preprocess="0..1")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder that all processes of this test run have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def digits_calibration(digits):
    return list(digits.calibration(256).batches(32))


@pytest.fixture(scope="session")
def digits_model_file(digits, shared_folder) -> Path:
    """A small_cnn trained on digits, to be loaded by each test that changes it."""
    from lowbit.training import fit
    from lowbit.zoo import load_model, save_model

    path = shared_folder / "small_cnn.keras"
    with alone(shared_folder):
        if not path.exists():
            model = load_model("small_cnn", inputs=digits.inputs, classes=10, seed=0).model
            train, validation = digits.train.batches(32, shuffle=True), digits.validation.batches(64)
            fit(model, train, validation, epochs=12, learning_rate=1e-3)
            save_model(model, path)
    return path


@pytest.fixture
def digits_model(digits_model_file):
    import keras

    return keras.models.load_model(digits_model_file)


@pytest.fixture(scope="session")
def digits_simulation_file(digits_model_file, digits_calibration) -> Path:
    """The calibrated w8a8 simulation of the trained small_cnn."""
    import keras

    from lowbit.simulation import quantize_model

    path = digits_model_file.with_name("simulation.keras")
    with alone(path.parent):
        if not path.exists():
            quantize_model(keras.models.load_model(digits_model_file), calibration=digits_calibration).save(path)
    return path


@pytest.fixture
def digits_simulation(digits_simulation_file):
    import keras

    import lowbit.simulation  # noqa: F401  (registers the classes of the file)

    return keras.models.load_model(digits_simulation_file)


@pytest.fixture
def every_layer():
    """A model of random weights with every layer that has an integer form."""
    from every_layer import every_layer_model

    return every_layer_model()


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """What `every_layer` takes, values 0..255."""
    return np.random.default_rng(1).uniform(0, 255, (64, 16, 16, 3)).astype("float32")
