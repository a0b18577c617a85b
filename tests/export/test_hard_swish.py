# SPDX-License-Identifier: Apache-2.0
"""Hard-swish: written out where integers compute it, the op itself in the float file."""

import keras
import numpy as np
import pytest
from keras import layers

import lowbit
from lowbit.export import export_variant
from lowbit.runtime import Runner, delegated_ops, inspect, predict


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, activation="hard_swish", name="conv")(inputs)
    x = layers.Activation("hard_silu", name="again")(layers.Conv2D(8, 3, name="second")(x))
    return keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten(name="flat")(x)))


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(scale=3, size=(32, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("spec", ["w8a8", "w4a8", "w8a16"])
def test_integers_without_the_op_near_the_float_model(model, samples, spec, tmp_path):
    given = {"parity": [samples]} if spec.endswith("a8") else {}
    written = lowbit.export(model, tmp_path / "m.tflite", spec=spec, calibration=[samples], **given)
    found = inspect(written.path)
    assert "HARD_SWISH" not in {op.op for op in found.ops} and found.float_ops == 0
    if given:
        assert written.parity.worst_equal == 1.0
        assert {"again_gate", "again_shift"} <= {tensor.name.replace("/", "_") for tensor in written.parity.per_tensor}
    if spec == "w8a8":
        delegated = delegated_ops(Runner.open(written.path))
        assert delegated.partitions == 1 and len(delegated.positions) == found.n_ops
    expected = model.predict(samples, verbose=0)
    error = np.abs(predict(written.path, [samples]).outputs - expected).mean() / np.abs(expected).mean()
    assert error < {"w8a8": 0.05, "w4a8": 0.3, "w8a16": 0.02}[spec]


@pytest.mark.parametrize("kind", ["float32", "float16", "dynamic-w8"])
def test_files_without_integer_activations_have_the_op(model, samples, kind, tmp_path):
    written = export_variant(model, tmp_path / "m.tflite", kind)
    assert {op.op: op.count for op in inspect(written.path).ops}["HARD_SWISH"] == 2
    expected = model.predict(samples, verbose=0)
    np.testing.assert_allclose(predict(written.path, [samples]).outputs, expected, atol=0.1 * np.abs(expected).max())
