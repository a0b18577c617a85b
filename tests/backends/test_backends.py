# SPDX-License-Identifier: Apache-2.0
"""JAX and PyTorch: training, the file's codes, and the very bytes of the file that TensorFlow makes."""

import json
from pathlib import Path

import pytest

from lowbit.export import export
from lowbit.simulation import quantize_model

BACKENDS = ["jax", "torch"]

RULES = (
    *("test_activation.py", "test_affine.py", "test_weight.py", "test_integer.py"),
    *(f"test_elementwise_rules.py::test_{name}" for name in ("all_pairs_of_codes", "results_next_to_a_half", "roots")),
    "test_elementwise_rules.py::test_all_codes_of_a_function",
    "test_elementwise_rules.py::test_sums_out_of_xnnpacks_range_take_the_built_in_kernel",
    "test_elementwise_rules.py::test_quantize_between_8_and_16_bits",
    "test_reduction_rules.py::test_means_and_sums[reduce_mean-mean-group normalization, rank 5]",
    "test_reduction_rules.py::test_means_and_sums[reduce_mean-mean-global average pooling]",
    "test_reduction_rules.py::test_products_of_two_computed_tensors[sums beyond float32-built in]",
    "test_reduction_rules.py::test_products_of_two_computed_tensors[many-built in]",
    "test_reduction_rules.py::test_average_pooling",
    "test_reduction_rules.py::test_softmax_adds_its_exponentials_one_after_the_other",
)
"""Of `tests/quantizers`, eager and compiled, those that fail where a backend rounds otherwise."""

KERNELS = {"jax": [], "torch": ["test_batch_norm.py"]}
"""Tests of training kernels that are the backend's own."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_compute_the_runtimes_codes(backend, on_backend):
    chosen = [f"tests/quantizers/{name}" for name in (*RULES, *KERNELS[backend])]
    assert " passed" in on_backend(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a saved simulation of every layer."""
    import numpy as np

    from every_layer import every_layer_model

    folder = tmp_path_factory.mktemp("backends")
    images = np.random.default_rng(1).uniform(0, 255, (64, 16, 16, 3)).astype("float32")
    quantize_model(every_layer_model(), calibration=[images]).save(folder / "every_layer.keras")
    return folder


@pytest.fixture(scope="module")
def bytes_on_tensorflow(folder) -> str:
    """The hash of its file, made here."""
    import keras

    return export(keras.models.load_model(folder / "every_layer.keras"), folder / "here.tflite").sha256


@pytest.mark.parametrize("backend", BACKENDS)
def test_from_training_to_the_same_bytes(backend, on_backend, folder, bytes_on_tensorflow):
    answer = json.loads(on_backend(backend, "tests/backends/flow.py", str(folder)).splitlines()[-1])
    assert answer == {"backend": backend, "sha256": bytes_on_tensorflow}


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_that_turn_are_held_in_keras_fit(backend, on_backend):
    chosen = "tests/qat/test_oscillation.py::test_keras_fit_trains_along"
    assert "1 passed" in on_backend(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider", chosen)


def test_the_example_trains_and_writes_a_file(on_backend, tmp_path):
    example = Path(__file__).parents[2] / "examples" / "other_backend.py"
    said = on_backend("jax", str(example), folder=tmp_path)
    assert "trained on jax\nequal codes at the worst tensor: 100.00%\n" in said
    assert (tmp_path / "other_backend.tflite").is_file()
