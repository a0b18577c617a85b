# SPDX-License-Identifier: Apache-2.0
"""Shared by all tests: a model trained on digits, its simulations and exported files, made once."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))


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
def digits_calibration(digits):
    return list(digits.calibration(256).batches(32))


@pytest.fixture(scope="session")
def digits_model_file(digits, tmp_path_factory) -> Path:
    """A small_cnn trained on digits, to be loaded by each test that changes it."""
    from lowbit.training import fit
    from lowbit.zoo import load_model, save_model

    model = load_model("small_cnn", inputs=digits.inputs, classes=10, seed=0).model
    fit(model, digits.train.batches(32, shuffle=True), digits.validation.batches(64), epochs=12, learning_rate=1e-3)
    path = tmp_path_factory.mktemp("digits") / "small_cnn.keras"
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
